"""Compaction on an engine: only the ranges of keys that deltas lie on are written again, each by a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from epoch_sql.call import Call, existing
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import DataFile, Level
from epoch_sql.spark.mirror import Mirror, within
from epoch_sql.spark.recording import Found, read
from epoch_sql.spark.tasks import Known, Rewritten
from epoch_sql.spark.writing import TASKS, known_of, run
from epoch_sql.storage.skipping import touched_zones
from epoch_sql.storage.writing import base_level
from epoch_sql.upkeep.compact import replace_version
from epoch_sql.verb import Procedure


@dataclass(frozen=True)
class Compacted:
    """A table that was rewritten: how many of its ranges, and the files and bytes for reading it."""

    table: str
    ranges: int
    ranges_rewritten: int
    files_before: int
    files_after: int
    bytes_written: int


def compact(spark: Any, mirror: Mirror, branch: str, name: str) -> Compacted:
    """Rewrite the ranges of a table at a branch that its deltas lie on, and push how the table is stored now."""
    repository = mirror.repository
    at = within(repository, lambda call: read(call, existing(call.refs, "branch", branch).commit_id, name, branch))
    known = within(repository, lambda call: known_of(call, mirror.url, at))
    touched = within(repository, lambda call: _touched(call, known, at))
    files = [file for level in at.levels for file in level.files]
    if not touched:
        return Compacted(str(at.table.name), len(known.zones), 0, len(files), len(files), 0)
    frame = spark.createDataFrame([(number,) for number in touched], "zone int")
    results = run(frame.repartition(min(len(touched), TASKS), "zone"), Rewritten(known), at.table)
    level = _rewritten(known, results)
    if level.row_count != within(repository, lambda call: call.contents.version(at.entry.version_id).row_count):
        raise EpochStorageError(f"table {at.table.name} at {branch} does not hold the rows that its commit says")
    with mirror.publishing(branch, layout=True) as there:
        there.perform(replace_layout, at, level)
    written = {*level.files} - {*files}
    return Compacted(
        str(at.table.name),
        len(known.zones),
        len(touched),
        len(files),
        len(level.files),
        sum(file.bytes for file in written),
    )


def _touched(call: Call, known: Known, at: Found) -> list[int]:
    """The ranges that have keys of deltas, or files of an older definition."""
    changed = [file for level in known.deltas for file in level.files]
    old = {n for n, zone in enumerate(known.zones) if any(file.schema_id != at.table.digest for file in zone.files)}
    if not changed:
        return sorted(old)
    if len(known.zones) < 2:
        return [0]
    found = touched_zones(call.cursor, call.store, call.contents.schema, known.zones, changed)
    return sorted(found | old)


def _rewritten(known: Known, results: Sequence[Mapping[str, Any]]) -> Level:
    """The base level: the files of ranges that were rewritten, and those of the others."""
    made = {result["zone"]: tuple(DataFile(**file) for file in result["files"]) for result in results}
    parts = [made.get(number, zone.files) for number, zone in enumerate(known.zones)]
    return base_level(tuple(file for part in parts for file in part))


def _replace_layout(call: Call, at: Found, level: Level) -> list[Found]:
    """Has the version that was rewritten in the place of the old one, in every tree."""
    with call.moving():
        replace_version(call, call.contents.version(at.entry.version_id), level)
    return [at]


replace_layout = Procedure("replace_layout", _replace_layout, acts=True, looks="counts", needs="repository")
