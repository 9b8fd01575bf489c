"""Refusing to act for a connection that has uncommitted changes.

A procedure acts on committed data, on a cursor of its own. What its caller sees is compared with that: the caller's own
query reads the hashes of all rows (or just the numbers of rows, where working tables do not matter), and passes them to
the procedure. Besides, an open transaction that has updated or changed definitions, also of macros, makes CHECKPOINT
fail, so that is tried. Where it fails, it may be for somebody else's transaction, even one that only reads: then all
rows and definitions are compared, which tells. (DuckDB's counters of queries and transactions could tell when there is
no need to, but each executemany moves them by one.)

Other connections may commit while a call is on its way. So the numbers of rows are also read where the call is bound:
a caller that sees those has changed nothing itself. Such a call acts on what is committed now, like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import disk_usage
from types import MappingProxyType
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.catalog.local import Fingerprint, Fingerprints
from epoch_sql.errors import (
    EpochReadOnlyError,
    EpochRelationError,
    EpochStorageError,
    EpochTransactionError,
    UnsupportedType,
)
from epoch_sql.extension.session import Session
from epoch_sql.model.schema import ObjectName, Table, canonical_json
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import check_supported
from epoch_sql.verb import Column, Procedure
from epoch_sql.worktree.introspect import definitions_seen, read_columns, read_table_names
from epoch_sql.worktree.rows import Seen, Sums, bucket_key, engine, located_query, row_hash, working_rows

SPARE_BYTES = 1 << 20
MOST_REWRITTEN = 64 << 20
SEEN = (
    Column("name", "VARCHAR"),
    Column("row_count", "BIGINT"),
    Column("checksum", "HUGEINT"),
    Column("uncommitted", "BIGINT"),
    Column("is_before", "BOOLEAN"),
    Column("version_id", "VARCHAR"),
    Column("dirty", "UINTEGER[]"),
)
"""What a caller sees of a table: its rows, the checksum of their hashes, and how many of them it has inserted and not
committed itself. ``dirty`` are the buckets that differ from a version of the table, if the caller compared them. Or
(``is_before``) what was committed when its query was bound."""
NOTHING_SEEN = render.constants(SEEN)
NO_QUERY = (1 << 64) - 1
"""The id of the query where DuckDB binds none: a relation that is made."""
_DEFINITIONS = ""
_SMALL = 1_000_000
_SMALL_FILE = 8 << 20
_TABLES_AT_ONCE = 64
_Rows = tuple[int, int | None]
_Committed = tuple[Table, Fingerprint]


def look_query(
    session: Session, cursor: duckdb.DuckDBPyConnection, procedure: Procedure[..., Any], query_id: int
) -> Sql:
    """The query that tells what its reader sees: for each table its rows and their checksum, and after a CHECKPOINT
    that failed a hash of all definitions. ``query_id`` is the id of the query that it is bound in.

    Raises EpochRelationError where no query is bound: a relation would act whenever it is evaluated. Raises
    EpochReadOnlyError for a read-only database, EpochTransactionError when some transaction, here or on another
    connection, is altering a table.
    """
    if query_id == NO_QUERY:
        raise EpochRelationError.of(procedure.name)
    call = session.call(cursor, create=True)
    _require_writable(call)
    # What others commit from now on is known to be theirs.
    cursor.execute("BEGIN TRANSACTION")
    if not _checkpointed(session, call):
        everything = _everything(call, _committed_tables(call, procedure))
        before = _before(cursor, everything) if _is_small(call.cursor) else []
        cursor.execute("COMMIT")
        # Two attempts at once would conflict, and so would one beside a call that alters tables.
        with session.turn:
            _refuse_altered(call)
        return _union([everything, *before])
    if procedure.looks != "counts":
        tables, committed = _tables(call), _committed_tables(call, procedure)
        seen, names = [_hashes(table, committed) for table in tables], [table.name for table in tables]
    else:
        names = _table_names(call)
        seen = [_count(name) for name in names]
    before = _before(cursor, _counts(names))
    cursor.execute("COMMIT")
    return _union([NOTHING_SEEN, *seen, *before])


def require_same_view(
    call: Call, looks: str | None, looked: Sequence[Mapping[str, Any]] | None, query: str | None
) -> Seen:
    """EpochTransactionError when the caller sees other data than what is committed, or was where its query was bound.

    Where the caller read the hashes of all rows, and they are still committed, returns them, for the scan, which
    confirms them.
    """
    seen = {entry["name"]: entry for entry in looked or () if not entry["is_before"]}
    before = {entry["name"]: _rows(entry) for entry in looked or () if entry["is_before"]}
    if _is_prepared(call.cursor, query):
        before = {}
    hashes = {
        _name_of(name): Sums(
            entry["row_count"], int(entry["checksum"]), entry["version_id"], tuple(entry["dirty"] or ())
        )
        for name, entry in seen.items()
        if name != _DEFINITIONS and entry["checksum"] is not None
    }
    closely = _DEFINITIONS in seen
    overtaken = False
    for name, now in _committed(call, [*seen], closely):
        other = seen.pop(name, None)
        if other and other["uncommitted"]:
            raise EpochTransactionError.uncommitted(_described(name))
        rows = _rows(other) if other else None
        if not _alike(rows, now, closely):
            if not before or not _alike(rows, before.get(name), closely):
                raise EpochTransactionError.uncommitted(_described(name))
            overtaken = True
    if seen:
        raise EpochTransactionError.uncommitted(_described(next(iter(seen))))
    return hashes if looks != "counts" and not overtaken else {}


def _is_prepared(cursor: duckdb.DuckDBPyConnection, query: str | None) -> bool:
    """Whether a query executes a statement that was bound before."""
    statements = cursor.extract_statements(query) if query else []
    return any(statement.type == duckdb.StatementType.EXECUTE for statement in statements)


def _rows(entry: Mapping[str, Any]) -> _Rows:
    return entry["row_count"], entry["checksum"]


def _alike(seen: _Rows | None, committed: _Rows | None, closely: bool) -> bool:
    """Whether there is the same, or nothing, of a name; checksums are compared only ``closely``."""
    if seen is None or committed is None:
        return seen is committed
    return seen == committed if closely else seen[0] == committed[0]


def _before(cursor: duckdb.DuckDBPyConnection, query: Sql) -> list[Sql]:
    """What is committed where a query is bound, as constants."""
    found = cursor.execute(query).fetchall()
    if not found:
        return []
    names, counts, checksums, *_ = zip(*found, strict=True)
    return [
        render.render(
            "extension.committed_before",
            names=render.strings(names),
            counts=render.joined([*map(render.literal, counts)], ", "),
            checksums=render.joined([*map(render.literal, checksums)], ", "),
        )
    ]


def _committed(call: Call, seen: Sequence[str], closely: bool) -> list[tuple[str, _Rows]]:
    """What is committed, by name: of everything, or of the tables that the caller saw, which need no new
    listing. A table that was created since is not a change of the caller's."""
    names = [_name_of(name) for name in seen if name != _DEFINITIONS]
    try:
        found = call.cursor.execute(_everything(call) if closely else _counts(names)).fetchall()
    except duckdb.CatalogException as error:
        missing = set(names) - set(read_table_names(call.cursor))
        if not missing:
            raise
        raise EpochTransactionError.by_another_writer(f"{min(missing)} was dropped") from error
    return [(name, (row_count, checksum)) for name, row_count, checksum, *_ in found]


