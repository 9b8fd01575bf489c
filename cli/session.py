"""The database of a command: finds it, opens it (and waits for its lock), and queries it through the SQL functions."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from epoch_sql.config import find_database
from epoch_sql.errors import EpochError, EpochReadOnlyError, EpochStorageError, RepositoryNotFound

from . import diagnostics, rows
from .rows import Cells, Rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from epoch_sql.extension import session as sessions
    from epoch_sql.extension.failing import Watch
    from epoch_sql.progress import Progress

_RETRY_SECONDS = 0.1
_UNWRITABLE = re.compile(r": (Read-only file system|Permission denied)$", re.MULTILINE)


@dataclass(frozen=True)
class Call:
    """A call of an Epoch function. Named arguments that are None keep their defaults."""

    function: str
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The call in SQL, with a placeholder for every value."""
        parts = ["?" for _ in self.arguments]
        parts += [f"{name} := ?" for name in self.given]
        return f"{self.function}({', '.join(parts)})"

    @property
    def values(self) -> list[Any]:
        """The values of the placeholders."""
        return [*self.arguments, *self.given.values()]

    @property
    def given(self) -> dict[str, Any]:
        """The arguments with names, without those that keep their defaults."""
        return {name: value for name, value in self.named.items() if value is not None}


def call(function: str, *arguments: Any, **named: Any) -> Call:
    """``call("epoch_log", ref=…)`` is ``epoch_log(ref := ?)``."""
    return Call(function, arguments, named)


