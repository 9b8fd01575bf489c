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
from epoch_sql.errors import EpochTableError, KeyBroken, UnsupportedType
from epoch_sql.model.commit import TableEntry, Tree, table_identity
from epoch_sql.model.names import matches_name
from epoch_sql.model.schema import Column, DatabaseSchema, ObjectName, SchemaObject, Table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents, arrange
from epoch_sql.storage.encoding import check_supported
from epoch_sql.storage.shape import Shape, compare, is_constant, shape_of
from epoch_sql.worktree.ddl import Matches, trigger_objects, with_unmade_triggers
from epoch_sql.worktree.identify import (
    _same_rows,
    _with_ids_of,
    followed_key,
    identify_columns,
    mostly_equal,
)
from epoch_sql.worktree.introspect import KINDS, read_columns, read_schema, read_table_names
from epoch_sql.worktree.rows import (
    ROWS_WORTH_BUCKETS,
    Seen,
    Working,
    WorkingTable,
    bucket,
    bucket_key,
    checksums,
    dirty_buckets,
    engine,
    row_counts,
    working_bucket,
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
        self, tree: Tree, seen: Seen, read_rows: bool = True, unkeyed: bool = False, macros: bool = True
    ) -> Working:
        """The working database against the tree of a commit; of what the caller has seen, rows are not read again.

        Without ``read_rows`` it reads no row: the numbers of rows are -1, and all rows may differ. Without ``macros``
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
        sums: list[tuple[int, int | None]] = [(-1, 0)] * len(identified)
        if read_rows:
            sums = self._sums([table for _, table in identified], [entry is None for _, entry, _ in matches], seen)
        known = Fingerprints(self.cursor).load()
        current_engine = engine(self.cursor)
        working = tuple(
            self._compare(table_id, table, entry, count_and_sum, known.get(table_id), current_engine)
            for (table_id, table), (_, entry, _), count_and_sum in zip(identified, matches, sums, strict=True)
        )
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

    def _sums(self, tables: Sequence[Table], new: Sequence[bool], seen: Seen) -> list[tuple[int, int | None]]:
        """Rows and checksum of each table: what the caller saw, if it looked, or else read now. For a large new
        table only the number of rows, because there is nothing to compare it with."""
        found: dict[ObjectName, tuple[int, int | None]] = dict(seen)
        unseen = [(table, is_new) for table, is_new in zip(tables, new, strict=True) if table.name not in found]
        fresh = [table for table, is_new in unseen if is_new]
        counts = dict(zip((table.name for table in fresh), row_counts(self.cursor, fresh), strict=True))
        large = {name: count for name, count in counts.items() if count >= ROWS_WORTH_BUCKETS}
        found.update((name, (count, None)) for name, count in large.items())
        read = [table for table, _ in unseen if table.name not in large]
        found.update(zip((table.name for table in read), checksums(self.cursor, read), strict=True))
        return [found[table.name] for table in tables]

    def changes(self, working: WorkingTable) -> tuple[Sql, Shape]:
        """The difference between the committed and the working rows of a table, and its shape.

        If the table's rows were read, the buckets that may have changed are found now. The query then gives the whole
        difference until the table changes again.
        """
        shape = shape_of(working.committed, working.table)
        after = working_rows(working.table)
        if working.entry is None or working.committed is None:
            return compare(shape, None, arrange(after, shape, working.table)), shape
        before = self.contents.state(working.entry.version_id)
        if not self._bucketed(working):
            return self._compared(shape, working, before, after), shape
        if working.row_count < 0:
            in_dirty = render.fill(Sql("{{b}} IN (SELECT bucket FROM dirty)"), b=self._bucket(working))
            rows = self._compared(shape, working, _only(before, in_dirty), _only(after, in_dirty))
            with_dirty = Sql("WITH dirty AS MATERIALIZED ({{dirty}}) {{rows}}")
            return render.fill(with_dirty, dirty=self._dirty(working), rows=rows), shape
        dirty = self._dirty_bits(working)
        before = _only(before, _in_dirty(dirty, self._bucket(working)))
        return self._compared(shape, working, before, self._working_in_dirty(working, dirty)), shape

    def check_key(self, working: WorkingTable) -> None:
        """Raises EpochTableError, with examples, if a declared key has NULLs or duplicates."""
        key = working.table.key
        if not working.table.declared_key or working.table.key_names != working.table.declared_key:
            return
        rows = working_rows(working.table)
        if self._bucketed(working):
            rows = self._working_in_dirty(working, self._dirty_bits(working))
        statement = render.render(
            "worktree.broken_key",
            key_struct=_struct(key),
            missing=render.joined(
                [render.fill(Sql("{{c}} IS NULL"), c=render.column(f"c{c.id}")) for c in key], " OR "
            ),
            key_columns=[render.column(f"c{c.id}") for c in key],
            rows=rows,
        )
        broken = self.cursor.execute(statement).fetchall()
        if broken:
            names = ", ".join(c.name for c in key)
            values = ", ".join(row[0] for row in broken)
            raise KeyBroken(
                f"table {working.table.name} cannot be versioned by its key ({names}): NULL or duplicate in {values}",
                (
                    "correct the rows, or choose other columns: ",
                    Suggestion("key", str(working.table.name), ("COLUMN",)),
                ),
                table=str(working.table.name),
            )

    def _compared(self, shape: Shape, working: WorkingTable, before: Sql, after: Sql) -> Sql:
        assert working.committed
        return compare(shape, arrange(before, shape, working.committed, old=True), arrange(after, shape, working.table))

    def _dirty_bits(self, working: WorkingTable) -> str:
        """A bit for each bucket: whether it differs."""
        assert working.known
        dirty = {row[0] for row in self.cursor.execute(self._dirty(working)).fetchall()}
        return "".join("1" if number in dirty else "0" for number in range(working.known.buckets))

    def _working_in_dirty(self, working: WorkingTable, dirty: str) -> Sql:
        assert working.known
        return working_rows(working.table, where=_in_dirty(dirty, working_bucket(working.table, working.known.buckets)))

    def _dirty(self, working: WorkingTable) -> Sql:
        assert working.known
        return dirty_buckets(working.table, working.table_id, working.known.buckets)

    def _bucket(self, working: WorkingTable) -> Sql:
        assert working.known
        return bucket(bucket_key(working.table), working.known.buckets)

    def _bucketed(self, working: WorkingTable) -> bool:
        return bool(
            working.known
            and working.known.buckets
            and working.committed
            and _same_rows(working.committed, working.table)
        )

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

    def _compare(
        self,
        table_id: str,
        table: Table,
        entry: TableEntry | None,
        count_and_sum: tuple[int, int | None],
        known: Fingerprint | None,
        current_engine: str,
    ) -> WorkingTable:
        committed = self.contents.table(entry.version_id) if entry else None
        usable = (
            known
            if known and entry and known.version_id == entry.version_id and known.engine == current_engine
            else None
        )
        same = (
            usable is not None
            and committed is not None
            and _same_rows(committed, table)
            and (usable.row_count, usable.checksum) == count_and_sum
        )
        return WorkingTable(table_id, table, entry, committed, *count_and_sum, rows_differ=not same, known=usable)


def _in_dirty(dirty: str, bucket: Sql) -> Sql:
    """The condition that the bucket of a row differs: a constant, not a join."""
    return render.fill(
        Sql("get_bit(CAST({{bits}} AS BIT), CAST({{bucket}} AS INTEGER)) = 1"),
        bits=render.literal(dirty),
        bucket=bucket,
    )


def _only(rows: Sql, in_dirty: Sql) -> Sql:
    return render.fill(Sql("SELECT * FROM ({{rows}}) AS rows WHERE {{found}}"), rows=rows, found=in_dirty)


def _struct(key: tuple[Column, ...]) -> Sql:
    """The key of a row as a struct with the columns' names."""
    fields = [render.fill(Sql("{{n}}: {{c}}"), n=render.literal(c.name), c=render.column(f"c{c.id}")) for c in key]
    return Sql("{" + render.joined(fields, ", ") + "}")
