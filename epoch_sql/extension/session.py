"""A database that has the SQL surface installed: how its functions get at a connection, without keeping one alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock, RLock
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.call import Call, Memory, open_database
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.extension.failing import Failures
from epoch_sql.extension.index import MADE_IN
from epoch_sql.progress import Progress


class Session:
    """A database file in this process, or a database in memory, to which one with a repository may be attached. Gives
    its functions their cursors.

    Functions connect to a file again for each call, with the options of its connections (DuckDB refuses others). A
    cursor of a user's connection would be closed with it while another thread works on it, and DuckDB 2.0 refuses calls
    on a connection whose cursors are at work in other threads. Connections are held weakly: a function that held one
    would keep the database open, and its lock, for as long as the process runs. ``creating_macros`` says that functions
    are called only because a macro over them is being created. A call that acts holds ``turn``, so that calls of one
    process follow each other. ``author`` is the author, unless a call names another. ``progress`` is the progress of
    transfers. ``mark`` is that of the file's own macros (see ``MADE_IN``).
    """

    def __init__(self, memory: Memory, path: str | None = None) -> None:
        self.memory = memory
        self.failures = Failures()
        self.lock = Lock()
        self.turn = RLock()
        self.creating_macros = False
        self.author: str | None = None
        self.progress = Progress()
        self.mark: object = None
        self._path = path
        self._attached: int | None = None
        self._options: Mapping[str, Any] = {}
        self._connections: list[weakref.ref[duckdb.DuckDBPyConnection]] = []

    def add(self, connection: duckdb.DuckDBPyConnection, options: Mapping[str, Any]) -> None:
        """Let the functions also use this connection; ``options`` are what ``duckdb.connect`` was given, if known."""
        with self.lock:
            self._options = options
            self._connections.append(weakref.ref(connection))

    def is_open(self) -> bool:
        """Whether somebody in this process has the database open."""
        with suppress(EpochRepositoryError):
            self._cursor_of_connection().close()
            return True
        return False

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor with transactions of its own, closed afterwards; SQL is rendered for its database meanwhile."""
        with self._open() as cursor:
            if self._path is None:
                self._use_attached(cursor)
            opened = self.memory.opened = self.memory.opened or open_database(cursor)
            with render.for_database(opened.name):
                yield cursor

    def require_called_here(self, cursor: duckdb.DuckDBPyConnection, name: str, mark: str) -> None:
        """Raises EpochRepositoryError for a function of another database that is attached to this file: it would work
        here. It gives the mark of its database, which a copy of this file has, too."""
        if self._path is None or not _has_others(cursor):
            return
        there = [
            str(found)
            for (found,) in cursor.execute(render.load("extension.marked"), [MADE_IN, f"'{mark}'"]).fetchall()
        ]
        if there or mark != self.mark:
            where = " or ".join(there) or "another database"
            raise EpochRepositoryError(
                f"{name} of {where}, which is attached, would work on {self._path}",
                f"open {there[0] if there else 'the other one'} with epoch_sql.connect, or DETACH it",
            )

    def call(self, cursor: duckdb.DuckDBPyConnection, author: str | None = None, create: bool = False) -> Call:
        """The context of a call on a cursor; with ``create``, also where there is no repository yet."""
        return Call(cursor, self.memory, create, author or self.author, self.progress)

    def _use_attached(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Go on in the repository that is attached to a database in memory. Raises EpochRepositoryError for more than
        one: a function does not know in which of them it was called."""
        attached = cursor.execute(render.load("extension.attached")).fetchall()
        if len(attached) > 1:
            names = ", ".join(name for name, _ in attached)
            raise EpochRepositoryError(
                f"more than one repository is attached: {names}",
                "DETACH all but one, or open each with epoch_sql.connect",
            )
        for name, _ in attached:
            cursor.execute(render.fill("USE {{name}}", name=render.identifier(name)))
        number = attached[0][1] if attached else None
        if number != self._attached:
            # Another process may have written before it was attached.
            self.memory = Memory(self.memory.own_macros, self.memory.acting)
            self._attached = number

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._path:
            # Refused where the database was opened with options that are not known here.
            with suppress(duckdb.ConnectionException):
                return duckdb.connect(self._path, **self._options)
        return self._cursor_of_connection()

    def _cursor_of_connection(self) -> duckdb.DuckDBPyConnection:
        with self.lock:
            for reference in list(self._connections):
                connection = reference()
                if connection is None:
                    self._connections.remove(reference)
                    continue
                try:
                    return connection.cursor()
                except duckdb.ConnectionException:
                    self._connections.remove(reference)
        raise EpochRepositoryError(
            "the connection that Epoch was installed on is closed",
            "open the database again, and install Epoch on that connection",
        )


def _has_others(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether other databases are attached."""
    row = cursor.execute(render.load("extension.others")).fetchone()
    return bool(row and row[0])
