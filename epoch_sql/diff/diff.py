"""``epoch_diff`` in its two forms, ``epoch_diff_stat``, ``epoch_diff_summary`` and ``epoch_schema_diff``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call, require_trusted
from epoch_sql.model.commit import RowCounts
from epoch_sql.model.schema import Table
from epoch_sql.model.schema_diff import SchemaChange, schema_changes
from epoch_sql.query.views import (
    Result,
    ViewDifference,
    is_of_view,
    view_difference,
)
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.shape import Shape, aliased
from epoch_sql.verb import Json, columns_of, query, reading, relation
from epoch_sql.versions.differences import Difference, changes_between, decided, differences
from epoch_sql.versions.folding import same_values
from epoch_sql.versions.sides import (
    Side,
    TableSide,
    by_value,
    changed_columns,
    computed,
    crossing,
    expanded,
    key_struct,
    pairs,
    row_struct,
    rows_of,
    side_of,
    value,
)

_NO_ROWS = Sql("CAST(NULL AS BIGINT)")


@dataclass(frozen=True)
class RowDifference:
    """A row that differs."""

    table: str
    diff_type: Literal["added", "modified", "removed"]
    key: Json | None
    changed_columns: list[str]
    from_row: Json | None
    to_row: Json | None


@dataclass(frozen=True)
class DiffStat:
    """How much of a table differs; None where there are no rows to compare with."""

    table: str
    rows: RowCounts
    rows_unmodified: int
    cells_modified: int
    old_row_count: int | None
    new_row_count: int | None


@dataclass(frozen=True)
class DiffSummary:
    """In what a table differs."""

    table: str
    diff_type: Literal["added", "modified", "removed", "renamed"]
    data_change: bool
    schema_change: bool


@relation(
    "epoch_diff",
    RowDifference,
    also="with table_name: diff_type, changed_columns, then `from_<col>` and `to_<col>` for each column of either side",
)
def diff(call: Call, from_ref: str, to_ref: str, *, table: str | None = None) -> Sql:
    """The rows that differ between two references: of all tables as JSON, or of one table with its own columns.

    Args:
        from_ref: the older side: a reference, or WORKING
        to_ref: the newer side: a reference, or WORKING
        table: only this table, or the rows of this view
    """
    return rows_between(call, *_sides(call, from_ref, to_ref), (from_ref, to_ref), table)


def rows_between(call: Call, before: Side, after: Side, refs: tuple[str, str], table: str | None) -> Sql:
    """The rows of ``epoch_diff`` for two sides, which messages call ``refs``."""
    if table is not None and is_of_view(before, after, table):
        view = view_difference(call, (before, refs[0]), (after, refs[1]), table)
        old, new = (side.table if side else None for side in (view.before, view.after))
        return _typed(old, new, view.changes, view.shape)
    found = differences(before, after, table)
    if table is not None:
        tables = tables_of(found[0])
        require_trusted(call, *(table for table in tables if table and any(not c.stored for c in table.columns)))
        return _typed(*tables, *changes_of(call, found[0]))
    selects = [_as_json(call, difference) for difference in found]
    return union(selects, RowDifference)


def _sides(call: Call, from_ref: str, to_ref: str) -> tuple[Side, Side]:
    """Both sides, for their tables and views."""
    return side_of(call, from_ref, macros=False), side_of(call, to_ref, macros=False)


@query("epoch_diff_stat", DiffStat)
def diff_stat(call: Call, from_ref: str, to_ref: str, *, table: str | None = None) -> Sql:
    """For each table that differs, how many rows and cells differ.

    Args:
        from_ref: the older side: a reference, or WORKING
        to_ref: the newer side: a reference, or WORKING
        table: only this table, or the rows of this view
    """
    return statistics_between(call, *_sides(call, from_ref, to_ref), (from_ref, to_ref), table)


def statistics_between(call: Call, before: Side, after: Side, refs: tuple[str, str], table: str | None) -> Sql:
    """The rows of ``epoch_diff_stat`` for two sides, which messages call ``refs``."""
    if table is not None and is_of_view(before, after, table):
        return _view_stat(view_difference(call, (before, refs[0]), (after, refs[1]), table))
    selects = [_stat(call, difference) for difference in differences(before, after, table)]
    rows = union(selects, DiffStat)
    if table is not None:
        return rows
    return render.render(
        "diff.stat_of_changed",
        rows=rows,
    )


@query("epoch_diff_summary", DiffSummary)
def diff_summary(call: Call, from_ref: str, to_ref: str) -> Sql:
    """The tables that differ, and whether their data or their schema differs.

    Args:
        from_ref: the older side: a reference, or WORKING
        to_ref: the newer side: a reference, or WORKING
    """
    before, after = _sides(call, from_ref, to_ref)
    selects = []
    for difference in differences(before, after):
        kind, schema_differs = _kind(difference)
        selects.append(
            render.render(
                "diff.summary",
                table_name=render.literal(str(difference.table.name)),
                diff_type=render.literal(kind),
                schema_change=render.literal(schema_differs),
                data_change=_data_change(call, difference),
            )
        )
    return union(selects, DiffSummary)


@reading("epoch_schema_diff")
def schema_diff(call: Call, from_ref: str, to_ref: str) -> list[SchemaChange]:
    """The definitions of tables, columns and other objects that differ.

    Args:
        from_ref: the older side: a reference, or WORKING
        to_ref: the newer side: a reference, or WORKING
    """
    return schema_changes_between(side_of(call, from_ref), side_of(call, to_ref))


def schema_changes_between(before: Side, after: Side) -> list[SchemaChange]:
    """The differences of all definitions between two sides."""
    pairs = {str(position): pair for position, pair in enumerate(differences(before, after))}
    old = {position: pair.before.table for position, pair in pairs.items() if pair.before}
    new = {position: pair.after.table for position, pair in pairs.items() if pair.after}
    return schema_changes(old, new, before.objects, after.objects)


def _data_change(call: Call, difference: Difference) -> Sql:
    """Whether rows differ: by the fingerprints of two versions with the same columns, without reading a row."""
    sides = [side for side in (difference.before, difference.after) if side]
    versions = [call.contents.version(side.version_id) for side in sides if side.version_id]
    if len(versions) == len(sides) == 1:
        return render.literal(versions[0].row_count > 0)
    if len(versions) == 2 and same_values(*(call.contents.table(version.version_id) for version in versions)):
        return render.literal(versions[0].fingerprint != versions[1].fingerprint)
    return render.fill(Sql("EXISTS (FROM ({{changes}}) AS changes)"), changes=changes_of(call, difference)[0])


def union(selects: list[Sql], record: type) -> Sql:
    """The rows of all; if there are none, no rows with the columns of a dataclass."""
    return render.joined(selects, "\nUNION ALL\n") if selects else render.constants(columns_of(record))


def _typed(before: Table | None, after: Table | None, changes: Sql, shape: Shape) -> Sql:
    rows = expanded(changes, shape)
    carried = ["op", *(f"k{c.id}" for c in shape.key), *(f"{p}{c.id}" for c in shape.values for p in "no")]
    for table, prefix in ((before, "o"), (after, "n")):
        rows = computed(table, shape, prefix, rows, carried)
        carried += [f"g{prefix}{c.id}" for c in (table.columns if table else ()) if not c.stored]
    found = pairs(before, after)
    taken = {p.from_name.lower() for p in found if p.before} | {p.to_name.lower() for p in found if p.after}
    outputs = []
    for pair in found:
        if pair.before or pair.from_name.lower() not in taken:
            outputs.append(aliased(value(pair.before, shape, "o", pair.after), pair.from_name))
        if pair.after or pair.to_name.lower() not in taken:
            outputs.append(aliased(value(pair.after, shape, "n", pair.before), pair.to_name))
    return render.fill(
        Sql("SELECT op AS diff_type, {{changed}} AS changed_columns, {{outputs}} FROM ({{changes}}) AS changes"),
        changed=changed_columns(shape),
        outputs=outputs,
        changes=rows,
    )


def _as_json(call: Call, difference: Difference) -> Sql:
    changes, shape = changes_of(call, difference)
    before, after = tables_of(difference)
    return render.render(
        "diff.as_json",
        table_name=render.literal(str(difference.table.name)),
        key=key_struct(difference.table, shape),
        changed=changed_columns(shape),
        from_row=row_struct(before, shape, "o"),
        to_row=row_struct(after, shape, "n"),
        changes=expanded(changes, shape),
    )


def _stat(call: Call, difference: Difference) -> Sql:
    changes, shape = changes_of(call, difference)
    return render.render(
        "diff.bag_stat" if shape.keyless else "diff.stat",
        table_name=render.literal(str(difference.table.name)),
        cells=_cells(shape),
        changes=changes,
        old_row_count=(old := _row_count(call.contents, difference.before)),
        new_row_count=_row_count(call.contents, difference.after, old),
    )


def _view_stat(view: ViewDifference) -> Sql:
    def count(side: Result | None) -> Sql:
        return render.fill(Sql("(SELECT count(*) FROM ({{rows}}) AS result)"), rows=side.rows) if side else _NO_ROWS

    side = view.after or view.before
    assert side
    return render.render(
        "diff.bag_stat",
        table_name=render.literal(str(side.table.name)),
        changes=view.changes,
        old_row_count=count(view.before),
        new_row_count=count(view.after),
    )


def changes_of(call: Call, difference: Difference) -> tuple[Sql, Shape]:
    """The changed rows. A column that is generated on one side and stored on the other is compared by its values."""
    before, after = difference.before, difference.after
    if not before or not after or not crossing(before.table, after.table):
        return changes_between(call, difference)
    require_trusted(call, before.table, after.table)
    changes, shape = by_value(before.table, rows_of(call.contents, before), after.table, rows_of(call.contents, after))
    return decided(changes, after), shape


def _cells(shape: Shape) -> Sql:
    terms = [
        render.fill(
            Sql("CAST({{d}} AS BIGINT)"),
            d=shape.value_differs(c, render.column(f"n{c.id}"), render.column(f"o{c.id}")),
        )
        for c in shape.compared
    ]
    return render.joined(terms, " + ") if terms else Sql("0")


def _row_count(contents: Contents, side: TableSide | None, before: Sql = _NO_ROWS) -> Sql:
    if side is None:
        return _NO_ROWS
    if side.made:
        return render.fill(Sql("coalesce({{before}}, 0) + rows_added - rows_removed"), before=before)
    if side.version_id:
        return render.fill(Sql("CAST({{n}} AS BIGINT)"), n=render.literal(contents.version(side.version_id).row_count))
    return render.fill(Sql("(SELECT count(*) FROM {{t}})"), t=render.table(side.table.name))


def _kind(difference: Difference) -> tuple[str, bool]:
    before, after = tables_of(difference)
    if before is None:
        return "added", True
    if after is None:
        return "removed", True
    return ("renamed" if before.name != after.name else "modified"), before.content_digest != after.content_digest


def tables_of(difference: Difference) -> tuple[Table | None, Table | None]:
    """The definitions on both sides."""
    before, after = difference.before, difference.after
    return (before.table if before else None), (after.table if after else None)
