"""Stores a merged tree: a delta on one side's version for each table that both sides changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.version import Level, RowCounts, Version, shift_fingerprint, version_identity
from epoch_sql.operations.merge.merged import MergedEntry, MergedTree
from epoch_sql.operations.merge.relations import changes_from_ours, merged_changes, merged_state
from epoch_sql.operations.reading.generated import by_value, crossing
from epoch_sql.operations.recording import REWRITE_SHARE, count_changes, fold, same_values, tree_id
from epoch_sql.operations.repository import Call
from epoch_sql.operations.trusting import is_trusted
from epoch_sql.storage.shape import shape_of
from epoch_sql.storage.writing import WrittenDelta, delta_level


@dataclass(frozen=True)
class StoredTree:
    """A stored merged tree, and the rows that it changes in ours."""

    tree: Tree
    tree_id: str
    root_id: str
    rows: RowCounts
    tables: frozenset[str]


def store(call: Call, merged: MergedTree, count: bool = True) -> StoredTree:
    """Write the versions of a merged tree. With ``count``, count the rows that it changes in ours."""
    entries, rows, touched = {}, RowCounts(), set()
    for entry in merged.tables:
        stored = entry.entry or _write(call, entry)
        entries[stored.table_id] = stored
        if stored != entry.ours:
            touched.add(stored.table_id)
            if count:
                rows += counts(call, entry)
    for table_id, gone in merged.ours.tables.items():
        if table_id not in entries:
            touched.add(table_id)
            rows += RowCounts(removed=call.contents.version(gone.version_id).row_count)
    tree = Tree(entries, merged.objects)
    return StoredTree(tree, tree_id(call, tree), call.trees.add(tree), rows, frozenset(touched))


def counts(call: Call, entry: MergedEntry) -> RowCounts:
    """The rows that a merged table adds to, modifies in and removes from ours."""
    if entry.entry and entry.entry == entry.ours:
        return RowCounts()
    if entry.entry and entry.ours is None:
        return RowCounts(added=call.contents.version(entry.entry.version_id).row_count)
    contents = call.contents
    ours = contents.table(entry.ours.version_id) if entry.ours else None
    if entry.ours and ours and crossing(ours, entry.table) and is_trusted(call, ours, entry.table):
        rows = merged_state(contents, entry)
        changes, shape = by_value(ours, contents.state(entry.ours.version_id), entry.table, rows)
    else:
        changes, shape = changes_from_ours(contents, entry)
    return count_changes(call, changes, shape.keyless)


def _write(call: Call, entry: MergedEntry) -> TableEntry:
    assert entry.merge
    contents, writer, standing = call.contents, call.writer, entry.merge.standing
    assert standing.version_id
    before = contents.version(standing.version_id)
    if entry.merge.converts:
        return _write_anew(call, entry)
    kept = {column.id for column in entry.table.stored_columns}
    whole = all(column.id in kept for column in standing.table.stored_columns)
    old = standing.table if whole else entry.table
    written = writer.delta(merged_changes(entry), shape_of(None, entry.table), old, entry.table)
    if written is None and entry.table == standing.table:
        return TableEntry(entry.table_id, entry.table.name, before.version_id)
    fingerprint, row_count = _described(call, entry, before, written)
    levels = [*contents.levels(before.version_id)]
    pending = delta_level(written, before.version_id if whole else None, "", fingerprint, entry.table.digest)
    extra = [] if written else [pending]
    if written:
        levels.append(pending)
        call.contents.store_descriptions([entry.table], [])
        levels, extra = _compacted(call, levels, entry, fingerprint, pending)
    level_ids = tuple(level.level_id for level in levels)
    schema_id = entry.table.digest
    version_id = version_identity(entry.table_id, schema_id, fingerprint, level_ids)
    version = Version(version_id, entry.table_id, schema_id, row_count, fingerprint, level_ids)
    new = [replace(level, to_version=version_id) for level in (*levels, *extra) if level.to_version == ""]
    unlinked = [level for level in levels if level.to_version is None]
    contents.store_descriptions([entry.table], [*unlinked, *new], [version])
    return TableEntry(entry.table_id, entry.table.name, version_id)


def _write_anew(call: Call, entry: MergedEntry) -> TableEntry:
    """Write a whole table, because both sides have values that had to be converted, so the result is not a delta on
    either."""
    rows = merged_state(call.contents, entry)
    level = call.writer.base(rows, entry.table)
    count, fingerprint = call.writer.fingerprint(rows, entry.table)
    schema_id = entry.table.digest
    version_id = version_identity(entry.table_id, schema_id, fingerprint, (level.level_id,))
    version = Version(version_id, entry.table_id, schema_id, count, fingerprint, (level.level_id,))
    call.contents.store_descriptions([entry.table], [level], [version])
    return TableEntry(entry.table_id, entry.table.name, version_id)


def _described(call: Call, entry: MergedEntry, before: Version, written: WrittenDelta | None) -> tuple[str, int]:
    """The fingerprint and the number of rows of the merged table."""
    assert entry.merge
    added = written.rows.added - written.rows.removed if written else 0
    if same_values(entry.merge.standing.table, entry.table):
        minus, plus = (written.minus, written.plus) if written else (0, 0)
        return shift_fingerprint(before.fingerprint, minus, plus), before.row_count + added
    levels = call.contents.levels(before.version_id)
    if written:
        call.contents.store_descriptions([entry.table], [])
        levels = [*levels, delta_level(written, None, "", "", entry.table.digest)]
    count, fingerprint = call.writer.fingerprint(call.contents.state_of(entry.table, levels), entry.table)
    return fingerprint, count


def _compacted(
    call: Call, levels: list[Level], entry: MergedEntry, fingerprint: str, pending: Level
) -> tuple[list[Level], list[Level]]:
    """The levels, folded or rewritten as after a commit, and the delta if it is no longer one of them."""
    if sum(level.row_count for level in levels[1:]) * REWRITE_SHARE > levels[0].row_count:
        call.contents.require_sound(levels)
        levels = [call.writer.base(call.contents.state_of(entry.table, levels), entry.table)]
    else:
        levels = fold(call, levels, entry.table, fingerprint)
    return levels, [] if pending in levels else [pending]
