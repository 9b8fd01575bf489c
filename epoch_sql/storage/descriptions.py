"""What ``Contents`` asks: for the descriptions of versions, which a catalog or a store has, and for their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.catalog.content import Levels, Schemas, Versions
from epoch_sql.catalog.relation import RowCache
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import DataFile, Level, Version
from epoch_sql.model.schema import Table
from epoch_sql.storage.writing import ObjectStore


class Files(Protocol):
    """The Parquet files of versions, wherever they are."""

    def path(self, file_id: str) -> Path | str:
        """Where the file of that id is, as DuckDB or another engine is told."""

    def problem(self, files: Sequence[DataFile], whole: bool = False) -> tuple[DataFile, str] | None:
        """The first file that cannot be read, and why. ``whole``: every byte of it matters."""


class Descriptions(Protocol):
    """Versions, levels and definitions by id. ``Contents`` keeps what it was told."""

    def versions(self, ids: Iterable[str]) -> Mapping[str, Version]:
        """The versions of these ids."""

    def levels(self, ids: Iterable[str]) -> Mapping[str, Level]:
        """The levels of these ids."""

    def tables(self, ids: Iterable[str]) -> Mapping[str, Table]:
        """The definitions of these ids."""

    def edges(self, table_id: str) -> list[Level]:
        """The known deltas between two versions of a table, with their ends. There may be others among them."""

    def add(self, tables: Sequence[Table], levels: Sequence[Level], versions: Sequence[Version]) -> None:
        """Remember new descriptions, for good if that is how they are kept."""

    def broken(self, file_id: str, problem: str) -> EpochStorageError:
        """The error for a file with a problem."""


class CatalogDescriptions:
    """The descriptions of a catalog. In a read-only database, new ones are remembered only."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, store: ObjectStore, cache: RowCache, read_only: bool = False
    ) -> None:
        self.cursor = cursor
        self.store = store
        self._cache = cache
        self._edges = cache.edges
        self._level_count: int | None = None
        self._unstored: dict[str, list[Level]] | None = {} if read_only else None  # of a computed merge base

    def versions(self, ids: Iterable[str]) -> Mapping[str, Version]:
        """The versions of these ids, with one query."""
        return Versions(self.cursor).load(ids)

    def levels(self, ids: Iterable[str]) -> Mapping[str, Level]:
        """The levels of these ids."""
        return Levels(self.cursor, self._cache).load(ids)

    def tables(self, ids: Iterable[str]) -> Mapping[str, Table]:
        """The definitions of these ids."""
        return Schemas(self.cursor).load(ids)

    def edges(self, table_id: str) -> list[Level]:
        """Every delta between two versions of a table. Reads them again if levels were added or removed."""
        stored = Levels(self.cursor, self._cache)
        if self._level_count is None:
            self._level_count = stored.count()
        found = self._edges.get((self._level_count, table_id))
        if found is None:
            found = self._edges[self._level_count, table_id] = stored.edges(table_id)
        return [*found, *self._unstored.get(table_id, ())] if self._unstored else found

    def add(self, tables: Sequence[Table], levels: Sequence[Level], versions: Sequence[Version]) -> None:
        """Store new descriptions."""
        if self._unstored is None:
            Schemas(self.cursor).add(tables)
            Levels(self.cursor).add(levels)
            Versions(self.cursor).add(versions)
        else:
            own = {v.table_id: [level for level in levels if level.to_version == v.version_id] for v in versions}
            self._unstored.update((i, [*self._unstored.get(i, ()), *found]) for i, found in own.items())
        # Other transactions must not see these rows in the cache before this one commits.
        self._level_count, self._edges = None, {}

    def broken(self, file_id: str, problem: str) -> EpochStorageError:
        """The error for a damaged file. It names the tables and commits that need the file."""
        folder = self.store.folder
        if not folder.exists():
            return EpochStorageError(
                f"{folder} is missing: it has the rows of every commit",
                f"copy the folder {folder.parent.name} to {folder.parents[1]} from where the database was",
                path=str(folder),
            )
        needing = render.render("levels.needing_file", object_name=render.load("files.object_name"))
        rows = self.cursor.execute(needing, [file_id]).fetchall()
        tables = ", ".join(sorted({row[0] for row in rows})) or "nothing"
        commits = [row[1][:7] for row in rows]
        needed = ", ".join(dict.fromkeys(commits)) or "no commit"
        path = self.store.path(file_id)
        return EpochStorageError(
            f"file {path} {problem}; table {tables} needs it in {needed}",
            ("restore the file from a backup or a clone, then run ", Suggestion("fsck")),
            path=str(path),
        )
