"""Undoing what was promoted without rewriting history: a forward rollback."""

from __future__ import annotations

from dataclasses import replace

from epoch_sql.errors import EpochMergeError
from epoch_sql.model.commit import Tree
from epoch_sql.model.undo import undo_of_rollback
from epoch_sql.model.version import RowCounts
from epoch_sql.operations.committing import checked_out_branch, new_commit
from epoch_sql.operations.merge.engine import bring_working
from epoch_sql.operations.merge.writing import StoredTree
from epoch_sql.operations.moving import Moved, attempting
from epoch_sql.operations.repository import Repository, new_ref


def roll_back(repository: Repository, ref: str) -> Moved:
    """Add a commit to the checked-out branch whose content is that of a reference, so that history only grows.

    The merges that it undoes count as not having happened, so that they can be promoted again (spec "Undo that can be
    promoted over"). Raises EpochMergeError when the branch has that content already, EpochDirtyError when uncommitted
    changes are in tables that would change.
    """

    def move() -> Moved:
        branch = checked_out_branch(repository)
        tip, restored = repository.commit(branch), repository.commit(ref)
        if tip.tree_id == restored.tree_id:
            raise EpochMergeError(f"branch {branch} is as in {ref} already", "epoch log --oneline")
        ours, tree = (repository.trees.load(commit.root_id) for commit in (tip, restored))
        undo = undo_of_rollback(repository.graph(), tip.commit_id, restored.commit_id)
        stored = StoredTree(tree, restored.tree_id, restored.root_id, RowCounts(), _changed(ours, tree))
        rows = bring_working(repository, ours, stored, "rollback")
        author = repository.author()
        commit = new_commit(restored.tree_id, restored.root_id, (tip.commit_id,), author, f"Roll back to {ref}", ref)
        commit = replace(commit, undoes=undo.undoes, redoes=undo.redoes, restores=undo.restores)
        repository.commits.add(commit)
        repository.refs.put(new_ref("branch", branch, commit.commit_id), f"reset: rolling back to {ref}", author)
        return Moved(commit.commit_id, rows.added, rows.modified, rows.removed)

    return attempting(repository, move)


def _changed(before: Tree, after: Tree) -> frozenset[str]:
    """The tables that are not the same in two trees."""
    ids = before.tables.keys() | after.tables.keys()
    return frozenset(i for i in ids if before.tables.get(i) != after.tables.get(i))
