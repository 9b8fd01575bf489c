"""Opens the database for a request and closes it soon after, so that other programs get in between.

DuckDB lets one process write, or several read. A page that kept the database open would lock out every command, dbt
run and BI tool.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from epoch_sql import library, render
from epoch_sql.config import link_of, repository_folder
from epoch_sql.errors import EpochLockedError
from epoch_sql.library import Repository
from epoch_sql.render import Sql

LINGER = 1.0
"""For how many seconds the database stays open after the last request."""
WAIT = 3.0
"""For how many seconds a request waits for another program."""

PREFIX = "epoch-ui-"
"""How the names of private folders begin; the number of the process follows."""

_RETRY = 0.1


class Lease:
    """The database, open only while somebody needs it. ``folder`` is private; the pages keep differences there."""

    def __init__(self, database: Path, author: str | None = None) -> None:
        self.database = database
        self.author = author
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self._changed = threading.Condition()
        self._opened: Repository | None = None
        self._readers = 0
        self._writing = False
        self._closing: threading.Timer | None = None

    @contextmanager
    def read(self) -> Iterator[Repository]:
        """The repository, opened to read. Requests at the same time share it.

        Raises EpochLockedError if another program has the database open to write.
        """
        with self._changed:
            while self._writing:
                self._changed.wait()
            self._keep_open()
            if self._opened is None:
                self._opened = self._open(read_only=True)
            repository = self._opened
            self._readers += 1
        try:
            yield repository
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    self._closing = threading.Timer(LINGER, self._close_unused)
                    self._closing.daemon = True
                    self._closing.start()
                self._changed.notify_all()

    @contextmanager
    def write(self) -> Iterator[Repository]:
        """The repository, opened to write, for one action. Raises EpochLockedError as ``read`` does."""
        with self._changed:
            while self._writing or self._readers:
                self._changed.wait()
            self._writing = True
            self._close()
        try:
            with self._open(read_only=False) as repository:
                yield repository
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def close(self) -> None:
        """Close the database, whoever uses it."""
        with self._changed:
            self._close()

    def _open(self, read_only: bool) -> Repository:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                repository = library.open(self.database, read_only=read_only, author=self.author)
                break
            except EpochLockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY)
        try:
            self._shut_in(repository.connection)
        except BaseException:
            repository.close()
            raise
        return repository

    def _shut_in(self, connection: duckdb.DuckDBPyConnection) -> None:
        """No query, view, macro or check reads or writes a file but those of the repository and of these pages."""
        own = repository_folder(self.database)
        link = link_of(own)
        folders = [self.folder, own, *([repository_folder(link.main)] if link else [])]
        allowed = render.strings([f"{folder}/" for folder in folders])
        connection.execute(render.fill("SET allowed_directories = {{allowed}}", allowed=allowed))
        connection.execute(Sql("SET enable_external_access = false"))
        connection.execute(Sql("SET lock_configuration = true"))

    def _keep_open(self) -> None:
        if self._closing:
            self._closing.cancel()
            self._closing = None

    def _close_unused(self) -> None:
        with self._changed:
            if not self._readers:
                self._close()

    def _close(self) -> None:
        self._keep_open()
        if self._opened is not None:
            self._opened.close()
            self._opened = None
