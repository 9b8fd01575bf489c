"""What a merge would do, as rows, without making it: computed from the merged tree, which nobody stores."""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.catalog.merging import Conflict, Conflicts, MergeInProgress, Merges, Resolutions, listed_conflicts
from epoch_sql.diff.diff import (
    DiffStat,
    RowDifference,
    rows_between,
    schema_changes_between,
    statistics_between,
)
from epoch_sql.diff.patterns import ChangePattern, patterns_between
from epoch_sql.merge.constraints import violation_rows
from epoch_sql.merge.decisions import Decisions
from epoch_sql.merge.engine import planned_base
from epoch_sql.merge.merged import MergedTree, as_side, conflict_rows
from epoch_sql.merge.rows import counts
from epoch_sql.merge.trees import Rows, merge_trees
from epoch_sql.model.commit import RowCounts
from epoch_sql.model.schema_diff import SchemaChange
from epoch_sql.model.undo import MergePlan
from epoch_sql.render import Sql
from epoch_sql.verb import procedure, query, reading, relation
from epoch_sql.verbs.merging import Strategy, planned, require_strategy
from epoch_sql.verbs.reverting import revert_of
from epoch_sql.versions.sides import Side, tree_side

_NOTHING = RowCounts()


@dataclass(frozen=True)
class TablePreview:
    """What a merge would do to a table, what would stop it, and whether it would leave it stale."""

    table: str
    rows: RowCounts
    data_conflicts: int
    schema_conflicts: int
    violations: int
    stale: bool


@dataclass(frozen=True)
class Preview:
    """A merge that is not made, and its result (None: there is nothing to merge). ``decided`` says that it is in
    progress, with decisions of its own."""

    plan: MergePlan | None
    progress: MergeInProgress
    decided: bool
    merged: MergedTree | None


def preview_of(
    call: Call,
    source: str,
    into: str | None,
    strategy: Strategy = "three-way",
    keep_undone: bool = False,
    rows: Rows = "tables",
    revert: bool = False,
) -> Preview:
    """What a merge would give, with what was decided if it is in progress; or what a revert would give. See
    ``merge_trees`` for ``rows``.

    A base that has to be computed is stored, so this is for a transaction that is rolled back.
    """
    require_strategy(strategy)
    if revert:
        undoing = revert_of(call, source, into)
        trees = (
            call.trees.load(undoing.base_root),
            call.tree(undoing.ours_commit),
            call.trees.load(undoing.theirs_root),
        )
        return Preview(None, undoing, False, merge_trees(call, *trees, Decisions((), None), rows))
    target, plan, progress = planned(call, source, into, keep_undone)
    progress = replace(progress, strategy=strategy)
    if plan.up_to_date:
        return Preview(plan, progress, False, None)
    begun = Merges(call.cursor).get(target)
    same = begun and (begun.ours_commit, begun.theirs_commit) == (progress.ours_commit, progress.theirs_commit)
    resolutions = Resolutions(call.cursor).of(target) if same else ()
    base = planned_base(call, plan, progress.ours_commit, progress.theirs_commit)
    ours, theirs = call.tree(progress.ours_commit), call.trees.load(progress.theirs_root)
    decisions = Decisions(resolutions, strategy if strategy != "three-way" else None)
    return Preview(plan, progress, bool(same), merge_trees(call, base, ours, theirs, decisions, rows))


@procedure("epoch_preview_merge", acts=False)
def preview(
    call: Call, source: str, *, into: str | None = None, strategy: Strategy = "three-way", keep_undone: bool = False
) -> list[TablePreview]:
    """What a merge would do, by table: rows, conflicts, violations, and stale derived tables. Changes nothing.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        strategy: take conflicting cells from `ours` or `theirs`
        keep_undone: leave out what was undone on the target, as git does
    """
    cursor = call.cursor
    with call.trying():
        merged = preview_of(call, source, into, strategy, keep_undone).merged
        if merged is None:
            return []
        statement = render.render(
            "merge.preview", conflicts=conflict_rows(merged), violations=violation_rows(call, merged)
        )
        found = {row[0]: row[1:] for row in cursor.execute(statement).fetchall()}
        changed = {str(e.table.name): counts(call, e) for e in merged.tables if e.entry is None or e.entry != e.ours}
        kept = {entry.table_id for entry in merged.tables}
        for table_id, entry in merged.ours.tables.items():
            if table_id not in kept:
                removed = call.contents.version(entry.version_id).row_count
                changed[str(entry.name)] = replace(changed.get(str(entry.name), _NOTHING), removed=removed)
        stale = merged.stale_names
        names = sorted(changed.keys() | found.keys() | {*stale})
        stopping = {name: found.get(name, (0, 0, 0)) for name in names}
        return [
            TablePreview(name, changed.get(name, _NOTHING), cells, definitions, violations, name in stale)
            for name, (cells, definitions, violations) in stopping.items()
        ]


