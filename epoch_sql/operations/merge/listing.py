"""The conflicts of a merged tree as rows, with the values of both sides and of the base as JSON."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.model.schema import canonical_json
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.operations.merge.merged import MergedEntry, MergedTree
from epoch_sql.render import Sql

NO_CONFLICTS = Sql(
    "SELECT ''::VARCHAR AS table_name, NULL::VARCHAR AS key, NULL::VARCHAR AS column_name, ''::VARCHAR AS kind, "
    "NULL::VARCHAR AS base, NULL::VARCHAR AS ours, NULL::VARCHAR AS theirs, false AS resolved WHERE false"
)


def conflict_rows(merged: MergedTree) -> Sql:
    """Every conflict of a merged tree: the columns of ``epoch_conflicts``, with JSON as text."""
    selects = [NO_CONFLICTS]
    for entry in merged.tables:
        selects.extend(data_conflicts(entry))
    selects.extend(_schema_row(conflict) for conflict in merged.schema_conflicts)
    return render.joined(selects, "\nUNION ALL\n")


def data_conflicts(entry: MergedEntry) -> list[Sql]:
    """The SELECT that lists the clashing cells and rows of one table, if it has merged rows."""
    if entry.rows is None:
        return []
    statement = "SELECT {{name}}, key_json, unnest(conflicts, max_depth := 2) FROM {{rows}}"
    return [render.fill(Sql(statement), name=render.literal(str(entry.table.name)), rows=render.identifier(entry.rows))]


def _schema_row(conflict: SchemaConflict) -> Sql:
    texts = [conflict.base, conflict.ours, conflict.theirs]
    values: list[render.Piece] = [
        render.literal(conflict.table_name),
        Sql("NULL"),
        render.literal(conflict.column_name),
        render.literal("schema"),
        *(render.literal(canonical_json(text) if text is not None else None) for text in texts),
        render.literal(conflict.resolved),
    ]
    return render.fill(Sql("SELECT {{values}}"), values=values)
