"""``revert`` and ``cherry-pick``: three-way merges whose base is a parent, or the commit itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing, now
from epoch_sql.catalog.merging import MergeInProgress, Merges
from epoch_sql.errors import EpochReferenceError
from epoch_sql.guard.moves import require_allowed
from epoch_sql.merge.engine import Stopped, base_tree
from epoch_sql.model.commit import RowCounts
from epoch_sql.verb import procedure
from epoch_sql.verbs.checkout import attempting
from epoch_sql.verbs.committing import checked_out_branch, first_line
from epoch_sql.verbs.finishing import already_in_progress, finish, move_of, or_stop
from epoch_sql.verbs.unmade import Attempts


@dataclass(frozen=True)
class PickResult:
    """The commit that a revert or a cherry-pick added to a branch. ``stale`` are the derived tables to rebuild."""

    commit: str
    rows: RowCounts
    branch: str
    message: str
    stale: list[str]
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_revert")
def revert(call: Call, ref: str, *, into: str | None = None, author: str | None = None) -> PickResult:
    """Adds a commit that undoes a commit.

    It is a three-way merge of its own, which may stop as one: it raises EpochConflict then.

    Args:
        ref: the commit to undo; the revert of a merge goes back to its first parent
        into: the branch that gets the commit; default: the current one
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
    """

    return or_stop(attempting(call, lambda attempts: _pick(call, attempts, revert_of(call, ref, into, author))))


def revert_of(call: Call, ref: str, into: str | None, author: str | None = None) -> MergeInProgress:
    """A revert as it would be in progress."""
    undone = call.commit(ref)
    if not undone.parents:
        message = f"{ref} is the first commit, there is nothing before it"
        raise EpochReferenceError(message, Suggestion("log"), name=ref)
    message = f'Revert "{first_line(undone.message)}"\n\nThis reverts commit {undone.commit_id}.'
    return _picked(call, into, author, "revert", undone.commit_id, undone.parents[0], undone.commit_id, message)


@procedure("epoch_cherry_pick")
def cherry_pick(call: Call, ref: str, *, into: str | None = None, author: str | None = None) -> PickResult:
    """Adds a commit with the changes of another one.

    Raises EpochConflict when it stops, as a merge does.

    Args:
        ref: the commit to pick
        into: the branch that gets the commit; default: the current one
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
    """

    def move(attempts: Attempts) -> PickResult | Stopped:
        picked = call.commit(ref)
        if len(picked.parents) > 1:
            onto, merged = (parent[:7] for parent in picked.parents[:2])
            raise EpochReferenceError(
                f"{ref} is a merge of {merged} into {onto}, so it has no changes of its own to pick",
                (Suggestion("cherry_pick", merged), ", or ", Suggestion("merge", merged)),
                name=ref,
            )
        base = picked.parents[0] if picked.parents else None
        progress = _picked(call, into, author, "cherry-pick", base, picked.commit_id, picked.commit_id, picked.message)
        return _pick(call, attempts, progress)

    return or_stop(attempting(call, move))


def _pick(call: Call, attempts: Attempts, progress: MergeInProgress) -> PickResult | Stopped:
    require_allowed(call, move_of(call.cursor, progress))
    outcome = finish(call, attempts, progress)
    if isinstance(outcome, Stopped):
        return outcome
    made = outcome.commit
    return PickResult(made.commit_id, outcome.rows, progress.target, made.message, outcome.stale)


def _picked(
    call: Call,
    into: str | None,
    author: str | None,
    kind: Literal["revert", "cherry-pick"],
    base: str | None,
    theirs: str,
    source: str,
    message: str,
) -> MergeInProgress:
    branch, tip = (into, existing(call.refs, "branch", into).commit_id) if into else checked_out_branch(call)
    other = Merges(call.cursor).get(branch)
    if other:
        raise already_in_progress(call, other)
    base_root = call.commits.get(base).root_id if base else call.trees.add(base_tree(call, ()))
    return MergeInProgress(
        target=branch,
        kind=kind,
        ours_commit=tip,
        theirs_commit=theirs,
        base_root=base_root,
        theirs_root=call.commits.get(theirs).root_id,
        source=source,
        message=message,
        author=call.author(author),
        squash=False,
        strategy="three-way",
        keep_undone=False,
        started_at=now(),
    )
