"""Tables as of a reference, in the columns of users."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.model.schema import Table
from epoch_sql.operations.reading.generated import with_generated
from epoch_sql.operations.reading.sides import TableSide
from epoch_sql.operations.repository import Call
from epoch_sql.operations.trusting import require_trusted
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import aliased


def table_rows(call: Call, side: TableSide, bare: bool = False) -> Sql:
    """The rows of a table on one side, in its own columns. With ``bare``, a relation of the same columns without
    rows."""
    if side.version_id is None:
        return render.fill(Sql("FROM {{t}}"), t=render.table(side.table.name))
    require_trusted(call, side.table)
    contents = call.contents
    return native_rows(side.table, contents.state_of(side.table, []) if bare else contents.state(side.version_id))


def native_rows(table: Table, state: Sql) -> Sql:
    """Rows of storage values (``c<id>``) as native values under the names of the columns, with generated columns."""
    stored = [aliased(decode(render.column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns]
    rows = render.fill(Sql("SELECT {{stored}} FROM ({{state}}) AS state"), stored=stored, state=state)
    generated = [c for c in table.columns if not c.stored]
    if not generated:
        return rows
    return render.fill(
        Sql("SELECT {{columns}} FROM ({{rows}}) AS complete"),
        columns=[render.column(c.name) for c in table.columns],
        rows=with_generated(table, rows),
    )
