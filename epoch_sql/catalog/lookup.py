"""What the grammar of references and the reader of versions ask a catalog."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.catalog.content import Levels, Schemas, Versions
from epoch_sql.catalog.history import Commits, Reflog, Refs
from epoch_sql.catalog.relation import RowCache
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Head, Level, Version
from epoch_sql.model.revisions import BRANCHES, REMOTE_BRANCHES, TAGS
from epoch_sql.model.schema import Table

_FOLDERS = {"branch": BRANCHES, "tag": TAGS, "remote": REMOTE_BRANCHES}


@dataclass(frozen=True)
class Lookup:
    """The names and commits that ``model.revisions.resolve`` looks up."""

    current: Callable[[], Head]
    refs: Refs
    commits: Commits
    log: Reflog

    def head(self) -> str | None:
        """The checked-out commit."""
        return self.current().commit_id

    def named(self, names: Collection[str] | None) -> Mapping[str, str]:
        """The commit of each reference that has one of these names (None: of all), by its full name."""
        return {_FOLDERS[kind] + name: commit for kind, name, commit in self.refs.named(names)}

    def commits_with_prefix(self, prefix: str) -> Sequence[str]:
        """The commits whose ids begin with ``prefix``."""
        return self.commits.with_prefix(prefix)

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit."""
        return self.commits.get(commit).parents

    def reflog(self, ref: str) -> Sequence[tuple[datetime, str]]:
        """The moves of a reference. Those of HEAD are the moves of the current branch."""
        if ref == "HEAD":
            kind, name = "branch", self.current().branch or ""
        else:
            kind, folder = next((kind, folder) for kind, folder in _FOLDERS.items() if ref.startswith(folder))
            name = ref.removeprefix(folder)
        moves = self.log.moves_of(kind, name)
        return [(move.moved_at, move.new) for move in reversed(moves) if move.new]


class Objects(Protocol):
    """The folder of the files that a catalog describes."""

    folder: Path

    def path(self, file_id: str) -> Path:
        """The path of the file of that id."""


class CatalogDescriptions:
    """The descriptions of a catalog. In a read-only database, new ones are remembered only."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, store: Objects, cache: RowCache, read_only: bool = False
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
