"""What the commit of a merge, revert or cherry-pick records about its origin."""

from __future__ import annotations

from dataclasses import replace

from epoch_sql.catalog.merging import MergeInProgress, Resolutions
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.origin import Origin, UndoneCommits
from epoch_sql.model.undo import MergePlan, plan_merge, undo_kept, undo_of_revert
from epoch_sql.operations.repository import Call


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
    where = f" on {origin.source}"
    groups = (("re-applies", origin.reapplied, ""), ("keeps", origin.kept, where))
    return [
        f"{verb} {len(undone.commits)} commit{'s' if len(undone.commits) > 1 else ''} that {undone.undone_by[:7]} undid"
        f"{place}"
        for verb, group, place in groups
        for undone in group
    ]
