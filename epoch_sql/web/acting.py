"""What the forms do. Each acts on exactly the commits that its page showed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, cast

from epoch_sql.errors import ReferenceMoved
from epoch_sql.library import Repository
from epoch_sql.model.patterns import counted

Form = Mapping[str, str]


def review(repository: Repository, form: Form) -> str:
    """Approve or reject a source, as it was looked at."""
    verdict = cast(Literal["approve", "reject"], form["verdict"])
    message = form.get("message", "").strip() or None
    done = repository.review(form["source"], form["into"], verdict=verdict, message=message, expected=form["commit"])
    said = "Approved" if done.verdict == "approve" else "Rejected"
    return f"{said} {done.source} ({done.source_commit[:7]}) for {done.target}"


def merge(repository: Repository, form: Form) -> str:
    """Merge a source into a target, both as they were looked at."""
    _require_unmoved(repository, form)
    done = repository.merge(form["source"], into=form["into"], expected=form["commit"])
    return f"Merged {form['source']} into {form['into']} ({done.commit[:7]})"


def roll_back(repository: Repository, form: Form) -> str:
    """Undo one commit of a branch as it was looked at, or go back to the state before it."""
    _require_unmoved(repository, form)
    if form["way"] == "revert":
        done = repository.revert(form["commit"], into=form["into"]).commit
        return f"Undid {form['commit'][:7]} in {form['into']} ({done[:7]})"
    done = repository.reset(form["before"], hard=True, into=form["into"]).commit
    return f"{form['into']} is as it was at {form['before'][:7]} ({done[:7]})"


def resolve(repository: Repository, form: Form) -> str:
    """Settle a conflict by a side or a value; without a key, all of the table."""
    side = cast(Literal["ours", "theirs", "base", "both", "null"] | None, form.get("side") or None)
    left = repository.resolve(
        form["table"],
        side,
        key=form.get("key") or None,
        column=form.get("column") or None,
        value=form.get("value", "") if side is None else None,
        into=form["into"],
        constraint=form.get("constraint") or None,
    ).remaining
    return f"{counted(left, 'conflict')} left" if left else "Every conflict is settled"


def finish(repository: Repository, form: Form) -> str:
    """Make the merge whose conflicts are settled."""
    done = repository.merge_continue(into=form["into"])
    return f"Merged into {form['into']} ({done.commit[:7]})"


def give_up(repository: Repository, form: Form) -> str:
    """Forget a merge in progress."""
    repository.merge_abort(into=form["into"])
    return f"The merge into {form['into']} is given up, and nothing has changed"


def _require_unmoved(repository: Repository, form: Form) -> None:
    """Raises ReferenceMoved if the target is not at the commit that the page showed."""
    tip = next((branch.commit for branch in repository.branches() if branch.name == form["into"]), "")
    if tip != form["target_commit"]:
        raise ReferenceMoved(
            f"{form['into']} is at {tip[:7]}, not at {form['target_commit'][:7]}, which you looked at",
            "load the page again, and look at what would change now",
            name=form["into"],
            expected=form["target_commit"],
            commit_id=tip,
        )


ACTIONS: Mapping[str, Callable[[Repository, Form], str]] = {
    action.__name__: action for action in (review, merge, roll_back, resolve, finish, give_up)
}
"""The actions by the name that a form has as ``action``."""