@relation(
    "epoch_preview_diff",
    RowDifference,
    also="with table_name: diff_type, changed_columns, then `from_<col>` and `to_<col>` for each column of either side",
)
def preview_diff(
    call: Call,
    source: str,
    *,
    into: str | None = None,
    table: str | None = None,
    strategy: Strategy = "three-way",
    keep_undone: bool = False,
    revert: bool = False,
) -> Sql:
    """The rows that a merge would change in its target, as `epoch_diff` gives them: with what it brings back after an
    undone promotion, and without what the target keeps. Rows in conflict are left out: see `epoch_preview_conflicts`.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        table: only this table, or the rows of this view
        strategy: take conflicting cells from `ours` or `theirs`
        keep_undone: leave out what was undone on the target, as git does
        revert: what reverting the source, a commit, would do, instead of merging it
    """
    with call.trying():
        preview = preview_of(call, source, into, strategy, keep_undone, rows="queries", revert=revert)
        return rows_between(call, *sides_of(call, preview), (preview.progress.target, source), table)


@query("epoch_preview_diff_stat", DiffStat)
def preview_diff_stat(
    call: Call,
    source: str,
    *,
    into: str | None = None,
    table: str | None = None,
    strategy: Strategy = "three-way",
    keep_undone: bool = False,
    revert: bool = False,
) -> Sql:
    """For each table that a merge would change, how many rows and cells, as `epoch_diff_stat` gives them. Rows in
    conflict are left out.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        table: only this table, or the rows of this view
        strategy: take conflicting cells from `ours` or `theirs`
        keep_undone: leave out what was undone on the target, as git does
        revert: what reverting the source, a commit, would do, instead of merging it
    """
    with call.trying():
        preview = preview_of(call, source, into, strategy, keep_undone, rows="queries", revert=revert)
        return statistics_between(call, *sides_of(call, preview), (preview.progress.target, source), table)


@reading("epoch_preview_schema_diff")
def preview_schema_diff(
    call: Call,
    source: str,
    *,
    into: str | None = None,
    strategy: Strategy = "three-way",
    keep_undone: bool = False,
    revert: bool = False,
) -> list[SchemaChange]:
    """The definitions that a merge would change in its target, as `epoch_schema_diff` gives them. A definition in
    conflict is that of the target.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        strategy: take conflicting cells from `ours` or `theirs`
        keep_undone: leave out what was undone on the target, as git does
        revert: what reverting the source, a commit, would do, instead of merging it
    """
    with call.trying():
        preview = preview_of(call, source, into, strategy, keep_undone, rows="queries", revert=revert)
        return schema_changes_between(*sides_of(call, preview))


@query("epoch_preview_conflicts", Conflict)
def preview_conflicts(
    call: Call,
    source: str,
    *,
    into: str | None = None,
    table: str | None = None,
    strategy: Strategy = "three-way",
    keep_undone: bool = False,
    revert: bool = False,
) -> Sql:
    """The conflicts that a merge would stop on, as `epoch_conflicts` gives them once it is in progress.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        table: only this table
        strategy: take conflicting cells from `ours` or `theirs`
        keep_undone: leave out what was undone on the target, as git does
        revert: what reverting the source, a commit, would do, instead of merging it
    """
    with call.trying():
        preview = preview_of(call, source, into, strategy, keep_undone, rows="queries", revert=revert)
        rows = conflict_rows(preview.merged) if preview.merged else Conflicts.none()
        return listed_conflicts(rows, preview.progress.target if preview.decided else None, strategy, table)


@query("epoch_changes", ChangePattern)
def changes(call: Call, source: str, *, into: str | None = None, table: str | None = None) -> Sql:
    """What the rows that a merge would change have in common, as `epoch_diff_changes` gives it: for each changed column
    how many cells, and the pattern of most of them.

    Args:
        source: the reference to merge
        into: the branch that is merged into; default: the current one
        table: only this table
    """
    with call.trying():
        return patterns_between(call, *sides_of(call, preview_of(call, source, into, rows="queries")), table)


def sides_of(call: Call, preview: Preview) -> tuple[Side, Side]:
    """The target as it is, and as the merge would make it."""
    ours = tree_side(call.contents, call.tree(preview.progress.ours_commit))
    return ours, as_side(call.contents, preview.merged) if preview.merged else ours
