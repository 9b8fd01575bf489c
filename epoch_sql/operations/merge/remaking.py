"""Proves the origin of a commit: makes its merge or revert again, and compares the results.

What a commit records is only a statement of its author. Protection believes it if it gives the commit's content.
"""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.model.commit import Commit, Tree
from epoch_sql.model.graph import Undo
from epoch_sql.model.undo import expected_undo, plan_merge
from epoch_sql.operations.merge.bases import planned_base
from epoch_sql.operations.merge.constraints import violation_rows
from epoch_sql.operations.merge.decisions import Decisions
from epoch_sql.operations.merge.listing import conflict_rows
from epoch_sql.operations.merge.trees import merge_trees
from epoch_sql.operations.merge.writing import store
from epoch_sql.operations.repository import Call


def is_as_recorded(call: Call, commit: Commit) -> bool:
    """Whether a merge, squash or revert has the content and the undo that its origin gives.

    Applies the recorded decisions again. Costs what the merge cost. Writes its results within the caller's transaction.
    """
    origin = commit.origin
    if Undo(origin.undoes, origin.redoes, origin.restores) != expected_undo(call.graph(), commit):
        return False
    sides = _sides(call, commit)
    if sides is None:
        return False
    decisions = Decisions(origin.resolutions, origin.strategy)
    merged = merge_trees(call, sides[0], call.tree(commit.parents[0]), sides[1], decisions)
    conflicts, violations = conflict_rows(merged), violation_rows(call, merged)
    obstacles = render.render("preview", conflicts=conflicts, violations=violations)
    if call.cursor.execute(obstacles).fetchone() is not None:
        return False
    return store(call, merged, count=False).tree_id == commit.tree_id


def _sides(call: Call, commit: Commit) -> tuple[Tree, Tree] | None:
    """The base and the incoming tree of a commit's origin. None if the origin names no commit."""
    graph, origin, ours = call.graph(), commit.origin, commit.parents[0]
    if origin.reverts is not None:
        before = graph.parents(origin.reverts)[0]
        return call.tree(origin.reverts), call.tree(before)
    theirs = commit.parents[1] if len(commit.parents) > 1 else origin.squashes
    if theirs is None:
        return None
    plan = plan_merge(graph, ours, theirs, keep_undone=origin.keep_undone)
    return planned_base(call, plan, ours, theirs), call.tree(theirs)
