"""What the commit of a merge, revert or cherry-pick records of how it came about."""

from __future__ import annotations

from dataclasses import replace

from epoch_sql.catalog.merging import MergeInProgress, Resolutions
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.origin import Origin, UndoneCommits
from epoch_sql.model.undo import MergePlan, plan_merge, undo_kept, undo_of_revert
from epoch_sql.operations.repository import Call


def origin_of(call: Call, progress: MergeInProgress) -> Origin:
    """The origin of the commit that a merge, revert or cherry-pick becomes, with the decisions made so far."""
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
    """The origin of a merge with what its plan says that it undoes, brings back and keeps."""
    plan = plan_merge(graph, ours, theirs, keep_undone=origin.keep_undone)
    undo = undo_kept(graph, ours, theirs) if origin.keep_undone else Undo()
    return with_undo(replace(origin, reapplied=reapplied(plan), kept=kept(plan)), undo)


def reapplied(plan: MergePlan) -> tuple[UndoneCommits, ...]:
    """What a merge brings back that its target had undone."""
    return tuple(UndoneCommits(undone.undoing, undone.changes) for undone in plan.reapplies)


def kept(plan: MergePlan) -> tuple[UndoneCommits, ...]:
    """What a merge keeps that its source had undone."""
    return tuple(UndoneCommits(undone.undoing, undone.changes) for undone in plan.keeps)


def with_undo(origin: Origin, undo: Undo) -> Origin:
    """The origin with what the commit records about merges that it undoes."""
    return replace(origin, undoes=undo.undoes, redoes=undo.redoes, restores=undo.restores)


def notes(origin: Origin) -> list[str]:
    """What a merge says of what it brings back or keeps although it was undone, one line each."""
    where = f" on {origin.source}"
    groups = (("re-applies", origin.reapplied, ""), ("keeps", origin.kept, where))
    return [
        f"{verb} {len(undone.commits)} commit{'s' if len(undone.commits) > 1 else ''} that {undone.undone_by[:7]} undid"
        f"{place}"
        for verb, group, place in groups
        for undone in group
    ]
