"""Merging the rows of one table: the changes of both sides are joined by key, and cells are merged one by one.

Cell-wise three-way merge as in Dolt. Only rows that the incoming side changed are looked at: the result is written as a
delta on the standing side's version, so that the cost follows the changes and never the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.model.schema import Column, Table
from epoch_sql.operations.merge.decisions import Resolution, cell_side, cell_value, row_side, whole_row
from epoch_sql.operations.reading.columns import struct
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents, arrange, compare
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, aliased, converted, filling, shape_of


@dataclass(frozen=True)
class Side:
    """One side of a merge: its version of the table and that version's definition."""

    name: str
    version_id: str
    table: Table
    aliases: Mapping[int, int]


@dataclass(frozen=True)
class RowMerge:
    """What is merged: the base (None: the table was added on both sides), the two sides, the merged definition."""

    base_version: str | None
    base_table: Table | None
    standing: Side
    incoming: Side
    merged: Table
    resolutions: Sequence[Resolution]
    strategy: str | None

    @property
    def shape(self) -> Shape:
        return shape_of(None, self.merged)


def outcome(contents: Contents, merge: RowMerge) -> Sql:
    """The rows that the incoming side changed, merged; columns as in sql/merge_rows.sql."""
    shape = merge.shape
    incoming = changes_of(contents, merge, merge.incoming)
    standing = changes_of(contents, merge, merge.standing)
    keys = [aliased(render.column(f"k{c.id}", "incoming"), f"k{c.id}") for c in shape.key]
    if shape.keyless:
        return render.render(
            "merge_bags", keys=keys, incoming=incoming, standing=standing, same_key=shape.same_key("incoming", "standing", "k", "k")
        )
    values = shape.values
    return render.render(
        "merge_rows",
        key_json=key_json(merge.merged, shape, "incoming"),
        keys=keys,
        sides=_flat([part for c in values for part in _sides(c)] or [Sql("0 AS nothing")]),
        incoming=incoming,
        standing=standing,
        same_key=shape.same_key("incoming", "standing", "k", "k"),
        whole_row=whole_row(merge.resolutions),
        row_side=row_side(merge.resolutions, merge.strategy),
        standing_changed=_any(values, "s{id} IS DISTINCT FROM b{id}"),
        incoming_changed=_any(values, "i{id} IS DISTINCT FROM b{id}"),
        removed_in=render.literal("modify/delete" if merge.incoming.name == "theirs" else "delete/modify"),
        modified_in=render.literal("delete/modify" if merge.incoming.name == "theirs" else "modify/delete"),
        cells=_more([_clash(c) for c in values] + [_cell_side(c, merge) for c in values]),
        values=_more([part for c in values for part in _merged(c, merge)]),
        standing_side=render.literal(merge.standing.name),
        incoming_side=render.literal(merge.incoming.name),
        differs=_any(values, "n{id} IS DISTINCT FROM o{id}"),
    )


def changes_of(contents: Contents, merge: RowMerge, side: Side) -> Sql:
    """The changes of a side since the base in the merged definition's columns, and f<id> where a cast failed."""
    if merge.shape.keyless:
        return _bag_changes(contents, merge, side)
    changes = contents.changes(merge.base_version, side.version_id)
    shape = shape_of(merge.base_table, side.table)
    key = {c.id: c for c in shape.key}
    keys = [aliased(_typed(render.column(f"k{c.id}"), key[c.id], c), f"k{c.id}") for c in merge.shape.key]
    values = [part for c in merge.shape.values for part in _values(c, merge, side)]
    return render.fill(
        Sql("SELECT op, {{columns}} FROM ({{changes}}) AS changes"), columns=_flat([*keys, *values]), changes=changes
    )


def key_json(table: Table, shape: Shape, relation: str | None = None) -> Sql:
    """The canonical text of a row's key: JSON with the columns' names in the order of the table."""
    fields = [(table.column(c.name).name, decode(render.column(f"k{c.id}", relation), c.type)) for c in shape.key]
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))


