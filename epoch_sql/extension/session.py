"""A database that has the SQL surface installed: how its functions get at a connection, without keeping one alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.operations.repository import Memory


class Session:
    """The connections of one database instance that installed the surface, each by a cursor of its own.

    A function that held its connection would keep the database open, and its lock, for as long as the process runs. A
    cursor is closed with its connection, or when that is forgotten. The connections themselves are left alone: DuckDB
    2.0 refuses a call on a connection while another thread calls it.
    ``creating_macros`` says that functions are called only because a macro over them is being made.
    """

    def __init__(self, own_macros: frozenset[str]) -> None:
        self.memory = Memory(own_macros)
        self.lock = Lock()
        self.creating_macros = False
        self._cursors: list[duckdb.DuckDBPyConnection] = []

    def add(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let the functions also use this connection."""
        cursor = connection.cursor()
        with self.lock:
            self._cursors.append(cursor)
        weakref.finalize(connection, self._forget, cursor)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor with transactions of its own, closed afterwards; SQL is rendered for its database meanwhile."""
        with self._open() as cursor:
            row = cursor.execute("SELECT current_database()").fetchone()
            assert row
            token = render.DATABASE.set(row[0])
            try:
                yield cursor
            finally:
                render.DATABASE.reset(token)

    def _open(self) -> duckdb.DuckDBPyConnection:
        with self.lock:
            for cursor in list(self._cursors):
                try:
                    return cursor.cursor()
                except duckdb.ConnectionException:
                    self._cursors.remove(cursor)
        raise EpochRepositoryError(
            "the connection that Epoch was installed on is closed", "epoch_sql.install(con) on an open one"
        )

    def _forget(self, cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.close()
        with self.lock:
            if cursor in self._cursors:
                self._cursors.remove(cursor)
