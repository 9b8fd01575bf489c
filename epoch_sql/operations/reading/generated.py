"""Computes generated columns, which no version holds, from the row and the definition at that time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from epoch_sql import render
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import arrange, compare
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, aliased, shape_of


def with_generated(table: Table, rows: Sql) -> Sql:
    """Rows with the native values of all stored columns, and after them those of the generated columns."""
    for column in table.columns:
        if column.generated is not None:
            value = render.fill(
                Sql("CAST({{e}} AS {{t}})"), e=render.verbatim(column.generated), t=render.verbatim(column.type)
            )
            rows = render.fill(
                Sql("SELECT *, {{c}} FROM ({{rows}}) AS stored"), c=aliased(value, column.name), rows=rows
            )
    return rows


def free_name(name: str, table: Table) -> str:
    """A name that no column of a table has, for an additional column."""
    taken = [column.name.lower() for column in table.columns]
    while name.lower() in taken:
        name += "_"
    return name


def crossing(before: Table, after: Table) -> frozenset[int]:
    """The columns (by id) that are generated on one side and have values of their own on the other."""
    sides = [({c.id for c in t.columns if not c.stored}, {c.id for c in t.stored_columns}) for t in (before, after)]
    (old_generated, old_stored), (new_generated, new_stored) = sides
    return frozenset((old_generated & new_stored) | (old_stored & new_generated))


def by_value(before: Table, before_rows: Sql, after: Table, after_rows: Sql) -> tuple[Sql, Shape]:
    """The difference between rows (``c<id>``) of two definitions. A column that is generated on one side and stored
    on the other is compared by its values."""
    ids = crossing(before, after)
    (old, old_rows), (new, new_rows) = as_stored(before, before_rows, ids), as_stored(after, after_rows, ids)
    shape = shape_of(old, new)
    return compare(shape, arrange(old_rows, shape, old, old=True), arrange(new_rows, shape, new)), shape


def storing(table: Table, ids: Iterable[int]) -> Table:
    """A table as if it stored the values of generated columns."""
    wanted = set(ids)
    columns = tuple(replace(c, generated=None) if c.id in wanted and not c.stored else c for c in table.columns)
    return table if columns == table.columns else replace(table, columns=columns)


def as_stored(table: Table, rows: Sql, ids: Iterable[int]) -> tuple[Table, Sql]:
    """A table and its rows (``c<id>``, storage values) as if it stored the values of generated columns."""
    wanted = [c for c in table.columns if c.id in set(ids) and not c.stored]
    if not wanted:
        return table, rows
    kept = {c.id: free_name(f"c{c.id}", table) for c in table.stored_columns}
    outputs = [
        *(aliased(render.column(f"c{i}"), free) for i, free in kept.items()),
        *(aliased(decode(render.column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns),
    ]
    native = render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS stored"), outputs=outputs, rows=rows)
    stored = [
        *(aliased(render.column(free), f"c{i}") for i, free in kept.items()),
        *(aliased(encode(render.column(c.name), c.type), f"c{c.id}") for c in wanted),
    ]
    return storing(table, ids), render.fill(
        Sql("SELECT {{stored}} FROM ({{rows}}) AS computed"), stored=stored, rows=with_generated(table, native)
    )
