"""Finds what the user changed: compares the working database with the tree of a commit.

It compares definitions first. A table with the committed definition is hashed once. Only if the hash differs from the
committed one, it compares rows, and in a large table only those in buckets whose hashes differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.catalog.local import DeclaredKeys, Fingerprint, Fingerprints, Freshness, PatternKind, Patterns, Unmade
from epoch_sql.errors import EpochTableError, UnsupportedType
from epoch_sql.model.commit import TableEntry, Tree, table_identity
from epoch_sql.model.names import matches_name
from epoch_sql.model.schema import Column, DatabaseSchema, ObjectName, SchemaObject, Table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import check_supported
from epoch_sql.storage.shape import arrange, compare, is_constant, shape_of
from epoch_sql.worktree.comparing import Comparison
from epoch_sql.worktree.ddl import Matches, trigger_objects, with_unmade_triggers
from epoch_sql.worktree.identify import (
    _with_ids_of,
    followed_key,
    identify_columns,
    mostly_equal,
)
from epoch_sql.worktree.introspect import KINDS, read_columns, read_schema, read_table_names
from epoch_sql.worktree.rows import (
    ROWS_WORTH_BUCKETS,
    Seen,
    Sums,
    Working,
    WorkingTable,
    bucketed,
    checksums,
    engine,
    located,
    row_counts,
    same_rows,
    working_rows,
)
from epoch_sql.worktree.trust import Trust, folded_name


class Scanner:
    """Reads the working database on one cursor. Within a transaction, all of its results are of one moment."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, contents: Contents, own_macros: frozenset[str]) -> None:
        self.cursor = cursor
        self.contents = contents
        self.own_macros = own_macros
        self._patterns: Mapping[PatternKind, tuple[str, ...]] | None = None
        self.trust = Trust(cursor, contents, self.schema)
        self.comparison = Comparison(cursor, contents)

    def schema(self, macros: bool = True) -> DatabaseSchema:
        """All versioned definitions, or all but macros, without identities and declared keys."""
        return read_schema(self.cursor, {}, self._ignored(), self.own_macros, macros)

    def tables(self) -> tuple[Table, ...]:
        """The versioned tables with their columns only."""
        return read_columns(self.cursor, self._ignored())

    def visible(self, tree: Tree) -> Tree:
        """The tree without ignored and untrusted parts, which are neither compared with the working database nor
        checked out."""
        return self._divided(self.trust.divided(tree)[0])[0]

    def hidden(self, tree: Tree) -> Tree:
        """The parts of the tree under ignored names."""
        return self._divided(tree)[1]

    def _divided(self, tree: Tree) -> tuple[Tree, Tree]:
        ignored = self._ignored()
        hidden = {i: entry for i, entry in tree.tables.items() if ignored(entry.name)}
        objects = tuple(o for o in tree.objects if ignored(o.name))
        if not hidden and not objects:
            return tree, Tree()
        seen = {i: entry for i, entry in tree.tables.items() if i not in hidden}
        rest = replace(tree, tables=seen, objects=tuple(o for o in tree.objects if o not in objects))
        return rest, Tree(hidden, objects)

    def patterns(self, kind: PatternKind) -> tuple[str, ...]:
        """The patterns of a kind, as they were when the operation first asked."""
        if self._patterns is None:
            self._patterns = Patterns(self.cursor).load()
        return self._patterns[kind]

    def _ignored(self) -> Callable[[ObjectName], bool]:
        patterns = self.patterns("ignored")
        return lambda name: matches_name(patterns, name)

    def ignores(self, name: ObjectName) -> bool:
        """Whether a table of that name is not versioned."""
        return self._ignored()(name)

    def ignored_names(self) -> list[ObjectName]:
        """The names of the tables that are not versioned."""
        ignored = self._ignored()
        return [name for name in read_table_names(self.cursor) if ignored(name)]

    def table_names(self) -> list[ObjectName]:
        """The names of the versioned tables, without their definitions."""
        ignored = self._ignored()
        return [name for name in read_table_names(self.cursor) if not ignored(name)]

    def scan(
        self,
        tree: Tree,
        seen: Seen,
        read_rows: bool = True,
        unkeyed: bool = False,
        macros: bool = True,
        changed: bool = False,
    ) -> Working:
        """The working database against the tree of a commit; of what the caller has seen, rows are not read again.

        Without ``read_rows`` it reads no row: the numbers of rows are -1, and all rows may differ. If tables are
        expected to have ``changed``, the same pass over their rows finds the buckets that differ. Without ``macros``
        the objects are those that are no macros. Raises EpochTableError for a table that has lost a column of its
        declared key; with ``unkeyed``, names it instead.
        """
        found = self.schema(macros)
        unmade = self._unmade(found)
        trusted, withheld = self.trust.divided(tree)
        visible, ignored = self._divided(trusted)
        self.contents.load(entry.version_id for entry in visible.tables.values())
        matches, removed = self._match(visible, found.tables, set(tree.tables))
        keys = DeclaredKeys(self.cursor).load()
        unmade, matches = with_unmade_triggers(unmade, matches)
        without_key: set[str] | None = set() if unkeyed else None
        identified = [self._identify(table, entry, taken, keys, without_key) for table, entry, taken in matches]
        known, current = Fingerprints(self.cursor).load(), engine(self.cursor)
        unread = [
            self._unread(table_id, table, entry, known.get(table_id), current)
            for (table_id, table), (_, entry, _) in zip(identified, matches, strict=True)
        ]
        working = tuple(self._read(unread, seen, changed) if read_rows else unread)
        whole = (*found.objects, *(o for o in unmade if o.kind != "trigger"))
        objects = tuple(sorted(whole, key=lambda made: (KINDS.index(made.kind), made.name)))
        lost, derived = frozenset(without_key or ()), self.patterns("derived")
        marks = Freshness(self.cursor).load() if derived else {}
        return Working(working, removed, objects, ignored, unmade, withheld, lost, derived, marks)

    def _unmade(self, found: DatabaseSchema) -> tuple[SchemaObject, ...]:
        """The objects that could not be created, without those whose name the user has used since."""
        ignored = self._ignored()
        unmade = [made for made, _ in Unmade(self.cursor).load() if not ignored(made.name)]
        if not unmade:
            return ()
        taken = {folded_name("table", table.name) for table in found.tables}
        taken |= {folded_name(made.kind, made.name) for made in (*found.objects, *trigger_objects(found.tables))}
        return tuple(made for made in unmade if folded_name(made.kind, made.name) not in taken)

    def _read(self, tables: Sequence[WorkingTable], seen: Seen, changed: bool) -> list[WorkingTable]:
        """Tables with their rows and checksums: what the caller saw, if it looked, or else read now. For a large new
        table only the number of rows, because there is nothing to compare it with."""
        found = dict(seen)
        unseen = [one for one in tables if one.table.name not in found]
        fresh = [one.table for one in unseen if one.entry is None]
        counts = dict(zip((table.name for table in fresh), row_counts(self.cursor, fresh), strict=True))
        found.update((name, Sums(count, None)) for name, count in counts.items() if count >= ROWS_WORTH_BUCKETS)
        if changed:
            found.update((one.table.name, located(self.cursor, one)) for one in unseen if bucketed(one))
        read = [one.table for one in unseen if one.table.name not in found]
        found.update(zip((table.name for table in read), checksums(self.cursor, read), strict=True))
        return [_compared(one, found[one.table.name]) for one in tables]

    def _match(self, tree: Tree, tables: tuple[Table, ...], taken: set[str]) -> tuple[Matches, tuple[TableEntry, ...]]:
        """Each working table with its table in the tree and its id, and the rest of the tree. A new table gets an id
        that is not ``taken``."""
        left = {(e.name.schema.lower(), e.name.name.lower()): e for e in tree.tables.values()}
        pairs: list[tuple[Table, TableEntry | None]] = []
        fresh: list[Table] = []
        for table in tables:
            entry = left.pop((table.name.schema.lower(), table.name.name.lower()), None)
            if entry:
                pairs.append((table, entry))
            else:
                fresh.append(table)
        unmatched = list(left.values())
        for table in fresh:
            entry = next((e for e in unmatched if e.name.schema == table.name.schema and self._renamed(e, table)), None)
            if entry:
                unmatched.remove(entry)
            pairs.append((table, entry))
        matches = []
        for table, entry in pairs:
            table_id = entry.table_id if entry else table_identity(table.name, taken)
            taken.add(table_id)
            matches.append((table, entry, table_id))
        return matches, tuple(unmatched)

    def _renamed(self, entry: TableEntry, table: Table) -> bool:
        """Whether a new table is a missing one, renamed: with the same columns and at least half of the rows."""
        committed = self.contents.table(entry.version_id)
        if [(c.name, c.type) for c in committed.columns] != [(c.name, c.type) for c in table.columns]:
            return False
        identified = _with_ids_of(table, committed)
        shape = shape_of(committed, identified)
        changes = compare(
            shape,
            arrange(self.contents.state(entry.version_id), shape, committed, old=True),
            arrange(working_rows(identified), shape, identified),
        )
        row = self.cursor.execute(
            render.fill(
                Sql("SELECT count(*), (SELECT count(*) FROM {{table}}) FROM ({{changes}}) AS changes"),
                table=render.table(table.name),
                changes=changes,
            )
        ).fetchone()
        assert row
        return bool(2 * row[0] <= max(row[1], self.contents.version(entry.version_id).row_count))

    def _identify(
        self,
        table: Table,
        entry: TableEntry | None,
        table_id: str,
        keys: Mapping[ObjectName, tuple[str, ...]],
        unkeyed: set[str] | None,
    ) -> tuple[str, Table]:
        """The table with identified columns. Adds its id to ``unkeyed``, if given, where its key has lost a column."""
        for column in table.stored_columns:
            try:
                check_supported(column.type)
            except UnsupportedType as error:
                raise UnsupportedType(
                    f"column {column.name} of table {table.name} cannot be versioned: {error.message}",
                    ("change the column's type, or ", Suggestion("ignore", str(table.name))),
                    table=str(table.name),
                    column=column.name,
                    type=error.type,
                    part=error.part,
                ) from error
        committed = self.contents.table(entry.version_id) if entry else None

        def same_data(old: Column, new: Column) -> bool:
            assert entry and committed
            state = self.contents.state(entry.version_id)
            return mostly_equal(self.cursor, state, committed, table, old, new)

        known = {c.name.lower() for c in committed.columns} if committed else set()
        fresh = any(c.name.lower() not in known for c in table.columns)
        stored = self.contents.stored_column_ids(entry.version_id) if entry and fresh else ()
        identified = identify_columns(committed, table, table_id, same_data, stored)
        old_ids = {c.id for c in committed.columns} if committed else set()
        columns = tuple(
            replace(c, fill=c.default) if committed and c.id not in old_ids and is_constant(c) else c
            for c in identified.columns
        )
        key = keys.get(table.name) or (keys.get(entry.name, ()) if entry else ())
        try:
            declared = followed_key(key, committed, identified)
        except EpochTableError:
            if unkeyed is None:
                raise
            unkeyed.add(table_id)
            declared = ()
        return table_id, replace(identified, columns=columns, declared_key=declared)

    def _unread(
        self, table_id: str, table: Table, entry: TableEntry | None, known: Fingerprint | None, current_engine: str
    ) -> WorkingTable:
        """A table whose rows may differ, and have not been read."""
        committed = self.contents.table(entry.version_id) if entry else None
        usable = known and entry and known.version_id == entry.version_id and known.engine == current_engine
        return WorkingTable(table_id, table, entry, committed, -1, 0, True, known if usable else None)


def _compared(table: WorkingTable, sums: Sums) -> WorkingTable:
    """A table whose rows have been read."""
    known = table.known
    same = (
        known is not None
        and table.committed is not None
        and same_rows(table.committed, table.table)
        and (known.row_count, known.checksum) == (sums.row_count, sums.checksum)
    )
    dirty = sums.dirty if known and known.version_id == sums.version_id else None
    return replace(
        table, row_count=sums.row_count, checksum=sums.checksum, rows_differ=not same, dirty=None if same else dirty
    )
