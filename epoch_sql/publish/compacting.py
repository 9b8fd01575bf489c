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
from epoch_sql.model.schema import Table
from epoch_sql.storage.writing import base_level
from epoch_sql.versions.folding import alike, rewritten


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
    """Write the rows of a version as a base level. Files without changed keys stay as they are.

    Raises EpochStorageError if these are not as many rows as the version has.
    """
    table = call.contents.table(entry.version_id)
    levels, count = _levels(call, entry, table), call.contents.version(entry.version_id).row_count
    level = rewritten(call, levels, table, whole=True)
    if level is None:
        level = call.writer.base(call.contents.state_of(table, levels), table, count)
    rows = level.row_count
    if rows != count:
        raise EpochStorageError(
            f"table {entry.name} has {rows} rows, and its commit says otherwise", Suggestion("fsck")
        )
    return level


def _levels(call: Call, entry: TableEntry, table: Table) -> Sequence[Level]:
    """The levels of a version. If an earlier version was compacted, and deltas lead on from there, these instead: most
    of its files can stay."""
    contents = call.contents
    own = contents.levels(entry.version_id)
    found = [own]
    for version_id, base in compacted(call, [*Compacted(call.cursor).of_table(entry.table_id)]).items():
        steps = contents.path(version_id, entry.version_id)
        if steps and all(forward for _, forward in steps) and alike(contents.table(version_id), table):
            found.append([*base, *(level for level, _ in steps)])
    return min(found, key=lambda levels: sum(level.row_count for level in levels[1:]))


def store(call: Call, levels: dict[str, tuple[TableEntry, Level]]) -> None:
    """Note what was written, by the ids of the versions, within the caller's transaction."""
    Files(call.cursor).add(file for _, level in levels.values() for file in level.files)
    Compacted(call.cursor).insert_missing(
        (version_id, entry.table_id, [file.file_id for file in level.files])
        for version_id, (entry, level) in levels.items()
    )