@dataclass
class Session:
    """The global options, and a connection that opens when it is first used."""

    database: str | None = None
    wait: float = 10.0
    author: str | None = None
    reads: bool = False
    _opened: DuckDBPyConnection | None = None
    _read_only: bool = False
    _reading: sessions.Session | None = None
    _unwritable: EpochError | None = None
    _watch: Watch | None = None
    _progress: Progress | None = None

    @cached_property
    def path(self) -> Path:
        """The database file; EpochRepositoryError when there is none."""
        try:
            return find_database(Path.cwd(), self.database)
        except RepositoryNotFound as missing:
            named = self.database or os.environ.get("EPOCH_DB")
            raise replace(missing, advice=f"epoch init {shlex.quote(named)}" if named else missing.advice) from None

    @property
    def opened(self) -> DuckDBPyConnection:
        """The open database, perhaps without Epoch's functions."""
        return self._opened if self._opened is not None else self.open(self.path)

    @property
    def connection(self) -> DuckDBPyConnection:
        """The open database with Epoch's functions."""
        connection = self.opened
        if self._watch is None:
            from epoch_sql.extension.install import installed, watched

            session = installed(connection, {"read_only": self._read_only})
            session.author = self.author or session.author
            session.progress = self._progress = self._progress or session.progress
            self._watch = click.get_current_context().with_resource(watched(connection))
        return connection

    def open(self, path: Path, storage_version: str | None = None) -> DuckDBPyConnection:
        """Opens or creates a database until the command ends. Waits while another process locks it.

        ``storage_version`` is the oldest DuckDB that reads a database that this creates.
        Opens a file that cannot be written to read, and for a command that only reads, one that others are reading.
        What would change it is then refused.
        """
        with diagnostics.working("waiting for the database"):
            try:
                self._opened = self._connected(path, storage_version=storage_version)
            except EpochStorageError as unwritable:
                if not path.is_file():
                    raise
                self._unwritable = unwritable
                self._opened = self._connected(path, read_only=True)
        click.get_current_context().call_on_close(self._opened.close)
        return self._opened

    def transferred(self) -> tuple[int, int]:
        """How many bytes of a transfer or an import are done, and of how many."""
        return (self._progress.so_far(), self._progress.total) if self._progress else (0, 0)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raises Epoch's own errors as what they are; a refusal of what is open to read says why it is."""
        try:
            with self._watching().raising():
                yield
        except EpochReadOnlyError as error:
            raise self._unwritable or error from error

    def _watching(self) -> Watch:
        _ = self.connection
        assert self._watch
        return self._watch

    def do(self, procedure: Call, what: str, measure: diagnostics.Measure | None = None) -> dict[str, Any]:
        """Runs a procedure, and gives its row by column names. ``measure`` gives its progress."""
        return self.done(procedure, what, measure)[0]

    def done(self, procedure: Call, what: str, measure: diagnostics.Measure | None = None) -> list[dict[str, Any]]:
        """Runs a procedure that returns any number of rows."""
        with diagnostics.working(what, measure):
            found = self._records(f"CALL {procedure.text}", procedure.values)
        for warning in (text for row in found for text in row.get("warnings") or ()):
            diagnostics.warning(warning)
        return found

    def listed(self, procedure: Call, what: str, form: str) -> Rows:
        """Runs a procedure that returns any number of rows, and gives them as texts."""
        with diagnostics.working(what), self.raising():
            return rows.execute(self.connection, f"CALL {procedure.text}", procedure.values, form)

    def read(self, function: Call) -> list[dict[str, Any]]:
        """The rows of a reading function of Epoch as Python values."""
        from epoch_sql.extension.index import PLAIN

        with diagnostics.working("reading"):
            opened = self.opened
            if self._watch is None and function.function in PLAIN and not function.arguments:
                from epoch_sql.extension.reading import read, session_to_read

                self._reading = self._reading or session_to_read(opened, {"read_only": self._read_only})
                if self._reading:
                    return read(self._reading, function.function, function.given)
            return self._records(f"FROM {function.text}", function.values)

    def commits(self, refs: Sequence[str]) -> list[str]:
        """The ids of the commits that references name, with one query."""
        asked = [call("epoch_log", ref=ref, max_count=1) for ref in refs]
        ids = ", ".join(f"(SELECT commit_id FROM {one.text})" for one in asked)
        with diagnostics.working("reading"):
            [row] = self._records(f"SELECT [{ids}] AS ids", [value for one in asked for value in one.values])
        found: list[str] = row["ids"]
        return found

    def rows(self, function: Call, form: str, filtered: str = "", values: Sequence[Any] = ()) -> Rows:
        """The rows of a reading function as texts; ``filtered`` is SQL after FROM, with placeholders for ``values``."""
        return self.query(f"FROM {function.text} {filtered}", form, [*function.values, *values])

    def query(self, query: str, form: str, values: Sequence[Any] = ()) -> Rows:
        """The rows of a SELECT as texts."""
        with diagnostics.working("reading"), self.raising():
            found = rows.select(self.connection, query, values, form)
        return replace(found, cells=self._fetched(found.cells))

    def differing(
        self, function: Call, filtered: str, values: Sequence[Any], apart: bool
    ) -> tuple[list[str], Iterator[Cells]]:
        """The columns and rows of a typed epoch_diff for people (see ``Differing``)."""
        with diagnostics.working("reading"), self.raising():
            query, given = f"FROM {function.text} {filtered}", [*function.values, *values]
            names, found = rows.differing(self.connection, query, given, apart)
        return names, self._fetched(found)

    def _fetched(self, cells: Iterable[Cells]) -> Iterator[Cells]:
        with self.raising():
            yield from cells

    def _records(self, statement: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        cursor = self.connection.cursor()
        with self.raising():
            found = cursor.execute(statement, values).fetchall()
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found]

    def _connected(self, path: Path, read_only: bool = False, storage_version: str | None = None) -> DuckDBPyConnection:
        """The connection; EpochStorageError when the file cannot be written."""
        import duckdb

        self._read_only = read_only
        deadline = time.monotonic() + self.wait
        while True:
            try:
                if storage_version is not None:
                    from epoch_sql.extension.install import create

                    create(path, storage_version)
                return duckdb.connect(str(path), read_only)
            except duckdb.IOException as error:
                unwritable = _UNWRITABLE.search(str(error))
                if unwritable and not read_only:
                    message, advice = (
                        f"cannot write to {path}: {unwritable[1]}",
                        "make the file and its folder writable",
                    )
                    raise EpochStorageError(message, advice, path=str(path)) from error
                locked = "Could not set lock" in str(error)
                if locked and self.reads and not read_only:
                    beside = self._beside_readers(path, error)
                    if beside:
                        return beside
                if not locked or time.monotonic() >= deadline:
                    raise
                time.sleep(min(_RETRY_SECONDS, max(0.0, deadline - time.monotonic())))

    def _beside_readers(self, path: Path, refused: Exception) -> DuckDBPyConnection | None:
        """The connection to a database that other programs only read; None if one of them writes."""
        import duckdb

        try:
            found = duckdb.connect(str(path), True)
        except duckdb.IOException:
            return None
        self._read_only, self._unwritable = True, diagnostics.translate(refused)
        return found


pass_session = click.make_pass_decorator(Session)


def pass_to_read(command: Callable[..., object]) -> Callable[..., object]:
    """``pass_session`` for a command that only reads: it works on a database that others are reading."""

    @pass_session
    @wraps(command)
    def run(session: Session, *arguments: Any, **options: Any) -> object:
        session.reads = True
        return command(session, *arguments, **options)

    return run
