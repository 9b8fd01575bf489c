"""The base of a merge: one commit, several merged into one, or a state below an undo."""

from __future__ import annotations

from collections.abc import Sequence

from epoch_sql.model.commit import Tree
from epoch_sql.model.graph import CommitGraph
from epoch_sql.model.undo import MergePlan, plan_merge
from epoch_sql.operations.merge.decisions import BOTH, Decisions
from epoch_sql.operations.merge.trees import merge_trees
from epoch_sql.operations.merge.writing import store
from epoch_sql.operations.repository import Call


def planned_base(call: Call, plan: MergePlan, ours: str, theirs: str) -> Tree:
    """The tree that both sides of a planned merge are compared with."""
    undos = [undone.undoing for undone in (*plan.reapplies, *plan.keeps)]
    if undos:
        return base_below_undos(call, plan.bases, ours, theirs, undos)
    return base_tree(call, plan.bases)


def base_tree(call: Call, bases: Sequence[str]) -> Tree:
    """The tree to merge against: that of the only base, or several merged into one (git's recursive strategy).

    If two bases conflict, the virtual base has the value of their own base, so the values of both sides count as
    changed.
    """
    if not bases:
        return Tree()
    if len(bases) == 1:
        return call.tree(bases[0])
    graph = call.graph()
    tree = call.tree(bases[0])
    for number, base in enumerate(bases[1:], 1):
        common = base_tree(call, _common(graph, bases[:number], base))
        merged = merge_trees(call, common, tree, call.tree(base), Decisions(strategy="base"))
        tree = store(call, merged, count=False).tree
    return tree


def _common(graph: CommitGraph, merged: Sequence[str], base: str) -> list[str]:
    """The merge bases of a virtual commit, which has ``merged`` as its parents, with another base."""
    found = dict.fromkeys(common for one in merged for common in plan_merge(graph, one, base).bases)
    return [one for one in found if not any(one != other and graph.is_ancestor(one, other) for other in found)]


def base_below_undos(call: Call, bases: Sequence[str], target: str, source: str, undos: Sequence[str]) -> Tree:
    """The tree to merge against if the bases are below what some commits (``undos``, newest first) undid.

    Rows without a key are counted, so everything that both sides have since such a base would be in conflict. So their
    tables are merged against git's ordinary base, without what the undos removed.
    """
    below = base_tree(call, bases)
    graph = call.graph()
    ordinary = graph.merge_bases(target, source)
    tree = base_tree(call, ordinary)
    for undo in reversed(undos):
        parents = graph.parents(undo)
        if len(parents) == 1 and not any(graph.is_ancestor(undo, base) for base in ordinary):
            before, after = call.tree(parents[0]), call.tree(undo)
            undone = merge_trees(call, before, tree, after, Decisions(strategy="base", copies=BOTH))
            tree = store(call, undone, count=False).tree
    call.contents.load(entry.version_id for tables in (below.tables, tree.tables) for entry in tables.values())
    keyed = {i: entry for i, entry in below.tables.items() if call.contents.table(entry.version_id).key}
    others = {i: entry for i, entry in tree.tables.items() if not call.contents.table(entry.version_id).key}
    return Tree({**others, **keyed}, below.objects)
