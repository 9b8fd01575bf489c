"""Raises an error in its caller's query, and keeps the caller's transaction if DuckDB allows it.

DuckDB 1.4 and 1.5 keep a transaction after an error of the parser, the binder or the catalog, even while a statement
runs. They abort it after any other error, such as that of ``error()``, and its COMMIT then succeeds and saves nothing.
``json_deserialize_sql`` raises the error in a document as one of the parser. DuckDB 2.0 aborts at any error, unless
``default_transaction_invalidation_policy`` is SYNTACTIC_ERRORS_DO_NOT_INVALIDATE. A function cannot know whether its
caller has an open transaction, so there each error says what happened to one.

DuckDB carries only a text. For callers that wait for the error itself (``Failures``), the object is kept beside it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion, Value
from epoch_sql.errors import EpochDatabaseError, EpochError, EpochLockedError, EpochStorageError, EpochTransactionError
from epoch_sql.model.names import shown
from epoch_sql.render import Sql
from epoch_sql.verb import sql_name

_ABORTED = "If a transaction was open, DuckDB has aborted it: ROLLBACK, then run its statements again."
_LONGEST_COMMAND = 200
_LOCK = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<process>\d+)\)")


@dataclass(frozen=True)
class Failure:
    """What to raise, shown as it is, or by the document of an error of the parser (``is_document``)."""

    error: EpochError
    message: str
    is_document: bool

    @property
    def shown(self) -> str:
        """What people see, within a text of DuckDB's."""
        return f"{self.error.kind}: {self.message}"

    @property
    def text(self) -> str:
        """The argument of the function that fails."""
        if not self.is_document:
            return self.shown
        return json.dumps({"error": True, "error_type": self.error.kind, "error_message": self.message})


class Failures:
    """The errors that the functions of one database raise through DuckDB, for those who wait for them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._watching: list[Watch] = []

    def add(self, failure: Failure) -> None:
        """Hand an error to all who wait for one."""
        with self._lock:
            for watch in self._watching:
                watch.failures.append(failure)

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """What is raised meanwhile."""
        watch = Watch([])
        with self._lock:
            self._watching.append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watching = [other for other in self._watching if other is not watch]


@dataclass(frozen=True)
class Watch:
    """The errors that were raised through DuckDB since somebody began to wait for them."""

    failures: list[Failure]

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Within it, an error of Epoch's that DuckDB raises as a text is raised as what it is."""
        try:
            yield
        except duckdb.Error as error:
            # DuckDB may fail for a reason of its own after it has dropped a failure: a view that is not bound, say.
            raised = str(error)
            own = next((failure.error for failure in reversed(self.failures) if failure.shown in raised), None)
            if own is None:
                raise
            raise own from error


def aborts_transactions(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether an open transaction is aborted at any error, whatever its kind."""
    policy = cursor.execute(
        "SELECT value FROM duckdb_settings() WHERE name = 'default_transaction_invalidation_policy'"
    ).fetchone()
    return policy is not None and policy[0] == "ALL_ERRORS_INVALIDATE_TRANSACTION"


def failure(error: EpochError, aborts: bool, acting: Container[str]) -> Failure:
    """How to raise an error where every error aborts an open transaction, or where those of the parser do not."""
    if aborts and isinstance(error, EpochTransactionError) and error.pending:
        error = EpochTransactionError.uncommitted(error.pending, aborted=True)
    hint = error.hinted(lambda suggestion: in_sql(suggestion, acting))
    message = f"{error.message}{f' (hint: {hint})' if hint else ''}"
    if aborts and not (isinstance(error, EpochTransactionError) and error.pending):
        message += f"\n{_ABORTED}"
    return Failure(error, _valid(message), is_document=not aborts)


def failing(failed: Failure) -> Sql:
    """A query that fails when it is bound."""
    template = "FROM query(json_deserialize_sql({{text}}))" if failed.is_document else "FROM query(error({{text}}))"
    return render.fill(Sql(template), text=render.literal(failed.text))


def in_sql(suggestion: Suggestion, acting: Container[str]) -> str:
    """A suggestion as a statement; ``acting`` are the functions that do more than read."""
    name = f"epoch_{suggestion.verb}"
    options = [f"{sql_name(option)} := {_literal(v)}" for option, v in suggestion.options.items()]
    arguments = ", ".join([*map(_literal, suggestion.arguments), *options])
    return f"{'CALL' if name in acting else 'FROM'} {name}({arguments})"


def as_epoch_error(error: Exception) -> EpochError:
    """The error that users see: Epoch's own, or what DuckDB or the operating system said, on one line."""
    if isinstance(error, EpochError):
        return error
    in_use = locked(error)
    if in_use:
        return in_use
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(error, OSError | duckdb.IOException):
        return EpochStorageError(
            text, "check the disk and the permissions of the database's folder; nothing was changed"
        )
    if isinstance(error, duckdb.FatalException):
        return EpochStorageError(text, "DuckDB has closed the database: free space, open it again, and retry")
    return EpochDatabaseError(text)


def locked(error: Exception) -> EpochLockedError | None:
    """The error for a database that another program has open, if DuckDB refused it for that."""
    found = _LOCK.search(str(error))
    if found is None:
        return None
    program, process = found["program"], int(found["process"])
    command = _command_line(process) or program
    message = f"the database is locked by {command} (PID {process})"
    return EpochLockedError(message, "close it there, then retry", program=program, process=process, command=command)


def _command_line(process: int) -> str | None:
    """The command line of a process, where the system shows it."""
    try:
        line = Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0")
    except OSError:
        return None
    words = [word.decode(errors="replace") for word in line.split(b"\0")] if line else []
    return shown(shlex.join(words), _LONGEST_COMMAND) or None


def _literal(value: Value) -> Sql:
    if isinstance(value, tuple):
        return render.strings(value)
    return Sql(str(value).lower()) if isinstance(value, bool) else render.literal(value)


def _valid(text: str) -> str:
    """Text that DuckDB accepts. The name of a file may hold bytes that are not characters."""
    return text.encode(errors="replace").decode()
