"""Refusing to act for a connection that has uncommitted changes.

A procedure acts on committed data, on a cursor of its own. What its caller sees is compared with that: the caller's own
query reads the hashes (or the numbers) of all rows and of all definitions, and passes them to the procedure. Besides, an
open transaction that has updated, deleted or changed definitions makes CHECKPOINT fail; that is tried when DuckDB's
counters say that some transaction ran more than one statement since the last look.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochRepositoryError, EpochTransactionError
from epoch_sql.extension.session import Session
from epoch_sql.model.schema import ObjectName, Table, canonical_json
from epoch_sql.operations.repository import Repository
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import UnsupportedType, check_supported
from epoch_sql.worktree.rows import row_hash, working_rows

PATIENCE = 1.0
NOTHING_SEEN = Sql("SELECT NULL::VARCHAR AS name, NULL::BIGINT AS row_count, NULL::HUGEINT AS checksum WHERE false")
_DEFINITIONS = ""


@dataclass(frozen=True)
class Caller:
    """The caller's statement and transaction, and what it sees of the working tables."""

    query_id: int
    transaction_id: int
    looks: str | None
    seen: Sequence[dict[str, Any]] | None


def look_query(
    session: Session, cursor: duckdb.DuckDBPyConnection, looks: str, query_id: int, transaction_id: int
) -> Sql:
    """The query that tells what its reader sees: for each table its rows and their checksum, and a hash of all definitions."""
    has_catalog = cursor.execute(
        "SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'epoch' AND database_name = current_database()"
    ).fetchone()
    if not has_catalog:
        return NOTHING_SEEN
    repository = Repository(cursor, session.memory)
    _refuse_open_transaction(session, repository, query_id, transaction_id)
    return _view_query(repository, looks)


def require_same_view(session: Session, repository: Repository, caller: Caller) -> None:
    """EpochTransactionError when the caller sees other data than what is committed.

    Where the caller read the hashes of all rows, they are kept for the scan, which confirms them.
    """
    row = repository.cursor.execute(
        "SELECT readonly FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchone()
    if row and row[0]:
        raise EpochRepositoryError(
            f"{repository.database} is open read-only, so nothing can be changed", "open it without read_only"
        )
    _refuse_open_transaction(session, repository, caller.query_id, caller.transaction_id)
    if caller.looks is None:
        return
    seen = {entry["name"]: entry for entry in caller.seen or ()}
    for name, row_count, checksum in repository.cursor.execute(_view_query(repository, "counts")).fetchall():
        other = seen.pop(name, None)
        if other is None or other["row_count"] != row_count or (name == _DEFINITIONS and other["checksum"] != checksum):
            raise uncommitted(str(_name_of(name)) if name else "the definitions")
    if seen:
        raise uncommitted(str(_name_of(next(iter(seen)))))
    if caller.looks == "rows":
        repository.scanner.seen = {
            _name_of(entry["name"]): (entry["row_count"], int(entry["checksum"]))
            for entry in caller.seen or ()
            if entry["name"] != _DEFINITIONS and entry["checksum"] is not None
        }


def uncommitted(what: str) -> EpochTransactionError:
    """The error for a caller that has changes of its own."""
    return EpochTransactionError(
        f"a transaction with uncommitted changes is open: {what} does not look the same inside it", "COMMIT or ROLLBACK, then call again"
    )


def _refuse_open_transaction(session: Session, repository: Repository, query_id: int, transaction_id: int) -> None:
    offset = query_id - transaction_id
    if offset == session.seen_offset:
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            repository.cursor.execute("CHECKPOINT")
            session.seen_offset = offset
            return
        except duckdb.TransactionException as error:
            if time.monotonic() > deadline:
                raise EpochTransactionError(
                    "a transaction with uncommitted changes is open, on this connection or another",
                    "COMMIT or ROLLBACK, then call again",
                ) from error
            time.sleep(0.02)


def _view_query(repository: Repository, looks: str) -> Sql:
    selects = [render.render("definitions", catalog=render.literal(repository.catalog))]
    for table in repository.scanner.schema().tables:
        name = render.literal(canonical_json([table.name.schema, table.name.name]))
        if looks == "rows" and _can_be_stored(table):
            numbered = _numbered(table)
            hashed = row_hash(numbered.stored_columns)
            selects.append(render.render("look_at_rows", name=name, row_hash=hashed, working=working_rows(numbered)))
        else:
            selects.append(render.render("look_at_counts", name=name, table=render.table(table.name)))
    return render.joined(selects, "\nUNION ALL\n")


def _name_of(text: str) -> ObjectName:
    """The name behind a row of the look: unlike its usual form, one that only one table can have."""
    return ObjectName(*json.loads(text))


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
