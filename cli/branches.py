"""``epoch branch``, ``checkout``, ``tag`` and ``reset``: names for commits, and moves between them."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from epoch_sql.characters import visible

from . import diagnostics, in_progress, output
from .grammar import DefaultGroup, json_option
from .output import Line
from .protection import protection, protection_of
from .session import Session, call, pass_session
from .wording import in_brackets, moment, short, summary


@click.group(cls=DefaultGroup, bare="list")
def branch() -> None:
    """List, create, delete and rename branches.

    Without a command: list.
    """


@branch.command(name="list")
@json_option
@pass_session
def branch_list(session: Session, form: str) -> None:
    """List the branches. A star marks the one that is checked out."""
    if form == "json":
        output.rows(session.rows(call("epoch_branches"), form), form)
        return
    found = session.read(call("epoch_branches"))
    output.lines(output.aligned((_branch(row) for row in found), gap=" "))


@branch.command(name="create")
@click.argument("name")
@click.option("--from", "start", metavar="REF", help="Where it starts (default: HEAD).")
@click.option("--checkout", "switch", is_flag=True, help="Check it out.")
@json_option
@pass_session
def branch_create(session: Session, name: str, start: str | None, switch: bool, form: str) -> None:
    """Create branch NAME."""
    made = session.do(call("epoch_branch", name, start=start), "creating the branch")
    if switch:
        _switch_or_undo(session, name)
        diagnostics.message(f"Switched to a new branch '{name}'")
    else:
        diagnostics.message(f"Created branch '{name}' at {short(made['commit_id'])}")
    if form == "json":
        output.document([made])


@branch.command(name="delete")
@click.argument("name")
@click.option("--force", is_flag=True, help="Delete it even if nothing else has its commits.")
@json_option
@pass_session
def branch_delete(session: Session, name: str, force: bool, form: str) -> None:
    """Delete branch NAME. The reflog keeps its commits until gc."""
    deleted = session.do(call("epoch_branch_delete", name, force=force), "deleting the branch")
    diagnostics.message(f"Deleted branch '{deleted['name']}' (was {short(deleted['commit_id'])})")
    if form == "json":
        output.document([deleted])


@branch.command(name="rename")
@click.argument("old")
@click.argument("new")
@json_option
@pass_session
def branch_rename(session: Session, old: str, new: str, form: str) -> None:
    """Rename branch OLD to NEW."""
    renamed = session.do(call("epoch_branch_rename", old, new), "renaming the branch")
    diagnostics.message(f"Renamed branch '{old}' to '{renamed['name']}'")
    if form == "json":
        output.document([renamed])


@branch.command(name="protect")
@click.argument("name")
@click.option("--require-review", is_flag=True, help="Take only approved merges, and undos.")
@click.option("--no-force-push", is_flag=True, help="Let history only grow: a hard reset adds a commit.")
@click.option("--allow-self-review", is_flag=True, help="Let authors approve their own changes.")
@click.option("--require-fresh", is_flag=True, help="Take no merge that leaves derived tables stale.")
@json_option
@pass_session
def branch_protect(session: Session, /, name: str, form: str, **flags: bool) -> None:
    """Protect branch NAME. The options state the whole protection.

    A protected branch cannot be deleted or renamed. People state who they are, so protection guards against mistakes.
    """
    before = protection_of(session, name) or {}
    made = session.do(call("epoch_protect", name, **flags), "protecting the branch")
    diagnostics.message(f"Branch '{name}' is protected: {protection(made)}")
    dropped = {flag: value for flag, value in before.items() if value is True and not made[flag]}
    if dropped:
        diagnostics.warning(f"no longer: {protection(dropped)}")
    if form == "json":
        output.document([made])


@branch.command(name="unprotect")
@click.argument("name")
@json_option
@pass_session
def branch_unprotect(session: Session, name: str, form: str) -> None:
    """Remove the protection of branch NAME."""
    made = session.do(call("epoch_unprotect", name), "taking the protection off")
    diagnostics.message(f"Branch '{name}' is no longer protected")
    if form == "json":
        output.document([made])


@click.command()
@click.argument("ref")
@click.option("-b", "new_branch", is_flag=True, help="Create a branch of that name at HEAD and check it out.")
@click.option("--force", is_flag=True, help="Discard uncommitted changes.")
@click.option("--dry-run", is_flag=True, help="Only show the steps.")
@json_option
@pass_session
def checkout(session: Session, ref: str, new_branch: bool, force: bool, dry_run: bool, form: str) -> None:
    """Bring the working tables to a reference.

    Refuses to lose uncommitted changes.
    """
    if dry_run:
        _show_steps(session, "HEAD" if new_branch else ref, form)
        return
    before = session.read(call("epoch_head"))[0]["branch"]
    at = session.do(call("epoch_checkout", ref, new_branch=new_branch, force=force), "checking out")
    if at["branch"] is None:
        diagnostics.message(f"HEAD is now at {short(at['commit_id'])}, detached: read-only for commit")
        diagnostics.hint("epoch branch create NAME --checkout, to commit from here")
    else:
        moved = "Already on" if at["branch"] == before else f"Switched to {'a new branch' if new_branch else 'branch'}"
        diagnostics.message(f"{moved} '{at['branch']}'")
    for name in {before: None, at["branch"]: None}:
        in_progress.remind(session, name)
    if form == "json":
        output.document([at])


@click.group(cls=DefaultGroup, bare="list", default="create")
def tag() -> None:
    """Create, list and delete tags: names for commits.

    `epoch tag NAME [REF]` creates a tag, and `epoch tag` lists the tags.
    """


@tag.command(name="create")
@click.argument("name")
@click.argument("ref", required=False)
@click.option("-m", "--message", metavar="MSG", help="What it is for.")
@json_option
@pass_session
def tag_create(session: Session, name: str, ref: str | None, message: str | None, form: str) -> None:
    """Tag REF (default: HEAD) as NAME. You can leave out `create`."""
    made = session.do(call("epoch_tag", name, ref=ref, message=message), "tagging")
    diagnostics.message(f"Tagged {short(made['commit_id'])} as '{made['name']}'")
    if form == "json":
        output.document([made])


@tag.command(name="list")
@json_option
@pass_session
def tag_list(session: Session, form: str) -> None:
    """List the tags."""
    if form == "json":
        output.rows(session.rows(call("epoch_tags"), form), form)
        return
    output.lines(output.aligned(_tag(row) for row in session.read(call("epoch_tags"))))


@tag.command(name="delete")
@click.argument("name")
@json_option
@pass_session
def tag_delete(session: Session, name: str, form: str) -> None:
    """Delete tag NAME."""
    deleted = session.do(call("epoch_tag_delete", name), "deleting the tag")
    diagnostics.message(f"Deleted tag '{deleted['name']}' (was {short(deleted['commit_id'])})")
    if form == "json":
        output.document([deleted])


@click.command()
@click.argument("ref", required=False)
@click.option("--hard", is_flag=True, help="Reset the working tables too, and discard uncommitted changes.")
@click.option("--into", metavar="BRANCH", help="The branch to move (default: the current one).")
@click.option("--dry-run", is_flag=True, help="Only show the steps of --hard.")
@json_option
@pass_session
def reset(session: Session, ref: str | None, hard: bool, into: str | None, dry_run: bool, form: str) -> None:
    """Move the branch to another commit.

    REF is HEAD by default. Without --hard, the working tables stay as they are. On a branch that is protected with
    --no-force-push, --hard moves nothing back: it adds a commit with the content of REF.
    """
    if dry_run:
        if into is not None:
            raise click.UsageError("--dry-run shows the steps of the working tables, which --into leaves alone")
        if not hard:
            raise click.UsageError("--dry-run shows the steps of --hard: without it no table changes")
        _show_steps(session, ref or "HEAD", form)
        return
    before = session.read(call("epoch_head"))[0]
    branch = into or before["branch"]
    elsewhere = branch != before["branch"]
    tip = session.commits([into])[0] if into and elsewhere else before["commit_id"]
    at = session.do(call("epoch_reset", ref=ref, hard=hard, target=into), "resetting")
    if at["commit_id"] != tip and _rolled_back(session, branch):
        commit = session.read(call("epoch_log", ref=at["commit_id"], max_count=1))[0]
        where = f"[{branch} {short(at['commit_id'])}] {commit['message']}"
    else:
        where = f"{branch if elsewhere else 'HEAD'} is now at {short(at['commit_id'])}"
    diagnostics.message(f"{where}{in_brackets(summary(at))}")
    in_progress.remind(session, session.read(call("epoch_head"))[0]["branch"])
    if form == "json":
        output.document([at])


def _show_steps(session: Session, ref: str, form: str) -> None:
    """The steps to a reference, none of which is taken."""
    steps = session.read(call("epoch_plan", ref))
    if form == "json":
        output.document(steps)
        return
    if not steps:
        diagnostics.message("No table would change")
        return
    cells = [
        [
            step["action"],
            step["kind"] if step["row_count"] is None else f"{step['row_count']:,} rows",
            visible(step["name"]),
        ]
        for step in steps
    ]
    output.lines(output.aligned(cells))


COMMANDS = (branch, checkout, tag, reset)


def _rolled_back(session: Session, branch: str | None) -> bool:
    """Whether the last move of a branch was a rollback, which adds a commit."""
    moves = (row for row in session.read(call("epoch_reflog", branch=branch)) if row["kind"] == "branch")
    return any(row["route"] == "roll back" for row in islice(moves, 1))


def _switch_or_undo(session: Session, name: str) -> None:
    """Checks a new branch out. If that is refused, deletes the branch."""
    try:
        session.do(call("epoch_checkout", name), "checking out")
    except Exception:
        session.do(call("epoch_branch_delete", name, force=True), "deleting the branch")
        raise


def _branch(row: dict[str, Any]) -> list[Line]:
    current = bool(row["is_current"])
    notes = []
    if row["upstream"] is not None:
        apart = [f"{word} {row[word]}" for word in ("ahead", "behind") if row[word]]
        notes.append(f"[{visible(row['upstream'])}{': ' if apart else ''}{', '.join(apart)}]")
    if row["is_protected"]:
        notes.append("protected")
    commit = short(row["commit_id"]) if row["commit_id"] else ""
    return [
        "*" if current else " ",
        [(visible(row["name"]), "bold green" if current else "")],
        [(commit, "yellow")],
        " ".join(notes),
    ]


def _tag(row: dict[str, Any]) -> list[Line]:
    return [
        [(visible(row["name"]), "bold")],
        [(short(row["commit_id"]), "yellow")],
        moment(row["tagged_at"]),
        visible(row["tagger"] or ""),
        visible(row["message"] or ""),
    ]
