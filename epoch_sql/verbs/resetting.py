"""``reset`` moves a branch to another commit, or forward to its content, and brings the working tables there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing
from epoch_sql.catalog.history import Protections
from epoch_sql.errors import EpochReferenceError
from epoch_sql.guard.moves import Move, move_branch, require_allowed
from epoch_sql.merge.engine import with_undo
from epoch_sql.model.commit import Head, Origin, Route, RowCounts
from epoch_sql.model.names import quoted
from epoch_sql.model.undo import undo_of_rollback
from epoch_sql.verb import procedure
from epoch_sql.verbs.checkout import attempting, put_working_tables
from epoch_sql.verbs.committing import checked_out_branch, new_commit
from epoch_sql.verbs.deriving import keep_freshness
from epoch_sql.verbs.unmade import Attempts


@dataclass(frozen=True)
class ResetResult:
    """Where a reset led, and how many working rows it changed."""

    commit: str
    rows: RowCounts
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_reset", looks="rows")
def reset(
    call: Call, ref: str = "HEAD", *, hard: bool = False, into: str | None = None, author: str | None = None
) -> ResetResult:
    """Moves the current branch, or another one, to a commit.

    Of a detached checkout, only what is uncommitted can be lost: there is no branch to move. If the branch's history
    only grows, ``hard`` adds a commit with the content of that commit instead, and other moves that would rewrite
    history are refused. Raises EpochProtectionError for a move that the protection refuses.

    Args:
        ref: the commit to move to
        hard: reset the working tables too, and discard uncommitted changes
        into: the branch to move; default: the current one
        author: `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
    """

    def move(attempts: Attempts) -> ResetResult:
        commit_id = call.resolve(ref)
        elsewhere = into is not None and into != call.head().branch
        if elsewhere and ref.upper() == "HEAD":
            message = f"HEAD is the commit that is checked out: name the commit to which {quoted(into or '')} goes back"
            raise EpochReferenceError(message, Suggestion("log", into or ""), name=ref)
        if hard and not elsewhere and call.head() == Head(None, commit_id):
            return _discard(call, attempts, commit_id)
        branch, tip = (into, existing(call.refs, "branch", into).commit_id) if into else checked_out_branch(call)
        if hard and not _leads_on(call, branch, tip, commit_id):
            back = Move(branch, Route.ROLL_BACK, tip, None, commit_id, ref)
            return _roll_back(call, attempts, back, call.author(author), elsewhere)
        there = Move(branch, Route.RESET, tip, commit_id)
        require_allowed(call, there)
        moved = ResetResult(commit_id, RowCounts())
        if not elsewhere and hard:
            moved = _discard(call, attempts, commit_id)
        elif not elsewhere:
            keep_freshness(call, call.tree(tip), call.tree(commit_id))
        move_branch(call, there, f"reset: moving to {ref}", call.author(author))
        return moved

    return attempting(call, move)


def _leads_on(call: Call, branch: str, tip: str, commit_id: str) -> bool:
    """Whether the branch may move to a commit without rewriting protected history."""
    protected = Protections(call.cursor).get(branch).no_force_push
    return not protected or call.graph().is_ancestor(tip, commit_id)


def _roll_back(call: Call, attempts: Attempts, back: Move, author: str, elsewhere: bool) -> ResetResult:
    """The forward rollback, within the caller's transaction. Adds no commit if the branch has that content already."""
    require_allowed(call, back)
    tip_id, restored_id, ref = back.old, back.source, back.named
    assert tip_id and restored_id and ref
    tip, restored = call.commits.get(tip_id), call.commits.get(restored_id)
    same = tip.tree_id == restored.tree_id
    there = tip_id if same else restored_id
    discarded = ResetResult(there, RowCounts()) if elsewhere else _discard(call, attempts, there)
    if same:
        return discarded
    undo = undo_of_rollback(call.graph(), tip_id, restored_id)
    origin = with_undo(Origin(source=ref, rolls_back_to=restored_id), undo)
    commit = new_commit(restored.tree_id, restored.root_id, (tip_id,), author, f"Roll back to {ref}", origin)
    call.commits.add(commit)
    move_branch(call, replace(back, new=commit.commit_id), f"reset: rolling back to {ref}", author)
    return replace(discarded, commit=commit.commit_id)


def _discard(call: Call, attempts: Attempts, commit_id: str) -> ResetResult:
    """Bring the working tables to a commit, and discard uncommitted changes."""
    _, rows = put_working_tables(call, attempts, commit_id, "the reset", force=True)
    return ResetResult(commit_id, rows)