def _require_writable(call: Call) -> None:
    if call.read_only:
        raise EpochReadOnlyError(
            f"{call.database} is open read-only, so nothing can be changed",
            "open it without read_only",
            database=str(call.database),
        )


def _checkpointed(session: Session, call: Call) -> bool:
    """Whether CHECKPOINT succeeds. If not, an open transaction changed something, or is older.

    On DuckDB 1.4 it is not tried: it would wait until the results of other connections are fetched, perhaps by this
    thread, and cannot be interrupted.
    """
    if duckdb.__version__.startswith("1.4."):
        return False
    _require_space(call.database)
    with session.cursor() as other:
        try:
            other.execute("CHECKPOINT")
        except duckdb.TransactionException:
            return False
    return True


def _is_small(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether to hash all rows costs next to nothing."""
    row = cursor.execute(render.load("extension.rows_stored")).fetchone()
    assert row
    return int(row[0]) <= _SMALL


def _refuse_altered(call: Call) -> None:
    """Raises EpochTransactionError if a table is altered or dropped in an open transaction.

    In its caller's transaction, a query of the table would fail because the table or a column is missing. An attempt to
    create a table of that name finds out, because it fails in two ways. (An attempt to alter the table would find out
    too, but on DuckDB 2.0 other connections that write to it would fail.)
    """
    cursor = call.cursor
    for name in _table_names(call):
        cursor.execute("BEGIN TRANSACTION")
        try:
            cursor.execute(render.fill("CREATE TABLE {{name}} (probe BOOLEAN)", name=render.table(name)))
        except duckdb.TransactionException as error:
            raise EpochTransactionError.uncommitted(str(name)) from error
        except duckdb.CatalogException as exists:
            if "already exists" not in str(exists):
                raise
        finally:
            cursor.execute("ROLLBACK")


def _require_space(database: Path) -> None:
    """EpochStorageError when the disk is too full for a CHECKPOINT: DuckDB closes a database in which one fails.

    It writes what is in the log, and the blocks that this changes.
    """
    log = database.with_name(f"{database.name}.wal")
    pending = log.stat().st_size if log.exists() else 0
    needed = SPARE_BYTES + 4 * pending + min(database.stat().st_size // 4, MOST_REWRITTEN)
    free = disk_usage(database.parent).free
    if pending and free < needed:
        raise EpochStorageError(
            f"the disk of {database} is full: {free >> 10} KiB are free where {needed >> 10} may be needed",
            "free space, then retry",
            path=str(database),
        )


def _tables(call: Call) -> tuple[Table, ...]:
    """The working tables that are, or will be, versioned."""
    if call.exists:
        return call.scanner.tables()
    return read_columns(call.cursor, lambda name: False)


def _everything(call: Call, committed: Mapping[ObjectName, _Committed] = MappingProxyType({})) -> Sql:
    """What there is to see in full: definitions with their comments, and the rows of all tables."""
    return _union([definitions_seen(call.catalog), *(_hashes(table, committed) for table in _tables(call))])


def _union(queries: Sequence[Sql]) -> Sql:
    """All rows of many queries; some within others, for a chain of a thousand is too deep for DuckDB 1.4."""
    if len(queries) <= _TABLES_AT_ONCE:
        return render.joined(queries, "\nUNION ALL\n")
    groups = [queries[start : start + _TABLES_AT_ONCE] for start in range(0, len(queries), _TABLES_AT_ONCE)]
    return _union([render.fill(Sql("FROM ({{queries}}) AS seen"), queries=_union(group)) for group in groups])


def _table_names(call: Call) -> list[ObjectName]:
    return call.scanner.table_names() if call.exists else read_table_names(call.cursor)


def _counts(names: Iterable[ObjectName]) -> Sql:
    return _union([NOTHING_SEEN, *(_count(name) for name in names)])


def _committed_tables(call: Call, procedure: Procedure[..., Any]) -> dict[ObjectName, _Committed]:
    """The large tables of the last commit, with the hashes of their buckets, for a procedure that records changes."""
    if procedure.looks != "changes" or not call.exists or call.database.stat().st_size < _SMALL_FILE:
        return {}
    current, known = engine(call.cursor), Fingerprints(call.cursor).load()
    return {
        entry.name: (call.contents.table(entry.version_id), found)
        for table_id, entry in call.tree(call.head().commit_id).tables.items()
        if (found := known.get(table_id))
        and found.buckets
        and (found.engine, found.version_id) == (current, entry.version_id)
    }


def _hashes(table: Table, committed: Mapping[ObjectName, _Committed]) -> Sql:
    if not _can_be_stored(table):
        return _count(table.name)
    numbered = _numbered(table)
    before, known = committed.get(table.name, (None, None))
    if before and known and _columns(before) == _columns(table):
        places = {c.id: numbered.columns[n] for n, c in enumerate(before.columns)}
        by = [places[c.id] for c in bucket_key(before, known.bucket_column)]
        return render.render(
            "extension.look_at_changes",
            name=_name_as_text(table.name),
            uncommitted=_inserted_here(table),
            version_id=render.literal(known.version_id),
            located=located_query(numbered, by, known),
        )
    return render.render(
        "extension.look_at_rows",
        name=_name_as_text(table.name),
        row_hash=row_hash(numbered.stored_columns),
        uncommitted=_inserted_here(table),
        working=working_rows(numbered),
    )


def _columns(table: Table) -> list[tuple[str, str, bool]]:
    return [(column.name, column.type, column.stored) for column in table.columns]


def _inserted_here(table: Table) -> Sql:
    if any(column.name.casefold() == "rowid" for column in table.columns):
        return Sql("NULL")
    return render.render("extension.inserted_here", table=render.table(table.name))


def _count(name: ObjectName) -> Sql:
    return render.render("extension.look_at_counts", name=_name_as_text(name), table=render.table(name))


def _name_as_text(name: ObjectName) -> Sql:
    return render.literal(canonical_json([name.schema, name.name]))


def _name_of(text: str) -> ObjectName:
    """The name behind a row of the look: unlike its usual form, one that only one table can have."""
    return ObjectName(*json.loads(text))


def _described(name: str) -> str:
    return str(_name_of(name)) if name != _DEFINITIONS else "what is defined"


def _can_be_stored(table: Table) -> bool:
    """Whether the rows of a table have hashes; where they have none, the scan refuses the table, naming the column."""
    try:
        for column in table.stored_columns:
            check_supported(column.type)
    except UnsupportedType:
        return False
    return True


def _numbered(table: Table) -> Table:
    return replace(table, columns=tuple(replace(c, id=n) for n, c in enumerate(table.columns, 1)))
