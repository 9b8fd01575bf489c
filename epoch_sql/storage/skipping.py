"""Which files of a version hold keys of interest: the others are neither read nor written again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import duckdb

from epoch_sql import render
from epoch_sql.model.commit import DataFile, Level
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.storage.key_ranges import Range, Zone, key_types, may_hold, range_of, sort_key, stored_key
from epoch_sql.storage.writing import ObjectStore

Schema = Callable[[str], Table]
"""Gives definitions by id."""


def types_of(schema: Schema, file: DataFile) -> tuple[tuple[int, str], ...]:
    """The key of a file: the ids and the types of its columns."""
    return key_types(schema(file.schema_id), schema(file.old_schema_id) if file.old_schema_id else None)


def comparable(schema: Schema, levels: Iterable[Level], table: Table) -> bool:
    """Whether all files have keys like the table's, so that their ranges can be compared."""
    wanted = key_types(table)
    return bool(wanted) and all(types_of(schema, file) == wanted for level in levels for file in level.files)


def reaching(schema: Schema, levels: Sequence[Level], table: Table, delta: DataFile) -> list[Level]:
    """Levels with the files that may hold keys of a delta. Only the rows with its keys are right in them."""
    keys = range_of(delta)
    if keys is None or types_of(schema, delta) != key_types(table):
        return [*levels]
    return [replace(level, files=files_with(schema, level.files, table, keys)) for level in levels]


def files_with(schema: Schema, files: Iterable[DataFile], table: Table, keys: Range) -> tuple[DataFile, ...]:
    """The files that may hold keys between two, under the table's key."""
    wanted = key_types(table)
    return tuple(file for file in files if may_hold(file, keys) or types_of(schema, file) != wanted)


def differing(before: Sequence[Level], after: Sequence[Level]) -> tuple[list[Level], list[Level]]:
    """The levels of two versions without the base files that both have and whose keys no delta has. Their rows are
    equal in both versions."""
    changed = [range_of(file) for level in (*before[1:], *after[1:]) for file in level.files]

    def is_changed(file: DataFile) -> bool:
        return any(keys is None or may_hold(file, keys) for keys in changed)

    shared = {f.file_id for f in before[0].files} & {f.file_id for f in after[0].files if not is_changed(f)}

    def rest(levels: Sequence[Level]) -> list[Level]:
        files = tuple(file for file in levels[0].files if file.file_id not in shared)
        return [replace(levels[0], files=files), *levels[1:]]

    return rest(before), rest(after)


def touched_zones(
    cursor: duckdb.DuckDBPyConnection,
    store: ObjectStore,
    schema: Schema,
    zones: Sequence[Zone],
    deltas: Iterable[DataFile],
) -> set[int]:
    """The zones (by number) of a base level that hold keys of deltas. Reads a delta only if its range does not tell."""
    touched: set[int] = set()
    wide: dict[str, DataFile] = {}
    near: set[int] = set()
    for delta in deltas:
        keys = range_of(delta)
        met = {number for number, zone in enumerate(zones) if keys is None or zone.meets(keys)}
        if len(met) == 1:
            touched |= met
        else:
            wide[delta.file_id], near = delta, near | met
    if not wide or near <= touched:
        return touched
    reads = []
    for delta in wide.values():
        key = stored_key(schema(delta.schema_id), schema(delta.old_schema_id or delta.schema_id))
        path = render.literal(str(store.path(delta.file_id)))
        text = Sql("SELECT {{key}} AS key FROM read_parquet({{path}})")
        reads.append(render.fill(text, key=sort_key(key), path=path))
    asked = [(number, zones[number].start, zones[number].end) for number in sorted(near - touched)]
    statement = render.render("files.touched_zones", keys=render.joined(reads, "\nUNION ALL\n"))
    rows = cursor.execute(statement, [[row[part] for row in asked] for part in range(3)]).fetchall()
    return touched | {number for (number,) in rows}
