"""The rows of a version as base files alone, as they are published: without deltas, a scan costs what plain Parquet
costs.

The files are written besides those of the version. So its history, its commits and its trees stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.content import Files
from epoch_sql.catalog.publishing import Compacted
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Level, TableEntry
from epoch_sql.storage.writing import base_level


def compacted(call: Call, version_ids: Sequence[str]) -> dict[str, list[Level]]:
    """The base level of each version that has no deltas, or of which the rows were written without them before."""
    call.contents.load(version_ids)
    found = {}
    for version_id in version_ids:
        base, *deltas = call.contents.levels(version_id) or [base_level(())]
        if not any(level.files for level in deltas):
            found[version_id] = [base]
    known = Compacted(call.cursor).load(set(version_ids) - found.keys())
    files = Files(call.cursor).load(file_id for ids in known.values() for file_id in ids)
    return found | {i: [base_level(tuple(files[file_id] for file_id in ids))] for i, ids in known.items()}


def compact(call: Call, entry: TableEntry) -> Level:
    """Write the rows of a version as a base level.

    Raises EpochStorageError if these are not as many rows as the version has.
    """
    table = call.contents.table(entry.version_id)
    level = call.writer.base(call.contents.state(entry.version_id), table)
    rows = level.row_count
    if rows != call.contents.version(entry.version_id).row_count:
        raise EpochStorageError(
            f"table {entry.name} has {rows} rows, and its commit says otherwise", Suggestion("fsck")
        )
    return level


def store(call: Call, levels: dict[str, tuple[TableEntry, Level]]) -> None:
    """Note what was written, by the ids of the versions, within the caller's transaction."""
    Files(call.cursor).add(file for _, level in levels.values() for file in level.files)
    Compacted(call.cursor).insert_missing(
        (version_id, entry.table_id, [file.file_id for file in level.files])
        for version_id, (entry, level) in levels.items()
    )
