"""Proves that the rows that a fetch read are those that its documents name, before anything refers to them.

A version's rows are its base level and the deltas on it, and its name has the fingerprint of these rows. So the hashes
of each base level are summed up once, and for each delta the hashes that it removes and adds. A lookup proves that the
old rows in a delta are the rows below it. Proved and local versions and files are not read again, so a fetch of one
commit costs what that commit changed. If a table got other columns, all of its rows are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from epoch_sql.call import Call
from epoch_sql.catalog.content import Files, Schemas, Versions
from epoch_sql.catalog.lookup import CatalogDescriptions
from epoch_sql.catalog.relation import RowCache
from epoch_sql.errors import UnsupportedType
from epoch_sql.model.commit import DataFile, Level, Version
from epoch_sql.model.remote import Manifest, PortableCommit, PortableLevel, damaged
from epoch_sql.model.schema import Column, Table
from epoch_sql.remote.row_steps import (
    Edge,
    State,
    other_rows,
    prove_steps,
    signature,
    telling,
)
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import check_supported
from epoch_sql.storage.file_proof import Columns, Prover
from epoch_sql.storage.key_ranges import apart
from epoch_sql.storage.shape import MULTIPLICITY, arrange, shape_of
from epoch_sql.storage.skipping import reaching
from epoch_sql.storage.writing import LevelWriter

_OP = Column("op", "VARCHAR", 0)


@dataclass(frozen=True)
class Stated:
    """What the documents of a remote state about rows: versions by their contents, and the changes of commits."""

    where: str
    commits: Sequence[PortableCommit]
    manifests: Mapping[str, Manifest]
    definitions: Mapping[str, Table]


@dataclass
class RowProof:
    """``local`` are versions of this repository by their contents, which are believed.

    ``edges`` are the deltas that were proved.
    """

    call: Call
    received: Stated
    local: Mapping[str, Version]
    edges: list[Edge] = field(default_factory=list)
    _states: dict[str, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cursor, store = self.call.cursor, self.call.store
        self.where = self.received.where
        self.tables = dict(self.received.definitions)
        # Only this class knows unproved versions.
        cache = RowCache(tables=self.tables)
        self.contents = Contents(CatalogDescriptions(cursor, store, cache), store, cache)
        self.prover = Prover(cursor, store)
        self.writer = LevelWriter(cursor, store)

    def run(self) -> None:
        """Prove every version and delta.

        Raises EpochStorageError, which names a document that does not match the files.
        """
        states = self.require_documents()
        self._prove_files()
        plain = [state for state in states if state.plain]
        steps = [edge for edge in self.edges if edge.plain]
        prove_steps(self.prover, self.tables, self._bases_here, plain, steps)
        for state in states:
            if not state.plain:
                self._prove_state(state)
        for edge in self.edges:
            if not edge.plain:
                self._prove_edge(edge)

    def require_documents(self) -> list[State]:
        """Prove what needs no file: that types can be stored, and that deltas lead within a table. Gives the versions
        that were received."""
        self.load_tables(self._schema_ids())
        for schema_id in self.received.definitions:
            self._require_supported(schema_id)
        states = self.states()
        self.edges += self._edges()
        return states

    def states(self) -> list[State]:
        """The versions that were received."""
        return [self.state(content_id) for content_id in self.received.manifests]

    def _schema_ids(self) -> set[str]:
        files = [file for level in self._levels() for file in level.files]
        ids = {i for file in files for i in (file.schema_id, file.old_schema_id) if i}
        return ids | {manifest.version.schema_id for manifest in self.received.manifests.values()}

    def _levels(self) -> Iterator[PortableLevel]:
        for manifest in self.received.manifests.values():
            yield from manifest.levels
        for commit in self.received.commits:
            yield from commit.deltas

    def load_tables(self, schema_ids: Iterable[str]) -> None:
        """Make definitions that are here known, if they are not."""
        missing = set(schema_ids) - self.tables.keys()
        if missing:
            self.tables.update(Schemas(self.call.cursor).load(missing))

    def _require_supported(self, schema_id: str) -> None:
        for column in self.tables[schema_id].stored_columns:
            try:
                check_supported(column.type)
            except UnsupportedType as error:
                raise damaged(
                    f"{self.where}/schemas/{schema_id}.json", f"says what cannot be: {error.message}"
                ) from error

    def state(self, content_id: str) -> State:
        """A received or a local version."""
        if content_id not in self._states:
            self._states[content_id] = self._made(content_id)
        return self._states[content_id]

    def _made(self, content_id: str) -> State:
        manifest = self.received.manifests.get(content_id)
        if manifest is None:
            return self._local(self.local[content_id])
        levels = tuple(Level("", level.kind, level.files, level.rows) for level in manifest.levels)
        return self._stated(manifest.version, levels, f"{self.where}/versions/{content_id}.json")

    def _local(self, version: Version) -> State:
        levels = tuple(self.call.contents.levels(version.version_id))
        files = [file for level in levels for file in level.files]
        self.load_tables([version.schema_id, *(i for f in files for i in (f.schema_id, f.old_schema_id) if i)])
        return self._stated(version, levels, None)

    def _bases_here(self, file_ids: Iterable[str]) -> list[State]:
        """The local versions that are one base level with one of these files."""
        found = Versions(self.call.cursor).bases_with(file_ids) if self.call.exists else []
        return [self._local(version) for version in found]

    def _stated(self, version: Version, levels: tuple[Level, ...], where: str | None) -> State:
        table = self.tables[version.schema_id]
        return State(version, table, levels, where, self._plain(table, levels))

    def _plain(self, table: Table, levels: Sequence[Level]) -> bool:
        """Whether all files are read as they are, so that the hash of a row is the same in each of them, and no key is
        in two files of a base level."""
        if not all(apart(level.files) for level in levels):
            return False
        ids = {i for level in levels for f in level.files for i in (f.schema_id, f.old_schema_id) if i}
        return all(signature(self.tables[i]) == signature(table) for i in ids)

    def _edges(self) -> Iterator[Edge]:
        """The deltas with two known ends. A delta from an unknown content is only read as a part of a version."""
        visited = set()
        for where, level in self._deltas():
            ends = (level.before, level.after)
            if not all(end in self.received.manifests or end in self.local for end in ends):
                continue
            before, after = (self.state(end or "") for end in ends)
            if before.version.table_id != after.version.table_id:
                raise damaged(where, "has a delta that leads from one table to another")
            key = (*ends, tuple(file.file_id for file in level.files))
            if key not in visited:
                visited.add(key)
                made = Level("", "delta", level.files, level.rows)
                plain = before.plain and after.plain and signature(before.table) == signature(after.table)
                yield Edge(before, after, made, where, plain and self._plain(after.table, [made]))

    def _deltas(self) -> Iterator[tuple[str, PortableLevel]]:
        for commit in self.received.commits:
            yield from ((f"{self.where}/commits/{commit.commit.commit_id}.json", delta) for delta in commit.deltas)
        for content_id, manifest in self.received.manifests.items():
            where = f"{self.where}/versions/{content_id}.json"
            yield from ((where, level) for level in manifest.levels[1:] if level.before and level.after)

    def _prove_files(self) -> None:
        """Prove that every new file has the stated columns, number of rows and range of keys."""
        kinds = {file.file_id: (file, level.kind) for level in self._levels() for file in level.files}
        for file_id in Files(self.call.cursor).load(kinds) if self.call.exists else ():
            del kinds[file_id]
        if not kinds:
            return
        with telling(f"{self.where}/objects", "cannot be read"):
            footers = self.prover.footers(list(kinds))
        columns: dict[str, Columns] = {}
        alike: dict[str, list[DataFile]] = {}
        expected: dict[tuple[str, str | None], tuple[Columns, Columns]] = {}
        for file_id, (file, kind) in kinds.items():
            where = f"{self.where}/objects/{file_id[:2]}/{file_id}.parquet"
            footer = footers[file_id]
            if footer.rows != file.row_count:
                raise damaged(where, f"has {footer.rows} rows, and is said to have {file.row_count}")
            with telling(where, "cannot be read"):
                if footer.columns not in columns:
                    columns[footer.columns] = self.prover.columns(file_id)
                about = (file.schema_id, file.old_schema_id)
                if about not in expected:
                    expected[about] = self._expected(file, kind)
            problem = _columns_problem(columns[footer.columns], *expected[about])
            if problem:
                raise damaged(where, problem)
            alike.setdefault(footer.columns, []).append(file)
        for files in alike.values():
            with telling(f"{self.where}/objects", "cannot be read"):
                wrong = next(self.prover.wrong_ranges(files, self.tables), None)
            if wrong:
                where = f"{self.where}/objects/{wrong.file_id[:2]}/{wrong.file_id}.parquet"
                raise damaged(where, "has other keys than it is said to have")

    def _expected(self, file: DataFile, kind: str) -> tuple[Columns, Columns]:
        """The columns that a file must have, and those that it may have. A name may have any of its types."""
        new = self.tables[file.schema_id]
        if kind == "base":
            return self.prover.expected((c.name, c) for c in new.stored_columns), ()
        op = ("op", _OP)
        old = self.tables[file.old_schema_id or file.schema_id]
        shape = shape_of(old, new)
        if shape.keyless:
            keys = [(f"k{c.id}", c) for c in shape.key]
            return self.prover.expected([op, *keys, ("n0", MULTIPLICITY), ("o0", MULTIPLICITY)]), ()
        key_ids = {c.id for c in shape.key}
        needed = [op, *((f"k{c.id}", c) for c in shape.key)]
        needed += [(f"n{c.id}", c) for c in new.stored_columns if c.id not in key_ids]
        needed += [(f"o{c.id}", c) for c in old.stored_columns if c.id not in key_ids]
        both = [c for table in (old, new) for c in table.stored_columns]
        allowed = [(f"{prefix}{c.id}", c) for prefix in "kno" for c in both]
        return self.prover.expected(needed), self.prover.expected(allowed)

    def _prove_changes(self, level: Level, where: str, table: Table) -> None:
        """Prove a delta without the levels below it."""
        for file in level.files:
            shape = shape_of(self.tables[file.old_schema_id or file.schema_id], self.tables[file.schema_id])
            sound, counts = self.prover.changes_alone(file.file_id, shape)
            if not sound or counts != level.rows:
                raise other_rows(where, table)

    def _prove_state(self, state: State) -> None:
        assert state.where
        with telling(state.where, "has a delta that cannot be read"):
            for level in state.levels[1:]:
                self._prove_changes(level, state.where, state.table)
        with telling(state.where, "has rows that cannot be read"):
            rows = self.contents.state_of(state.table, state.levels)
            found = self.writer.fingerprint(rows, state.table)
            repeated = self.prover.repeated_keys(rows, state.table)
        if found != (state.version.row_count, state.version.fingerprint) or repeated:
            raise other_rows(state.where, state.table)

    def _prove_edge(self, edge: Edge) -> None:
        """Prove a delta by all rows: the rows before it are the stated ones, and it turns them into the rows after
        it."""
        before, after = edge.before, edge.after
        levels = (*before.levels, edge.level) if edge.level.files else before.levels
        with telling(edge.where, "has a delta that cannot be read"):
            self._prove_changes(edge.level, edge.where, after.table)
            if levels != after.levels:
                rows = self.contents.state_of(after.table, levels)
                found = self.writer.fingerprint(rows, after.table)
                if found != (after.version.row_count, after.version.fingerprint):
                    raise other_rows(edge.where, after.table)
            if edge.level.files:
                shape = shape_of(before.table, after.table)
                changes = self.contents.compose([(edge.level, True)], shape)
                near = reaching(self.contents.schema, before.levels, before.table, edge.level.files[0])
                rows = arrange(self.contents.state_of(before.table, near), shape, before.table, old=True)
                if self.prover.false_old_values(changes, rows, shape, before.table):
                    raise other_rows(edge.where, after.table)


def _columns_problem(columns: Columns, needed: Columns, allowed: Columns) -> str | None:
    """The problem of a file's columns, or None."""
    names = [name for name, _ in columns]
    types: dict[str, set[str]] = {}
    for name, kind in (*needed, *allowed):
        types.setdefault(name, set()).add(kind)
    missing = {name for name, _ in needed} - set(names)
    if missing:
        return f"has no column {min(missing)}"
    for name, kind in columns:
        if name not in types or names.count(name) > 1:
            return f"has a column that it should not have: {name}"
        if kind not in types[name]:
            return f"has column {name} as {kind}, and not as {', '.join(sorted(types[name]))}"
    return None
