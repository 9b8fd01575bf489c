"""The versioned tables and views of a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.diff.diff import union
from epoch_sql.model.names import ObjectName, matches_name
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.verb import query
from epoch_sql.versions.sides import side_of


@dataclass(frozen=True)
class TableInfo:
    """A table or a view; the bytes of its files are known where it is committed. A derived table is ``is_stale`` until
    it is rebuilt."""

    table: str
    kind: Literal["table", "view"]
    key_columns: list[str]
    row_count: int | None
    bytes: int | None
    is_derived: bool
    is_stale: bool


@query("epoch_tables", TableInfo)
def tables(call: Call, ref: str = "HEAD") -> Sql:
    """The versioned tables and views.

    Args:
        ref: a reference, or WORKING
    """
    side = side_of(call, ref, macros=False)
    selects = []
    for table_id, table_side in sorted(side.tables.items(), key=lambda pair: str(pair[1].table.name)):
        table = table_side.table
        selects.append(
            render.render(
                "listing.table_row",
                table_name=render.literal(str(table.name)),
                key_columns=render.fill(Sql("CAST({{k}} AS VARCHAR[])"), k=render.strings(table.key_names)),
                row_count=_row_count(call.contents, table_side.version_id, table.name),
                bytes=_bytes(call.contents, table_side.version_id),
                is_derived=render.literal(matches_name(side.derived, table.name)),
                is_stale=render.literal(table_id in side.stale),
            )
        )
    views = [o for o in side.objects if o.kind == "view"]
    selects.extend(render.render("listing.view_row", table_name=render.literal(str(o.name))) for o in views)
    return union(selects, TableInfo)


def _row_count(contents: Contents, version_id: str | None, name: ObjectName) -> Sql:
    if version_id is None:
        return render.fill(Sql("(SELECT count(*) FROM {{t}})"), t=render.table(name))
    return render.literal(contents.version(version_id).row_count)


def _bytes(contents: Contents, version_id: str | None) -> Sql:
    if version_id is None:
        return Sql("NULL")
    levels = contents.levels(version_id)
    return render.literal(sum(file.bytes for level in levels for file in level.files))
