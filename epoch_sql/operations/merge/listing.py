"""The conflicts of a merged tree as rows, with the values of both sides and of the base as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from epoch_sql import render
from epoch_sql.model.schema import Column, canonical_json
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.operations.merge.merged import MergedEntry, MergedTree
from epoch_sql.operations.merge.rows import RowMerge
from epoch_sql.operations.reading.columns import struct
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode

NO_CONFLICTS = Sql(
    "SELECT ''::VARCHAR AS table_name, NULL::VARCHAR AS key, NULL::VARCHAR AS column_name, ''::VARCHAR AS kind, "
    "NULL::VARCHAR AS base, NULL::VARCHAR AS ours, NULL::VARCHAR AS theirs, false AS resolved WHERE false"
)

_FAILED = {"s": "g", "i": "f"}


def conflict_rows(merged: MergedTree) -> Sql:
    """Every conflict of a merged tree: the columns of ``epoch_conflicts``, with JSON as text."""
    selects = [NO_CONFLICTS]
    for entry in merged.tables:
        selects.extend(data_conflicts(entry))
    selects.extend(_schema_row(conflict) for conflict in merged.schema_conflicts)
    return render.joined(selects, "\nUNION ALL\n")


def data_conflicts(entry: MergedEntry) -> list[Sql]:
    """The selects that list the clashing cells and rows of one table."""
    if entry.merge is None or entry.rows is None or entry.merge.shape.keyless:
        return []
    ours, theirs = ("s", "i") if entry.merge.standing.name == "ours" else ("i", "s")
    name = render.literal(str(entry.table.name))
    rows = render.identifier(entry.rows)
    selects = [
        render.render(
            "merge_conflicts",
            table_name=name,
            column_name=render.literal(column.name),
            base=_json(entry.merge, column, "b", "h"),
            ours=_json(entry.merge, column, ours, _FAILED[ours]),
            theirs=_json(entry.merge, column, theirs, _FAILED[theirs]),
            settled=Sql(f"z{column.id}"),
            clash=Sql(f"x{column.id}"),
            rows=rows,
        )
        for column in entry.merge.shape.values
    ]
    sides = {side: _row_json(entry, prefix) for side, prefix in (("base", "b"), ("ours", ours), ("theirs", theirs))}
    return [*selects, render.render("merge_row_conflicts", table_name=name, rows=rows, **sides)]


def _json(merge: RowMerge, column: Column, prefix: str, failed: str) -> Sql:
    """A value as JSON, also where it is none of the merged type."""
    value = decode(render.column(f"{prefix}{column.id}"), column.type)
    text = render.fill(Sql("CAST(to_json({{v}}) AS VARCHAR)"), v=value)
    if column.id not in merge.retyped:
        return text
    return render.fill(Sql("coalesce({{t}}, {{f}})"), t=text, f=render.column(f"{failed}{column.id}"))


def _row_json(entry: MergedEntry, prefix: str) -> Sql:
    assert entry.merge
    key: Sequence[int] = [column.id for column in entry.merge.shape.key]
    fields = [
        (c.name, decode(render.column(f"{'k' if c.id in key else prefix}{c.id}"), c.type))
        for c in entry.table.stored_columns
    ]
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))


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
