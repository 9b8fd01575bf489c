"""Checks files and rows: the bytes of a file match its name, and its rows match the versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

import duckdb

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.catalog.content import Schemas
from epoch_sql.catalog.history import Refs, State
from epoch_sql.catalog.local import Fingerprints, Stashes
from epoch_sql.model.commit import DataFile, Level, RowCounts, shift_fingerprint
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.storage.file_proof import Effect, Prover
from epoch_sql.storage.promised import PromisedObjects
from epoch_sql.storage.shape import shape_of
from epoch_sql.storage.writing import ObjectStore, delta_digest
from epoch_sql.upkeep.inventory import Inventory, StoredLevel
from epoch_sql.versions.folding import same_values
from epoch_sql.worktree.rows import dirty_buckets, engine, row_hash

Finding = tuple[str, str, str]


def broken_files(store: ObjectStore, inventory: Inventory) -> Iterator[Finding]:
    """Files that are missing, or whose bytes do not match their name. Of those of a bare clone that are not here, only
    the size."""
    promised = {file.file_id for file in _promised(store, inventory)}
    for file in inventory.files.values():
        if file.file_id in promised and isinstance(store, PromisedObjects):
            problem = store.promise(file)
        else:
            problem = store.verify(file)
        if problem:
            yield "file", file.file_id, f"{store.place(file.file_id)} {problem}"


def files_elsewhere(store: ObjectStore, inventory: Inventory) -> Iterator[Finding]:
    """The files of a bare clone that are not here, so that no rows of them are read."""
    for file in _promised(store, inventory):
        yield "file", file.file_id, "is promised"


def _promised(store: ObjectStore, inventory: Inventory) -> list[DataFile]:
    if not isinstance(store, PromisedObjects):
        return []
    return [file for file in inventory.files.values() if not store.has(file.file_id)]


def broken_ranges(call: Call, inventory: Inventory, wrong: Collection[Finding]) -> Iterator[Finding]:
    """Files whose least or greatest key is not the one that the catalog says, of files without other problems."""
    files, definitions = ({i for kind, i, _ in wrong if kind == part} for part in ("file", "schema"))
    readable = [
        file
        for file in inventory.files.values()
        if file.file_id not in files and not {file.schema_id, file.old_schema_id} & definitions
    ]
    tables = Schemas(call.cursor).load({i for file in readable for i in (file.schema_id, file.old_schema_id) if i})
    for file in Prover(call.cursor, call.store).wrong_ranges(readable, tables):
        yield "file", file.file_id, "its least or greatest key is not the one that the catalog says"


def broken_rows(call: Call, inventory: Inventory, sound: frozenset[str]) -> Iterator[Finding]:
    """Versions at references and in stashes whose rows do not match the version."""
    for version_id in sorted(_current(call, inventory) & sound):
        contents, version = call.contents, call.contents.version(version_id)
        try:
            found = call.writer.fingerprint(contents.state(version_id), contents.table(version_id))
        except duckdb.Error as error:
            yield "version", version_id, f"its rows cannot be read: {_first_line(error)}"
            continue
        if found[0] != version.row_count:
            yield "version", version_id, f"has {found[0]} rows instead of {version.row_count}"
        elif found[1] != version.fingerprint:
            yield "version", version_id, "its rows do not have the fingerprint that it says"


def broken_deltas(call: Call, inventory: Inventory, sound: frozenset[str]) -> Iterator[Finding]:
    """Deltas that do not lead from the rows of one version to those of the other, as far as their own rows show."""
    call.contents.load(sound)
    levels = [
        level
        for level in inventory.levels.values()
        if level.kind == "delta" and {level.from_version, level.to_version} <= sound
    ]
    levels = [level for level in levels if same_values(*_tables(call, level))]
    known = _effects(call, inventory, levels)
    for level in levels:
        assert level.from_version and level.to_version
        before, after = (call.contents.version(i) for i in (level.from_version, level.to_version))
        try:
            effect = known.get(level.level_id) or _effect(call, inventory, level)
        except duckdb.Error as error:
            yield "level", level.level_id, f"its rows cannot be read: {_first_line(error)}"
            continue
        shifted = shift_fingerprint(before.fingerprint, effect.minus, effect.plus)
        if shifted != after.fingerprint or before.row_count + effect.grown != after.row_count:
            yield "level", level.level_id, "does not lead from the rows of its first version to those of its second"


def _tables(call: Call, level: StoredLevel) -> tuple[Table, Table]:
    assert level.from_version and level.to_version
    return call.contents.table(level.from_version), call.contents.table(level.to_version)


def _effects(call: Call, inventory: Inventory, levels: Iterable[StoredLevel]) -> dict[str, Effect]:
    """The effects of the deltas whose only file was written between the definitions that they lead from and to, by
    one query for each pair of definitions: a history has thousands of small deltas.

    Where a query fails, the deltas are left to be read one by one.
    """
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for level in levels:
        assert level.from_version and level.to_version
        before, after = (call.contents.version(i).schema_id for i in (level.from_version, level.to_version))
        files = [inventory.files[file_id] for file_id in level.file_ids]
        if [(file.old_schema_id or file.schema_id, file.schema_id) for file in files] == [(before, after)]:
            groups.setdefault((before, after), {})[level.level_id] = files[0].file_id
    prover, found = Prover(call.cursor, call.store), {}
    for (before, after), group in groups.items():
        with suppress(duckdb.Error):
            effects = prover.effects([*group.values()], call.contents.schema(before), call.contents.schema(after))
            found.update({level_id: effects.get(file_id, Effect()) for level_id, file_id in group.items()})
    return found


def _effect(call: Call, inventory: Inventory, stored: StoredLevel) -> Effect:
    """The effect of one delta."""
    old, new = _tables(call, stored)
    files = tuple(inventory.files[i] for i in stored.file_ids)
    level = Level(stored.level_id, stored.kind, files, RowCounts(), stored.from_version, stored.to_version)
    shape = shape_of(old, new)
    rows = call.contents.compose([(level, True)] if files else [], shape)
    row = call.cursor.execute(delta_digest(rows, shape, old, new)).fetchone()
    assert row
    added, _, removed, *sums = (int(n) for n in row[:-2])
    return Effect(added - removed, sums[0] + (sums[1] << 64), sums[2] + (sums[3] << 64))


def broken_fingerprints(call: Call, inventory: Inventory, sound: frozenset[str]) -> Iterator[Finding]:
    """Cached hashes of working tables that do not match their version, and would hide changes."""
    known = Fingerprints(call.cursor).load()
    current = engine(call.cursor)
    head = _head(call, inventory)
    for entry in call.tree(head).tables.values() if head else ():
        cached = known.get(entry.table_id)
        if (
            cached is None
            or entry.version_id not in sound
            or (cached.version_id, cached.engine) != (entry.version_id, current)
        ):
            continue
        table, state = call.contents.table(entry.version_id), call.contents.state(entry.version_id)
        hashed = row_hash(table.stored_columns)
        row = call.cursor.execute(
            render.render("fingerprints.fingerprint", number=render.literal(0), row_hash=hashed, working=state)
        ).fetchone()
        assert row
        wrong = (row[1], int(row[2])) != (cached.row_count, cached.checksum)
        if cached.buckets and not wrong:
            dirty = dirty_buckets(table, cached, state)
            wrong = bool(
                call.cursor.execute(render.fill(Sql("SELECT 1 FROM ({{d}}) AS dirty LIMIT 1"), d=dirty)).fetchone()
            )
        if wrong:
            yield "fingerprint", entry.table_id, f"the hashes kept for table {entry.name} are not those of its rows"


def _current(call: Call, inventory: Inventory) -> set[str]:
    """The versions at branches, tags and remote branches, and in stashes."""
    tips = {row[2] for row in Refs(call.cursor).select()} | {_head(call, inventory)}
    roots = {commit.root_id for commit_id, commit in inventory.commits.items() if commit_id in tips}
    roots |= {stash.root_id for stash in Stashes(call.cursor).load()}
    subtrees = {subtree for root in roots for subtree in inventory.roots.get(root, ())}
    return {row[4] for subtree in subtrees for row in inventory.subtrees.get(subtree, ()) if row[0] == "table"}


def _head(call: Call, inventory: Inventory) -> str | None:
    """The commit that is checked out. None if the catalog does not name or have one."""
    states = State(call.cursor).select()
    commit_id = call.head().commit_id if len(states) == 1 else None
    return commit_id if commit_id in inventory.commits else None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
