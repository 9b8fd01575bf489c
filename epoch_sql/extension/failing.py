"""How an error is raised in its caller's query: without ending the caller's transaction, where DuckDB lets it live.

DuckDB 1.4 and 1.5 keep a transaction after an error of the parser, the binder or the catalog, also if it comes while a
statement runs, and abort it after any other; its COMMIT then goes through, and saves nothing. ``error()`` is another.
``json_deserialize_sql`` raises the error that a document tells of, as one of the parser. DuckDB 2.0 aborts at any
error, unless ``default_transaction_invalidation_policy`` is SYNTACTIC_ERRORS_DO_NOT_INVALIDATE. A function cannot know
whether its caller's transaction is an open one, so there each error says what has become of it, should there be one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochError, EpochTransactionError
from epoch_sql.render import Sql

_ABORTED = "If a transaction was open, DuckDB has aborted it: ROLLBACK, then run its statements again."


@dataclass(frozen=True)
class Failure:
    """What to raise: ``text`` as it is, or as the document of an error of the parser (``is_document``)."""

    text: str
    is_document: bool


def aborts_transactions(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether an open transaction is aborted at any error, whatever its kind."""
    policy = cursor.execute(
        "SELECT value FROM duckdb_settings() WHERE name = 'default_transaction_invalidation_policy'"
    ).fetchone()
    return policy is not None and policy[0] == "ALL_ERRORS_INVALIDATE_TRANSACTION"


def failure(error: EpochError, aborts: bool) -> Failure:
    """How to raise an error where every error aborts an open transaction, or where those of the parser do not."""
    if not aborts:
        told = str(error).removeprefix(f"{error.kind}: ")
        return Failure(json.dumps({"error": True, "error_type": error.kind, "error_message": _valid(told)}), True)
    if isinstance(error, EpochTransactionError) and error.pending:
        return Failure(_valid(str(EpochTransactionError.uncommitted(error.pending, aborted=True))), False)
    return Failure(_valid(f"{error}\n{_ABORTED}"), False)


def failing(failed: Failure) -> Sql:
    """A query that fails when it is bound."""
    template = "FROM query(json_deserialize_sql({{text}}))" if failed.is_document else "FROM query(error({{text}}))"
    return render.fill(Sql(template), text=render.literal(failed.text))


def _valid(text: str) -> str:
    """Text that DuckDB takes: the name of a file may hold what is no character."""
    return text.encode(errors="replace").decode()
