"""``reset``: going back, by moving the branch, or without rewriting history by a forward rollback."""

from __future__ import annotations

from dataclasses import replace

from epoch_sql.catalog.guarding import Protections
from epoch_sql.model.commit import Head, Route
from epoch_sql.model.origin import Origin
from epoch_sql.model.undo import undo_of_rollback
from epoch_sql.operations.committing import checked_out_branch, new_commit
from epoch_sql.operations.guarding.moves import Move, move_branch, require_allowed
from epoch_sql.operations.merge.origins import with_undo
from epoch_sql.operations.moving import Moved, attempting, put_working_tables
from epoch_sql.operations.repository import Repository


def reset(repository: Repository, ref: str = "HEAD", hard: bool = False) -> Moved:
    """Move the checked-out branch to a commit; ``hard`` also puts the working tables there and loses what is
    uncommitted. Of a detached checkout, only what is uncommitted can be lost: there is no branch to move.

    Where the branch's history only grows, ``hard`` adds a commit with the content of that commit instead, and a move
    that would rewrite is refused. Raises EpochProtectionError for a move that the branch is protected from.
    """

    def move() -> Moved:
        commit_id = repository.resolve(ref)
        if hard and repository.head() == Head(None, commit_id):
            return _discard(repository, commit_id)
        branch, tip = checked_out_branch(repository)
        if hard and not _leads_on(repository, branch, tip, commit_id):
            return _roll_back(repository, branch, tip, commit_id, ref)
        there = Move(branch, Route.RESET, tip, commit_id)
        require_allowed(repository, there)
        moved = _discard(repository, commit_id) if hard else Moved(commit_id, 0, 0, 0)
        move_branch(repository, there, f"reset: moving to {ref}", repository.author())
        return moved

    return attempting(repository, move)


def _leads_on(repository: Repository, branch: str, tip: str, commit_id: str) -> bool:
    """Whether the branch may go to a commit without a rewrite of what must not be rewritten."""
    protected = Protections(repository.cursor).get(branch).no_force_push
    return not protected or repository.graph().is_ancestor(tip, commit_id)


def _roll_back(repository: Repository, branch: str, tip_id: str, restored_id: str, ref: str) -> Moved:
    """The forward rollback, within the caller's transaction; without a commit where the content is that already."""
    back = Move(branch, Route.ROLL_BACK, tip_id, None, restored_id, ref)
    require_allowed(repository, back)
    tip, restored = repository.commits.get(tip_id), repository.commits.get(restored_id)
    same = tip.tree_id == restored.tree_id
    discarded = _discard(repository, tip_id if same else restored_id)
    if same:
        return discarded
    author = repository.author()
    undo = undo_of_rollback(repository.graph(), tip_id, restored_id)
    origin = with_undo(Origin(source=ref, rolls_back_to=restored_id), undo)
    commit = new_commit(restored.tree_id, restored.root_id, (tip_id,), author, f"Roll back to {ref}", origin)
    repository.commits.add(commit)
    move_branch(repository, replace(back, new=commit.commit_id), f"reset: rolling back to {ref}", author)
    return replace(discarded, commit_id=commit.commit_id)


def _discard(repository: Repository, commit_id: str) -> Moved:
    """Put the working tables at a commit; what is uncommitted is lost."""
    _, rows = put_working_tables(repository, commit_id, "the reset", force=True)
    return Moved(commit_id, rows.added, rows.modified, rows.removed)
