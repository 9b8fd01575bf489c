"""The keys of merged rows as JSON, and the keys with decisions of their own as a relation."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.operations.merge.sides import RowMerge
from epoch_sql.operations.reading.columns import struct
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import aliased


def key_json(merge: RowMerge) -> Sql:
    """The canonical text of a row's key: JSON with the names of the columns, in the order of the table.

    In a table without a key, a value that does not fit the merged type is shown as it is.
    """
    fields = []
    for column in merge.shape.key:
        value = decode(render.column(f"key_{column.id}"), column.type)
        if merge.shape.keyless and column.id in merge.unlike:
            misfit = render.column(f"misfit_{column.id}")
            value = render.fill(Sql("coalesce(CAST({{m}} AS JSON), to_json({{v}}))"), m=misfit, v=value)
        fields.append((merge.merged.column(column.name).name, value))
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))


def decided_keys(merge: RowMerge) -> Sql | None:
    """Keys with decisions, as storage values ``key_<id>``. A text that is not a value of its column gives NULL."""
    columns = merge.shape.key
    selects = []
    for texts in merge.decisions.keys(columns):
        typed = [
            aliased(
                render.fill(Sql("TRY_CAST({{v}} AS {{t}})"), v=render.literal(text), t=render.verbatim(column.type)),
                f"given_{column.id}",
            )
            for text, column in zip(texts, columns, strict=True)
        ]
        selects.append(render.fill(Sql("SELECT {{typed}}"), typed=render.joined(typed, ", ")))
    if not selects:
        return None
    # In a constant, DuckDB loses the types of the members of a UNION.
    stored = [aliased(encode(render.column(f"given_{c.id}"), c.type), f"key_{c.id}") for c in columns]
    return render.fill(
        Sql("SELECT {{stored}} FROM ({{given}}) AS given"),
        stored=render.joined(stored, ", "),
        given=render.joined(selects, " UNION ALL "),
    )
