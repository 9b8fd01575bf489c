"""The base of a merge: one commit, several merged into one, or a state below an undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.advice import to_resolve
from epoch_sql.call import Call
from epoch_sql.catalog.merging import Conflicts, MergeInProgress, Merges, Resolutions, Violating, Violations
from epoch_sql.errors import MergeConflict
from epoch_sql.merge.constraints import violation_rows
from epoch_sql.merge.decisions import BOTH, Decisions
from epoch_sql.merge.merged import MergedTree, conflict_rows
from epoch_sql.merge.rows import store
from epoch_sql.merge.trees import merge_trees
from epoch_sql.model.commit import Commit, Origin, Tree, UndoneCommits
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.undo import MergePlan, expected_undo, plan_merge, undo_kept, undo_of_revert


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
    return replace(below, tables={**others, **keyed})


def origin_of(call: Call, progress: MergeInProgress) -> Origin:
    """The origin of the commit of a merge, revert or cherry-pick, with the decisions so far."""
    graph = call.graph()
    strategy = progress.strategy if progress.strategy != "three-way" else None
    decided = Origin(strategy=strategy, resolutions=Resolutions(call.cursor).of(progress.target))
    if progress.kind == "cherry-pick":
        return replace(decided, picks=progress.source)
    if progress.kind == "revert":
        reverts = replace(decided, reverts=progress.source)
        return with_undo(reverts, undo_of_revert(graph, progress.ours_commit, progress.source))
    squashes = progress.theirs_commit if progress.squash else None
    merged = replace(decided, source=progress.source, squashes=squashes, keep_undone=progress.keep_undone)
    return planned(graph, merged, progress.ours_commit, progress.theirs_commit)


def planned(graph: CommitGraph, origin: Origin, ours: str, theirs: str) -> Origin:
    """The origin of a merge, with what it undoes, brings back and keeps according to its plan."""
    plan = plan_merge(graph, ours, theirs, keep_undone=origin.keep_undone)
    undo = undo_kept(graph, ours, theirs) if origin.keep_undone else Undo()
    return with_undo(replace(origin, reapplied=reapplied(plan), kept=kept(plan)), undo)


def reapplied(plan: MergePlan) -> tuple[UndoneCommits, ...]:
    """The commits that a merge brings back although its target undid them."""
    return tuple(UndoneCommits(undone.undoing, undone.changes) for undone in plan.reapplies)


def kept(plan: MergePlan) -> tuple[UndoneCommits, ...]:
    """The commits that a merge keeps although its source undid them."""
    return tuple(UndoneCommits(undone.undoing, undone.changes) for undone in plan.keeps)


def with_undo(origin: Origin, undo: Undo) -> Origin:
    """The origin with an undo."""
    return replace(origin, undoes=undo.undoes, redoes=undo.redoes, restores=undo.restores)


def notes(origin: Origin) -> list[str]:
    """The lines in the message of a merge about undone commits that it brings back or keeps."""
    on_source = f" on {origin.source}"
    groups = (("re-applies", origin.reapplied, ""), ("keeps", origin.kept, on_source))
    return [
        f"{verb} {len(undone.commits)} commit{'s' if len(undone.commits) > 1 else ''} that {undone.undone_by[:7]} undid"
        f"{where}"
        for verb, group, where in groups
        for undone in group
    ]


def merge(call: Call, progress: MergeInProgress, decided: bool = True, rows: bool = True) -> MergedTree:
    """The merged tree of a merge. ``decided`` says whether the stored decisions for its target belong to it.

    Without ``rows`` it merges only definitions.
    """
    resolutions = Resolutions(call.cursor).of(progress.target) if decided else ()
    strategy = progress.strategy if progress.strategy in ("ours", "theirs") else None
    trees = call.trees
    ours = call.tree(progress.ours_commit)
    base, theirs = trees.load(progress.base_root), trees.load(progress.theirs_root)
    decisions = Decisions(resolutions, strategy)
    return merge_trees(call, base, ours, theirs, decisions, "tables" if rows else "none")


# What a commit records is only a statement of its author. Protection believes it if it gives the commit's content.


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
    obstacles = render.render("merge.preview", conflicts=conflicts, violations=violations)
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


@dataclass(frozen=True)
class Stopped:
    """A merge that is in progress because of conflicts (for each table) or violations.

    ``into`` is its target where that is not the branch that is checked out.
    """

    progress: MergeInProgress
    conflicts: Sequence[tuple[str, int]]
    violations: int
    into: str | None

    def error(self) -> MergeConflict:
        """What to say and type."""
        count = sum(n for _, n in self.conflicts)
        found = []
        if count:
            tables = ", ".join(name for name, _ in self.conflicts)
            found.append(f"{count} conflict{'s' if count > 1 else ''} in {tables}")
        if self.violations:
            found.append(f"{self.violations} constraint violation{'s' if self.violations > 1 else ''}")
        return MergeConflict(
            f"{' and '.join(found)}; the merge into {self.progress.target} is in progress",
            to_resolve(self.into, count),
            verb=self.progress.kind,
            source=self.progress.source,
            target=self.progress.target,
            conflicts=count,
            violations=self.violations,
            tables=dict(self.conflicts),
        )


def list_obstacles(call: Call, progress: MergeInProgress, merged: MergedTree) -> Stopped | None:
    """List the conflicts and violations of a merge. If there are any, keep the merge in progress."""
    found = Conflicts(call.cursor).list(progress.target, conflict_rows(merged))
    if not Violations(call.cursor).list(progress.target, violation_rows(call, merged)) and not found:
        return None
    conflicts, violations = open_obstacles(call.cursor, progress.target)
    if not conflicts and not violations:
        return None
    merges = Merges(call.cursor)
    if merges.get(progress.target) is None:
        merges.insert([[vars(progress)[name] for name in merges.columns]])
    return Stopped(progress, conflicts, violations, call.elsewhere(progress.target))


def open_obstacles(cursor: duckdb.DuckDBPyConnection, target: str) -> tuple[list[tuple[str, int]], int]:
    """The listed open conflicts of a merge, for each table that has any, and the number of violations."""
    return Conflicts(cursor).open(target), Violations(cursor).count(Violating(target))
