"""Turns working tables into versions, for a commit or a stash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.local import DeclaredKeys, Fingerprint, Fingerprints, Freshness, Untrusted
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochTableError, EpochTransactionError
from epoch_sql.model.commit import (
    Level,
    RowCounts,
    TableEntry,
    Tree,
    Version,
    shift_fingerprint,
    version_identity,
)
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.key_ranges import sorted_as_stored
from epoch_sql.storage.shape import no_changes
from epoch_sql.storage.writing import WrittenDelta, delta_level
from epoch_sql.versions.folding import alike, count_changes, fold, is_rewritten, rewritten, same_values, tree_id
from epoch_sql.versions.sides import by_value, crossing
from epoch_sql.worktree.ordering import object_order
from epoch_sql.worktree.rows import (
    BUCKETS,
    ROWS_WORTH_BUCKETS,
    Working,
    WorkingTable,
    bucket,
    bucket_key,
    checksums,
    choose_bucket_column,
    engine,
    hash_shift,
    row_hash,
    row_shift,
    working_rows,
)
from epoch_sql.worktree.trust import together


@dataclass(frozen=True)
class Recorded:
    """A stored tree, and how it differs from the one before."""

    tree: Tree
    tree_id: str
    root_id: str
    tables_changed: int
    rows: RowCounts


def record(call: Call, working: Working, fingerprints: bool = True) -> Recorded:
    """Store the working database as a tree.

    ``fingerprints`` says whether the working tables are compared with this tree from now on.
    """
    recorder = _Recorder(call, fingerprints)
    entries: dict[str, TableEntry] = {}
    rows = RowCounts()
    for table in working.tables:
        entry, counts = recorder.table(table)
        entries[entry.table_id] = entry
        if entry != table.entry:
            rows += counts
    for entry in working.removed:
        rows += RowCounts(removed=call.contents.version(entry.version_id).row_count)
    recorder.store()
    entries = _with_freshness(call.contents, working, entries)
    changed = len(working.removed) + sum(entries[table.table_id] != table.entry for table in working.tables)
    if fingerprints:
        DeclaredKeys(call.cursor).replace({w.table.name: w.table.declared_key for w in working.tables})
        if working.marks:
            Freshness(call.cursor).replace(())
        untrusted = Untrusted(call.cursor)
        if untrusted.load():
            untrusted.adopt((*(w.table for w in working.tables), *working.made))
    made = Tree(entries, working.objects, working.derived)
    tree = together(_with_ignored(made, working.ignored), working.withheld)
    return Recorded(tree, tree_id(call.contents, tree), call.trees.add(tree), changed, rows)


def _with_ignored(tree: Tree, ignored: Tree) -> Tree:
    """The tree with its ignored parts, which stay as they are committed.

    Raises EpochTableError if the schema of an ignored table was dropped, because the commit could not be checked out.
    """
    schemas = {o.name.name for o in tree.objects if o.kind == "schema"}
    outside = [e.name for e in ignored.tables.values() if e.name.schema not in schemas | {"main"}]
    if outside:
        raise EpochTableError(
            f"schema {outside[0].schema} cannot be removed: {outside[0]} is committed in it, and is ignored here",
            ("make the schema again, or stop ignoring the table: ", Suggestion("ignored")),
            table=str(outside[0]),
        )
    objects = (*tree.objects, *ignored.objects)
    made = tuple(object_order(objects)) if ignored.objects else objects
    return replace(tree, tables={**tree.tables, **ignored.tables}, objects=made)


def _with_freshness(contents: Contents, working: Working, entries: Mapping[str, TableEntry]) -> dict[str, TableEntry]:
    """The tables of a tree, stale or fresh. Rows that differ from those of the stale table count as a rebuild."""
    found = dict(entries)
    for table in working.tables:
        if working.derived or (table.entry and table.entry.stale):
            entry = entries[table.table_id]
            new, old = (contents.fingerprint(one) for one in (entry, table.entry))
            found[table.table_id] = replace(entry, stale=working.is_stale(table, new or "", old))
    return found


class _Recorder:
    def __init__(self, call: Call, fingerprints: bool) -> None:
        self.call = call
        self.contents = call.contents
        self.writer = call.writer
        self.keep_fingerprints = fingerprints
        self.engine = engine(call.cursor)
        self.schemas: list[Table] = []
        self.levels: list[Level] = []
        self.versions: list[Version] = []
        self.fingerprints: list[Fingerprint] = []
        self.bucketed: dict[str, int | None] = {}

    def table(self, working: WorkingTable) -> tuple[TableEntry, RowCounts]:
        """The entry of a working table in the new tree, and the rows that changed in it."""
        if working.entry and not working.differs:
            return working.entry, RowCounts()
        if working.entry is None or working.committed is None:
            return self._new(working)
        self.call.scanner.comparison.check_key(working)
        committed = working.committed
        working = replace(working, table=working.table.with_index_names_of(committed))
        if not alike(committed, working.table):
            return self._replaced(working)
        return self._changed(working)

    def store(self) -> None:
        """Write the recorded versions to the catalog."""
        self.contents.store_descriptions(self.schemas, self.levels, self.versions)
        if self.keep_fingerprints:
            Fingerprints(self.call.cursor).put(self.fingerprints)

    def _new(self, working: WorkingTable) -> tuple[TableEntry, RowCounts]:
        self.call.scanner.comparison.check_key(working)
        entry = self._based(working)
        return entry, RowCounts(added=working.row_count)

    def _replaced(self, working: WorkingTable) -> tuple[TableEntry, RowCounts]:
        """Record a table whose change is not a delta: it has another key, or converted values."""
        counts = self._counted(working)
        return self._based(working), counts

    def _based(self, working: WorkingTable) -> TableEntry:
        rows = working_rows(working.table)
        checksum = row_hash(working.table.stored_columns)
        with self.writer.fingerprinting(rows, working.table, checksum) as pending:
            ordered = self._in_key_order(working.table)
            level = self.writer.base(rows, working.table, working.row_count, ordered)
        count, fingerprint, seen = pending.result()
        if working.checksum is None:
            working = replace(working, checksum=self._checksum(working))
        if (count, seen) != (working.row_count, working.checksum) or count != level.row_count:
            name = str(working.table.name)
            raise EpochTableError(f"table {name} changed while it was read", "retry", table=name)
        confirm(self.call, working, None)
        self.levels.append(level)
        version = self._version(working, fingerprint, (level,))
        self._fingerprint(working, version, None)
        return TableEntry(working.table_id, working.table.name, version.version_id)

    def _checksum(self, working: WorkingTable) -> int:
        """The checksum of a large new table: the sum of its buckets, if it has any, so that it is read once."""
        if not self.keep_fingerprints:
            return _sum(self.call.cursor, working.table)
        self.bucketed[working.table_id] = fill_buckets(self.call.cursor, working.table_id, working.table)
        total = "SELECT sum(checksum) FROM {{epoch}}.buckets WHERE table_id = ?"
        row = run(self.call.cursor, total, [working.table_id]).fetchone()
        assert row
        return int(row[0])

    def _changed(self, working: WorkingTable) -> tuple[TableEntry, RowCounts]:
        assert working.entry and working.committed
        before = self.contents.version(working.entry.version_id)
        written: WrittenDelta | None = None
        if working.rows_differ:
            changes, shape = self.call.scanner.comparison.changes(working)
            written = self.writer.delta(changes, shape, working.committed, working.table)
            confirm(self.call, working, self._rows_of(written) if written else no_changes(shape))
        if written is None and not working.schema_differs:
            self._fingerprint(working, before, None)
            return working.entry, RowCounts()
        fingerprint = self._shifted(before, working, written)
        levels = [*self.contents.levels(before.version_id)]
        pending = delta_level(written, before.version_id, "", fingerprint, working.table.digest)
        if written:
            levels.append(pending)
            levels = self._compacted(levels, working, fingerprint)
        version = self._version(working, fingerprint, levels)
        self.levels.extend(replace(x, to_version=version.version_id) for x in levels if x.to_version == "")
        if pending not in levels:
            self.levels.append(replace(pending, to_version=version.version_id))
        self._fingerprint(working, version, written)
        entry = TableEntry(working.table_id, working.table.name, version.version_id)
        if crossing(working.committed, working.table):
            return entry, self._counted(working)
        return entry, written.rows if written else RowCounts()

    def _counted(self, working: WorkingTable) -> RowCounts:
        """The number of rows whose values differ, however they are stored."""
        assert working.entry and working.committed
        if crossing(working.committed, working.table):
            before = self.contents.state(working.entry.version_id)
            changes, shape = by_value(working.committed, before, working.table, working_rows(working.table))
        else:
            changes, shape = self.call.scanner.comparison.changes(working)
        return count_changes(self.call.cursor, changes, shape.keyless)

    def _rows_of(self, written: WrittenDelta) -> Sql:
        path = self.call.store.path(written.file.file_id)
        return render.fill(Sql("SELECT * FROM read_parquet({{p}})"), p=render.literal(str(path)))

    def _shifted(self, before: Version, working: WorkingTable, written: WrittenDelta | None) -> str:
        assert working.committed
        if not same_values(working.committed, working.table):
            return self.writer.fingerprint(working_rows(working.table), working.table)[1]
        return shift_fingerprint(before.fingerprint, written.minus, written.plus) if written else before.fingerprint

    def _compacted(self, levels: list[Level], working: WorkingTable, fingerprint: str) -> list[Level]:
        """The levels with small deltas folded, or one new base level if the deltas have reached a fifth of it."""
        if is_rewritten(self.call, levels, working.table):
            # The newest delta is read back, and its definition may be new too.
            self.contents.store_descriptions([working.table], [])
            base = rewritten(self.call, levels, working.table)
            if base is None:
                rows, ordered = working_rows(working.table), self._in_key_order(working.table)
                base = self.writer.base(rows, working.table, working.row_count, ordered)
            self.levels.append(base)
            return [base]
        return fold(self.call, levels, working.table, fingerprint)

    def _version(self, working: WorkingTable, fingerprint: str, levels: Sequence[Level]) -> Version:
        self.schemas.append(working.table)
        level_ids = tuple(level.level_id for level in levels)
        schema_id = working.table.digest
        version_id = version_identity(working.table_id, schema_id, fingerprint, level_ids)
        version = Version(version_id, working.table_id, schema_id, working.row_count, fingerprint, level_ids)
        self.versions.append(version)
        return version

    def _fingerprint(self, working: WorkingTable, version: Version, written: WrittenDelta | None) -> None:
        if not self.keep_fingerprints:
            return
        assert working.checksum is not None
        buckets = BUCKETS if working.row_count >= ROWS_WORTH_BUCKETS else 0
        column = None
        if buckets and working.table_id in self.bucketed:
            column = self.bucketed[working.table_id]
        elif buckets:
            column = self._keep_buckets(working, version, written)
        sums = (self.engine, working.row_count, working.checksum, buckets, column)
        self.fingerprints.append(Fingerprint(working.table_id, version.version_id, *sums))

    def _keep_buckets(self, working: WorkingTable, version: Version, written: WrittenDelta | None) -> int | None:
        """Bring the bucket checksums up to a version. Returns the column that gives the buckets."""
        known = working.known
        shifted = (
            known and known.buckets == BUCKETS and working.committed and same_values(working.committed, working.table)
        )
        if not (shifted and known and (written or known.version_id == version.version_id)):
            return fill_buckets(self.call.cursor, working.table_id, working.table)
        if written:
            assert working.committed
            rows = self._rows_of(written)
            shift_buckets(self.call.cursor, known, working.committed, working.table, rows)
        return known.bucket_column

    def _in_key_order(self, table: Table) -> bool:
        """Whether the working rows are in the order of their key, by blocks of one Parquet row group."""
        if len(table.key) != 1 or any(column.name.lower() == "rowid" for column in table.columns):
            return False
        if not sorted_as_stored(table.key[0]):
            return False
        # For most unordered tables, the first blocks show it.
        return all(self._in_order(table, most) for most in (Sql("LIMIT 245760"), Sql("")))

    def _in_order(self, table: Table, most: Sql) -> bool:
        key = render.column(table.key[0].name)
        statement = render.render("fingerprints.key_order", key=key, working=render.table(table.name), most=most)
        row = self.call.cursor.execute(statement).fetchone()
        assert row
        return bool(row[0])


def confirm(call: Call, working: WorkingTable, changes: Sql | None) -> None:
    """Raises EpochTransactionError if the committed changes of a table do not match what the caller saw of it."""
    if working.table.name not in call.seen:
        return
    known = working.known
    if changes is not None and known and working.committed and same_values(working.committed, working.table):
        row = call.cursor.execute(hash_shift(working.committed, working.table, changes)).fetchone()
        assert row
        found = known.checksum + int(row[0])
    else:
        found = _sum(call.cursor, working.table)
    if found != working.checksum:
        raise EpochTransactionError.uncommitted(str(working.table.name))


def _sum(cursor: duckdb.DuckDBPyConnection, table: Table) -> int:
    [sums] = checksums(cursor, [table])
    assert sums.checksum is not None
    return sums.checksum


def fill_buckets(cursor: duckdb.DuckDBPyConnection, table_id: str, table: Table) -> int | None:
    """Compute the bucket checksums of a working table from all of its rows. Returns the column that gives the buckets
    (see ``Fingerprint``)."""
    column = choose_bucket_column(cursor, table)
    run(cursor, "DELETE FROM {{epoch}}.buckets WHERE table_id = ?", [table_id])
    cursor.execute(
        render.render(
            "fingerprints.fill_buckets",
            table_id=render.literal(table_id),
            bucket=bucket(bucket_key(table, column), BUCKETS),
            row_hash=row_hash(table.stored_columns),
            working=working_rows(table),
        )
    )
    return column


def shift_buckets(cursor: duckdb.DuckDBPyConnection, known: Fingerprint, old: Table, new: Table, changes: Sql) -> None:
    """Update the bucket checksums of a working table by changes (see ``Shape``)."""
    cursor.execute(
        render.render(
            "fingerprints.shift_buckets",
            table_id=render.literal(known.table_id),
            bucket=bucket(bucket_key(new, known.bucket_column), BUCKETS, "k"),
            shift=row_shift(old, new),
            changes=changes,
        )
    )
    _merge_buckets(cursor, known.table_id)


def _merge_buckets(cursor: duckdb.DuckDBPyConnection, table_id: str) -> None:
    """Keep at most two rows for each bucket, because shifting adds rows instead of updating them."""
    row = run(cursor, "SELECT count(*) FROM {{epoch}}.buckets WHERE table_id = ?", [table_id]).fetchone()
    if row and row[0] > 2 * BUCKETS:
        cursor.execute(render.render("fingerprints.merge_buckets", table_id=render.literal(table_id)))
        run(cursor, "DELETE FROM {{epoch}}.buckets WHERE table_id = ?", [table_id])
        run(cursor, "INSERT INTO {{epoch}}.buckets BY NAME FROM epoch_merged_buckets")
        cursor.execute("DROP TABLE epoch_merged_buckets")
