"""Counts the statements of verbs: a cost that a test can hold, on any machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest

from epoch_sql.extension.session import Session


class _Counted:
    """A cursor that notes its statements."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, made: list[str]) -> None:
        self._cursor = cursor
        self._made = made

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *raised: object) -> None:
        self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def cursor(self) -> _Counted:
        return _Counted(self._cursor.cursor(), self._made)

    def execute(self, statement: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
        self._made.append(statement)
        return self._cursor.execute(statement, *parameters)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that Epoch's functions make meanwhile on cursors of their own."""
    made: list[str] = []
    opened = Session._open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_open", lambda session: _Counted(opened(session), made))
        yield made
