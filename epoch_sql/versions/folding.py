"""Folding the levels of a version, and what is compared and counted of the changes between two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import log

import duckdb

from epoch_sql import config, render
from epoch_sql.call import Call
from epoch_sql.model.commit import DataFile, Level, RowCounts, Tree, tree_identity
from epoch_sql.model.schema import Table, compatible
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.key_ranges import Zone, between, runs, zones
from epoch_sql.storage.shape import columns, keyed_alike, shape_of
from epoch_sql.storage.skipping import comparable, touched_zones
from epoch_sql.storage.writing import base_level, delta_level

FOLD_AT = 4
REWRITE_SHARE = 5
"""Deltas of more than one in so many of the base level's rows become a new base level."""
MOST_REWRITTEN = 1 << 26
"""A commit rewrites files of at most so many rows, so that it never takes hours. More is left to ``epoch_compact``."""


def tree_id(contents: Contents, tree: Tree) -> str:
    """The id of a tree's content."""
    contents.load(entry.version_id for entry in tree.tables.values())
    tables = [
        (e, contents.table(e.version_id).content_digest, contents.version(e.version_id).fingerprint)
        for e in tree.tables.values()
    ]
    return tree_identity(tables, tree)


def alike(before: Table, after: Table) -> bool:
    """Whether a delta can lead from rows of one definition to rows of the other."""
    types = {column.id: column.type for column in before.stored_columns}
    return keyed_alike(before, after) and all(
        compatible(types[c.id], c.type) for c in after.stored_columns if c.id in types
    )


def same_values(before: Table, after: Table) -> bool:
    """Whether an unchanged row has the same hash under both definitions."""
    return [(c.id, c.type) for c in before.stored_columns] == [(c.id, c.type) for c in after.stored_columns]


def fold(call: Call, levels: list[Level], table: Table, fingerprint: str) -> list[Level]:
    """Levels (base first, the last one new) with runs of small deltas folded into one, as in size-tiered LSM trees.

    Four deltas of about the same size (within a factor of four) at the end become one. So the number of levels grows
    with the logarithm of the changes. A folded level leads from the start of its first delta to the new version.
    """
    while True:
        run = _last_run(levels)
        if len(run) < FOLD_AT:
            return levels
        # The newest delta is read back, and its definition may be new too.
        call.contents.store_descriptions([table], [])
        old, start = _start(call.contents, run[0], table)
        shape = shape_of(old, table)
        changes = call.contents.compose([(level, True) for level in run], shape)
        written = call.writer.delta(changes, shape, old, table)
        levels = levels[: -len(run)]
        if written is None:
            return levels
        levels.append(delta_level(written, start, "", fingerprint, table.digest))


def is_rewritten(call: Call, levels: Sequence[Level], table: Table) -> bool:
    """Whether a commit writes the files again that its deltas have keys of, because these are many rows."""
    base = levels[0]
    if sum(level.row_count for level in levels[1:]) * REWRITE_SHARE <= base.row_count:
        return False
    if base.row_count <= MOST_REWRITTEN:
        return True
    # The newest delta is read back, and its definition may be new too.
    call.contents.store_descriptions([table], [])
    found = zones(base.files)
    rows = (file.row_count for n in _touched(call, found, levels, table) for file in found[n].files)
    return sum(rows) <= MOST_REWRITTEN


def compacted(call: Call, levels: Sequence[Level], table: Table) -> Level:
    """A base level with the rows of these levels."""
    written = rewritten(call, levels, table)
    if written:
        return written
    call.contents.require_sound(levels)
    count = levels[0].row_count + sum(level.rows.added - level.rows.removed for level in levels[1:])
    return call.writer.base(call.contents.state_of(table, levels), table, count)


def rewritten(call: Call, levels: Sequence[Level], table: Table, whole: bool = False) -> Level | None:
    """A base level with the rows of these levels, which keeps the files that no delta has a key of.

    None if there is no such file, so that all rows have to be written. With ``whole``, it keeps only files as they
    would be written now.
    """
    base, deltas = levels[0], levels[1:]
    found = zones(base.files)
    touched = _touched(call, found, levels, table)
    if whole:
        stale = outdated(call, base.files, table.digest)
        touched |= {n for n, zone in enumerate(found) if not stale.isdisjoint(zone.files)}
    if len(touched) == len(found):
        return None
    files: list[DataFile] = []
    changing = sum(is_touched for is_touched, _ in runs(found, touched))
    for is_touched, zone in runs(found, touched):
        files += _zone_rewritten(call, zone, deltas, table, changing == 1) if is_touched else zone.files
    return base_level(tuple(files))


def _touched(call: Call, found: Sequence[Zone], levels: Sequence[Level], table: Table) -> set[int]:
    """The zones (by number) of a base level that deltas have keys of."""
    if len(found) < 2 or not comparable(call.contents.schema, levels, table):
        return {*range(len(found))}
    changed = [file for level in levels[1:] for file in level.files]
    return touched_zones(call.cursor, call.store, call.contents.schema, found, changed)


def outdated(call: Call, files: Sequence[DataFile], schema_id: str) -> set[DataFile]:
    """The files of another definition, or in encodings that the readers they are to be written for do not take."""
    found = {file for file in files if file.schema_id != schema_id}
    if files and config.readers(call.shared):
        paths = render.strings([str(call.store.path(file.file_id)) for file in files])
        packed = {row[0] for row in call.cursor.execute(render.render("files.packed", paths=paths)).fetchall()}
        found |= {file for file in files if file.file_id in packed}
    return found


def _zone_rewritten(call: Call, zone: Zone, deltas: Sequence[Level], table: Table, alone: bool) -> tuple[DataFile, ...]:
    """The files with the rows of a zone. It is ``alone`` if no delta has keys outside of it."""
    levels = [base_level(zone.files), *deltas]
    call.contents.require_sound(levels)
    rows = call.contents.state_of(table, levels)
    count = sum(file.row_count for file in zone.files)
    if alone:
        count += sum(level.rows.added - level.rows.removed for level in deltas)
    else:
        inside = between(columns("c", table.key), zone.start, zone.end)
        rows = render.fill(Sql("SELECT * FROM ({{rows}}) AS state WHERE {{inside}}"), rows=rows, inside=inside)
    return call.writer.base(rows, table, count).files


def _start(contents: Contents, first: Level, table: Table) -> tuple[Table, str | None]:
    """The definition of the old values of a folded level, and the version that it leads from.

    A fold across a dropped column lacks that column's old values. So it is a level, but not an edge from a version.
    """
    old = contents.schema(first.files[0].old_schema_id or table.digest)
    kept = {column.id for column in table.stored_columns}
    if first.from_version and all(column.id in kept for column in old.stored_columns):
        return old, first.from_version
    return table, None


def _last_run(levels: Sequence[Level]) -> list[Level]:
    tier = _tier(levels[-1])
    return list(takewhile(lambda level: _tier(level) <= tier, reversed(levels[1:])))[::-1]


def _tier(level: Level) -> int:
    return int(log(max(level.row_count, 1), 4))


def count_changes(cursor: duckdb.DuckDBPyConnection, changes: Sql, keyless: bool) -> RowCounts:
    """The numbers of rows that changes (see ``Shape``) add, modify and remove."""
    row = cursor.execute(
        render.render("plan.count_bag_changes" if keyless else "plan.count_changes", changes=changes)
    ).fetchone()
    assert row
    return RowCounts(*(int(n) for n in row))
