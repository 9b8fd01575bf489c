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
    """The connections of one database instance that installed the surface, held weakly.

    A function that held its connection would keep the database open, and its lock, for as long as the process runs.
    ``creating_macros`` says that functions are called only because a macro over them is being made.
    """

    def __init__(self, own_macros: frozenset[str]) -> None:
        self.memory = Memory(own_macros)
        self.lock = Lock()
        self.creating_macros = False
        self._connections: list[weakref.ref[duckdb.DuckDBPyConnection]] = []

    def add(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let the functions also use this connection."""
        self._connections.append(weakref.ref(connection))

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
            "the connection that Epoch was installed on is closed", "epoch_sql.install(con) on an open one"
        )
