"""The versioned tables and views of a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.model.names import matches_name
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.verb import Column, columns_of, query
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
    rows: list[list[Any]] = []
    counts = []
    for table_id, found in sorted(side.tables.items(), key=lambda pair: str(pair[1].table.name)):
        name, version_id = found.table.name, found.version_id
        count, size = _stored(call.contents, version_id) if version_id else (None, None)
        derived, stale = matches_name(side.derived, name), table_id in side.stale
        rows.append([len(rows), str(name), "table", found.table.key_names, count, size, derived, stale])
        if version_id is None:
            counting = "SELECT {{position}} AS position, count(*) AS row_count FROM {{table}}"
            counts.append(render.fill(counting, position=render.literal(len(rows) - 1), table=render.table(name)))
    views = (made for made in side.objects if made.kind == "view")
    rows += [[n, str(view.name), "view", [], None, None, False, False] for n, view in enumerate(views, len(rows))]
    return render.render(
        "listing.tables",
        known=render.constants((_POSITION, *columns_of(TableInfo)), rows),
        counted=render.joined(counts, "\nUNION ALL\n") if counts else render.constants((_POSITION, _ROW_COUNT)),
    )


_POSITION, _ROW_COUNT = Column("position", "BIGINT"), Column("row_count", "BIGINT")


def _stored(contents: Contents, version_id: str) -> tuple[int, int]:
    """The number of rows of a version, and the bytes of its files."""
    files = (file for level in contents.levels(version_id) for file in level.files)
    return contents.version(version_id).row_count, sum(file.bytes for file in files)
