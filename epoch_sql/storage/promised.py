"""The files of a bare clone: those that it wrote itself, and those that a remote has, its promisor.

A file of a folder is read where it lies. A file of a bucket is fetched when it is first read, and kept. Either way its
bytes are compared with its name, as those of a local file are.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import duckdb

from epoch_sql.advice import Suggestion
from epoch_sql.catalog.local import Remotes
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.model.commit import DataFile
from epoch_sql.model.remote import damaged, parse_url
from epoch_sql.storage.remote.base import RemoteStore, file_path
from epoch_sql.storage.remote.folder import open_store
from epoch_sql.storage.writing import ObjectStore


class PromisedObjects(ObjectStore):
    """The files of a repository that has all others at the store of a remote."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._url = url

    @cached_property
    def remote(self) -> RemoteStore:
        """The store of the remote, which is contacted for a file that is not here."""
        return open_store(parse_url(self._url, Path.cwd()))

    def has(self, file_id: str) -> bool:
        """Whether a file is here."""
        return self.place(file_id).exists()

    def path(self, file_id: str) -> Path:
        """The path of a file, here or in the folder of the remote. A file of a bucket is fetched first."""
        if self.has(file_id):
            return self.place(file_id)
        there = self.remote.in_place(file_path(file_id))
        if there is None:
            self._bring(file_id, self.remote.size(file_path(file_id)))
        return there or self.place(file_id)

    def check(self, file: DataFile, whole: bool = False) -> str | None:
        """The problem of a file, here or at the remote, or None."""
        self._require(file)
        return super().check(file, whole)

    def verify(self, file: DataFile) -> str | None:
        """Like ``check``, but always reads the whole file."""
        self._require(file)
        return super().verify(file)

    def promise(self, file: DataFile) -> str | None:
        """The problem of a file that is not here, as far as the remote says without sending it."""
        size = self.remote.size(file_path(file.file_id))
        if size is None:
            return f"is missing at {self.remote.where}"
        return None if size == file.bytes else f"has {size} bytes at {self.remote.where} instead of {file.bytes}"

    def _require(self, file: DataFile) -> None:
        if not self.has(file.file_id) and self.remote.in_place(file_path(file.file_id)) is None:
            self._bring(file.file_id, file.bytes)

    def _bring(self, file_id: str, size: int | None) -> None:
        """Fetch a file, unless the remote lacks it. Raises EpochStorageError for one that is not what its name says."""
        if size is None:
            return
        path = file_path(file_id)
        with self.writing() as aside:
            if self.remote.download(path, aside, size) and self.keep(aside, file_id) != file_id:
                raise damaged(f"{self.remote.where}/{path}", "is corrupted: its content does not match its name")


def promised_objects(cursor: duckdb.DuckDBPyConnection, folder: Path, promisor: str) -> PromisedObjects:
    """The files of a bare clone. The rest is at the store of the remote of that name."""
    return PromisedObjects(folder, Remotes(cursor).load()[promisor].url)


def no_working_tables(database: str) -> EpochRepositoryError:
    """The error for a verb that needs the working tables in a bare clone."""
    merging = Suggestion("merge", "SOURCE", into="BRANCH")
    return EpochRepositoryError(
        f"{database} is a bare clone: it has no working tables, and no branch is checked out",
        ("name the branch, as ", merging, " does; or, to work on tables, ", Suggestion("clone", "URL")),
        database=database,
    )
