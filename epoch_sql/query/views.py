"""``epoch_at``: a table or a view as of a reference. Also the difference of a view between two sides.

``epoch_query`` gives the rows of a view. A view has no versions and no key, so its difference is that of two bags: the
rows that only one side has.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.call import Call, no_table
from epoch_sql.errors import EpochTableError
from epoch_sql.model.revisions import parse_revision
from epoch_sql.model.schema import Column, ObjectName, SchemaObject, Table, identity
from epoch_sql.query.query import view_of
from epoch_sql.query.table_references import Provable, require_reading
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import check_supported, encode
from epoch_sql.storage.shape import Shape, aliased, arrange, compare, shape_of
from epoch_sql.verb import relation
from epoch_sql.versions.sides import Side, side_of, table_rows


@dataclass(frozen=True)
class Result:
    """The rows of a view, or of a table of its name, on one side. The definition is that of a table with the same
    columns."""

    table: Table
    rows: Sql


@dataclass(frozen=True)
class ViewDifference:
    """The difference of a view between two sides. A side is None if it has no view of that name."""

    before: Result | None
    after: Result | None
    changes: Sql
    shape: Shape


@relation("epoch_at", also="its own columns")
def at(call: Call, ref: str, table: str) -> Sql:
    """The rows of a table or view as of a reference, in the columns that it had then.

    Raises EpochTableError if it did not exist there.

    Args:
        ref: a reference, or WORKING
        table: `orders` or `schema.orders`
    """
    side = side_of(call, ref, macros=False)
    found, view = side.named(table), side.view(table)
    if found:
        return table_rows(call, found[1])
    if view:
        return view_rows(call, side, ref, view)
    where = "the working database" if parse_revision(ref).is_working else ref
    views = [str(o.name) for o in side.objects if o.kind == "view"]
    raise no_table(table, [*(str(t.table.name) for t in side.tables.values()), *views], where)


def view_rows(call: Call, side: Side, ref: str, view: SchemaObject) -> Sql:
    """The rows of a view as of a reference. Raises EpochTableError if it cannot be read there."""
    if parse_revision(ref).is_working:
        rows = render.fill(Sql("FROM {{view}}"), view=render.table(view.name))
        provable = Provable(rows, rows)
    else:
        provable = view_of(call, side, ref, view)
    _described(call.cursor, provable.bare, view.name, ref)
    require_reading(call, provable.bare, f"view {view.name}")
    return provable.sql


def is_of_view(before: Side, after: Side, name: str) -> bool:
    """Whether the name is a view on at least one side, so that the difference is not that of a table."""
    found = after.named(name)
    if found:
        return before.view(name) is not None and found[0] not in before.tables
    return after.view(name) is not None or (before.named(name) is None and before.view(name) is not None)


def view_difference(call: Call, before: tuple[Side, str], after: tuple[Side, str], name: str) -> ViewDifference:
    """The rows of a view that only one of two sides (with their references) has."""
    old, new = (_result(call, *side, name) for side in (before, after))
    shape = shape_of(old.table if old else None, new.table if new else None)
    sides = [
        arrange(_stored(side), shape, side.table, old=position == 0) if side else None
        for position, side in enumerate((old, new))
    ]
    return ViewDifference(old, new, compare(shape, *sides), shape)


def _result(call: Call, side: Side, ref: str, name: str) -> Result | None:
    view = side.view(name)
    found = side.named(name)
    if found:
        rows, of = table_rows(call, found[1]), found[1].table.name
    elif view:
        rows, of = view_rows(call, side, ref, view), view.name
    else:
        return None
    columns: list[Column] = []
    for column, type in _described(call.cursor, rows, of, ref):
        check_supported(type)
        number = identity("view", column.lower(), taken={c.id for c in columns})
        columns.append(Column(column, type, number))
    return Result(Table(of, tuple(columns)), rows)


def _described(cursor: duckdb.DuckDBPyConnection, rows: Sql, name: ObjectName, ref: str) -> list[tuple[str, str]]:
    """The names and types of columns. Raises EpochTableError if DuckDB cannot bind the rows."""
    try:
        found = cursor.execute(render.fill(Sql("DESCRIBE {{rows}}"), rows=rows)).fetchall()
    except duckdb.Error as error:
        raise EpochTableError(
            f"view {name} cannot be read as of {ref}: {str(error).strip().splitlines()[0]}",
            "read it as of a reference that has what it names",
            table=str(name),
        ) from error
    return [(row[0], row[1]) for row in found]


def _stored(result: Result) -> Sql:
    outputs = [aliased(encode(render.column(c.name), c.type), f"c{c.id}") for c in result.table.columns]
    return render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS result"), outputs=outputs, rows=result.rows)
