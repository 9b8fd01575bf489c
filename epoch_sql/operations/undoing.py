"""``reset``: goes back by moving the branch, or by a forward rollback, which does not rewrite history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from epoch_sql.catalog.guarding import Protections
from epoch_sql.model.commit import Head, Route
from epoch_sql.model.origin import Origin
from epoch_sql.model.undo import undo_of_rollback
from epoch_sql.model.version import RowCounts
from epoch_sql.operations.committing import checked_out_branch, new_commit
from epoch_sql.operations.guarding.moves import Move, move_branch, require_allowed
from epoch_sql.operations.merge.origins import with_undo
from epoch_sql.operations.moving import attempting, put_working_tables
from epoch_sql.operations.repository import Call
from epoch_sql.verb import procedure


@dataclass(frozen=True)
class ResetResult:
    """Where a reset led, and how many working rows it changed."""

    commit: str
    rows: RowCounts
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_reset", looks="rows")
def reset(call: Call, ref: str = "HEAD", *, hard: bool = False) -> ResetResult:
    """Moves the current branch to a commit.

    Of a detached checkout, only what is uncommitted can be lost: there is no branch to move. If the branch's history
    only grows, ``hard`` adds a commit with the content of that commit instead, and other moves that would rewrite
    history are refused. Raises EpochProtectionError for a move that the protection refuses.

    Args:
        ref: the commit to move to
        hard: reset the working tables too, and discard uncommitted changes
    """

    def move() -> ResetResult:
        commit_id = call.resolve(ref)
        if hard and call.head() == Head(None, commit_id):
            return _discard(call, commit_id)
        branch, tip = checked_out_branch(call)
        if hard and not _leads_on(call, branch, tip, commit_id):
            return _roll_back(call, branch, tip, commit_id, ref)
        there = Move(branch, Route.RESET, tip, commit_id)
        require_allowed(call, there)
        moved = _discard(call, commit_id) if hard else ResetResult(commit_id, RowCounts())
        move_branch(call, there, f"reset: moving to {ref}", call.author())
        return moved

    return attempting(call, move)


def _leads_on(call: Call, branch: str, tip: str, commit_id: str) -> bool:
    """Whether the branch may move to a commit without rewriting protected history."""
    protected = Protections(call.cursor).get(branch).no_force_push
    return not protected or call.graph().is_ancestor(tip, commit_id)


def _roll_back(call: Call, branch: str, tip_id: str, restored_id: str, ref: str) -> ResetResult:
    """The forward rollback, within the caller's transaction. Adds no commit if the branch has that content already."""
    back = Move(branch, Route.ROLL_BACK, tip_id, None, restored_id, ref)
    require_allowed(call, back)
    tip, restored = call.commits.get(tip_id), call.commits.get(restored_id)
    same = tip.tree_id == restored.tree_id
    discarded = _discard(call, tip_id if same else restored_id)
    if same:
        return discarded
    author = call.author()
    undo = undo_of_rollback(call.graph(), tip_id, restored_id)
    origin = with_undo(Origin(source=ref, rolls_back_to=restored_id), undo)
    commit = new_commit(restored.tree_id, restored.root_id, (tip_id,), author, f"Roll back to {ref}", origin)
    call.commits.add(commit)
    move_branch(call, replace(back, new=commit.commit_id), f"reset: rolling back to {ref}", author)
    return replace(discarded, commit=commit.commit_id)


def _discard(call: Call, commit_id: str) -> ResetResult:
    """Bring the working tables to a commit, and discard uncommitted changes."""
    _, rows = put_working_tables(call, commit_id, "the reset", force=True)
    return ResetResult(commit_id, rows)
