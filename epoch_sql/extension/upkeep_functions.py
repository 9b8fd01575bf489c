"""The functions of the SQL surface for upkeep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from epoch_sql.extension.surface import Procedure, Reading, optional
from epoch_sql.operations.repository import Call
from epoch_sql.operations.upkeep import compact, fsck, gc

Rows = Iterable[Sequence[Any]]


def _gc(call: Call, dry_run: bool, grace: str | None) -> Rows:
    return [tuple(vars(removed).values()) for removed in gc.collect(call, bool(dry_run), grace)]


def _compact(call: Call, table_name: str | None) -> Rows:
    return [tuple(vars(compacted).values()) for compacted in compact.compact(call, table_name)]


def _fsck(call: Call) -> Rows:
    return [tuple(vars(problem).values()) for problem in fsck.check(call)]


READINGS: tuple[Reading, ...] = ()
PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "epoch_gc",
        (
            optional("dry_run", "only tell what would be removed", "false", "BOOLEAN"),
            optional("grace", "an INTERVAL: what is younger stays; default: 7 days"),
        ),
        {"kind": "VARCHAR", "object_id": "VARCHAR", "bytes": "BIGINT", "description": "VARCHAR"},
        _gc,
        "Removes what no branch, tag, stash or recent move of a reference needs, and files that nobody refers to.",
    ),
    Procedure(
        "epoch_compact",
        (optional("table_name", "only this table"),),
        {
            "table_name": "VARCHAR",
            "branches": "VARCHAR[]",
            "row_count": "BIGINT",
            "files_before": "BIGINT",
            "files_after": "BIGINT",
            "bytes_before": "BIGINT",
            "bytes_after": "BIGINT",
        },
        _compact,
        "Rewrites the tables at the head of every branch for fast reading; commits keep their ids and contents.",
    ),
    Procedure(
        "epoch_fsck",
        (),
        {
            "kind": "VARCHAR",
            "table_name": "VARCHAR",
            "object_id": "VARCHAR",
            "commits": "VARCHAR[]",
            "problem": "VARCHAR",
        },
        _fsck,
        "Hashes every file again and walks every commit: one row for each problem, none when all is sound.",
        acts=False,
    ),
)