def _values(column: Column, merge: RowMerge, side: Side) -> list[Sql]:
    own_id = side.aliases.get(column.id, column.id)
    own = side.table.column_by_id(own_id)
    old = merge.base_table.column_by_id(column.id) if merge.base_table else None
    was = _typed(render.column(f"o{column.id}"), old, column) if old else filling(column)
    failed = Sql("false")
    if own:
        value = render.column(f"n{own_id}")
        now = _typed(value, own, column)
        if own.type != column.type:
            failed = render.fill(Sql("{{v}} IS NOT NULL AND {{n}} IS NULL"), v=value, n=now)
    else:
        now = was
    return [aliased(now, f"n{column.id}"), aliased(was, f"o{column.id}"), aliased(failed, f"f{column.id}")]


def _typed(value: render.exp.Column, source: Column, wanted: Column) -> Sql:
    return render.to_sql(value) if source.type == wanted.type else converted(value, source, wanted)


def _bag_changes(contents: Contents, merge: RowMerge, side: Side) -> Sql:
    tables = [table for table in (merge.base_table, side.table, merge.merged) if table]
    if len({tuple((c.id, c.type) for c in table.stored_columns) for table in tables}) == 1 and not merge.merged.key:
        return contents.changes(merge.base_version, side.version_id)
    before = (
        arrange(contents.state(merge.base_version), merge.shape, merge.base_table)
        if merge.base_version and merge.base_table
        else None
    )
    return compare(merge.shape, before, arrange(contents.state(side.version_id), merge.shape, side.table))


def _sides(column: Column) -> list[Sql]:
    i = column.id
    return [
        Sql(f"CASE WHEN incoming.op <> 'added' THEN incoming.o{i} END AS b{i}"),
        Sql(f"CASE WHEN incoming.op = 'removed' THEN incoming.o{i} ELSE incoming.n{i} END AS i{i}"),
        Sql(
            f"CASE WHEN standing.op IS NULL OR standing.op = 'removed' THEN incoming.o{i} ELSE standing.n{i} END AS s{i}"
        ),
        Sql(f"incoming.op <> 'removed' AND incoming.f{i} AS f{i}"),
    ]


def _clash(column: Column) -> Sql:
    i = column.id
    return Sql(
        f"CASE WHEN f{i} THEN true"
        f" WHEN incoming_op = 'added' AND standing_op = 'added' THEN i{i} IS DISTINCT FROM s{i}"
        f" WHEN incoming_op = 'modified' AND standing_op = 'modified' THEN i{i} IS DISTINCT FROM b{i}"
        f" AND s{i} IS DISTINCT FROM b{i} AND i{i} IS DISTINCT FROM s{i} ELSE false END AS x{i}"
    )


def _cell_side(column: Column, merge: RowMerge) -> Sql:
    return aliased(cell_side(merge.resolutions, column, merge.strategy), f"y{column.id}")


def _merged(column: Column, merge: RowMerge) -> list[Sql]:
    i = column.id
    value = render.fill(
        Sql(
            f"CASE WHEN whole_row = {{{{standing}}}} THEN s{i} WHEN whole_row = {{{{incoming}}}} THEN i{i}"
            f" WHEN whole_row = 'base' THEN b{i} WHEN y{i} = 'value' THEN {{{{value}}}}"
            f" WHEN row_clash IS NOT NULL AND row_side = 'base' THEN b{i}"
            f" WHEN x{i} AND y{i} = {{{{incoming}}}} THEN i{i} WHEN x{i} AND y{i} = 'base' THEN b{i}"
            f" WHEN x{i} THEN s{i} WHEN i{i} IS DISTINCT FROM b{i} THEN i{i} ELSE s{i} END"
        ),
        standing=render.literal(merge.standing.name),
        incoming=render.literal(merge.incoming.name),
        value=encode(cell_value(merge.resolutions, column), column.type),
    )
    return [aliased(value, f"n{i}"), Sql(f"s{i} AS o{i}"), Sql(f"NOT x{i} OR y{i} IS NOT NULL AS z{i}")]


def _any(columns: Sequence[Column], condition: str) -> Sql:
    terms = [Sql(condition.format(id=c.id)) for c in columns]
    return render.joined(terms, " OR ") if terms else Sql("false")


def _more(parts: Sequence[Sql]) -> Sql:
    return Sql("".join(f", {part}" for part in parts))


def _flat(parts: Sequence[Sql]) -> Sql:
    return render.joined(parts, ", ")
