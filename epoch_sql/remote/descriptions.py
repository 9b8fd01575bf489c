"""Versions as a store describes them, so that ``Contents`` reads them without a clone.

The id of a version is that of its content. A document is proved before it is believed, and a definition before its text
becomes a part of any SQL. Rows are not proved, as they are by a fetch: whoever reads a store without a clone believes
who may write to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import DataFile, Level, Version, level_identity
from epoch_sql.model.remote import Manifest, PortableLevel, damaged
from epoch_sql.model.schema import Table
from epoch_sql.proof.engine import shut_in
from epoch_sql.remote.documents import Documents
from epoch_sql.remote.proving import taken_apart
from epoch_sql.storage.remote.base import RemoteStore, file_path
from epoch_sql.storage.remote.parallel import in_parallel


@dataclass
class StoreFiles:
    """The files of a store, where an engine finds them (``prefix``)."""

    store: RemoteStore
    prefix: str
    _there: set[str] = field(default_factory=set)

    def path(self, file_id: str) -> str:
        """Where the engine finds the file of that id."""
        return f"{self.prefix}/{file_path(file_id)}"

    def problem(self, files: Sequence[DataFile], whole: bool = False) -> tuple[DataFile, str] | None:
        """The first file that is missing or has another size. Asks the store once for each; never for its content."""
        asked = [file for file in files if file.file_id not in self._there]
        sizes = in_parallel(lambda file: self.store.size(file_path(file.file_id)), asked)
        for file, size in zip(asked, sizes, strict=True):
            if size is None:
                return file, "is missing"
            if size != file.bytes:
                return file, f"is corrupted: it has {size} bytes instead of {file.bytes}"
        self._there.update(file.file_id for file in asked)
        return None


@dataclass
class StoreDescriptions:
    """The descriptions of a store. ``deltas`` are those of commits that were read, which are the known edges.

    New descriptions are remembered only: whoever writes to the store does so before.
    """

    documents: Documents
    deltas: dict[str, Level] = field(default_factory=dict)
    _levels: dict[str, Level] = field(default_factory=dict)
    _files: dict[str, tuple[str, DataFile]] = field(default_factory=dict)

    def versions(self, ids: Iterable[str]) -> Mapping[str, Version]:
        """The versions with these contents."""
        return {i: self._version(i, manifest) for i, manifest in self.documents.manifests(ids).items()}

    def levels(self, ids: Iterable[str]) -> Mapping[str, Level]:
        """The levels of these ids, which are levels of versions that were read."""
        return {i: self._levels[i] for i in ids}

    def tables(self, ids: Iterable[str]) -> Mapping[str, Table]:
        """The definitions of these ids, each of which is one definition of a table, whatever its text says."""
        found = self.documents.definitions(ids)
        if found:
            with shut_in() as engine:
                taken_apart(engine, self.documents.store.where, [*found.values()])
        return found

    def edges(self, table_id: str) -> list[Level]:
        """The deltas of all commits that were read: a content names its table, so no delta leads to another one."""
        return [*self.deltas.values()]

    def add(self, tables: Sequence[Table], levels: Sequence[Level], versions: Sequence[Version]) -> None:
        """Remember new levels; those with two ends are edges."""
        self._remember(levels)
        self.deltas.update((level.level_id, level) for level in levels if level.from_version and level.to_version)

    def add_deltas(self, deltas: Iterable[PortableLevel]) -> None:
        """Remember the deltas of a commit as edges."""
        self.add([], [_level(delta) for delta in deltas], [])

    def file(self, file_id: str) -> tuple[str, DataFile]:
        """A file of the levels that were read, and the kind of its level."""
        return self._files[file_id]

    def broken(self, file_id: str, problem: str) -> EpochStorageError:
        """The error for a file with a problem."""
        return damaged(self.documents.where(file_path(file_id)), problem)

    def _version(self, content_id: str, manifest: Manifest) -> Version:
        levels = [*map(_level, manifest.levels)]
        self._remember(levels)
        level_ids = tuple(level.level_id for level in levels)
        return replace(manifest.version, version_id=content_id, level_ids=level_ids)

    def _remember(self, levels: Sequence[Level]) -> None:
        self._levels.update((level.level_id, level) for level in levels)
        self._files.update((file.file_id, (level.kind, file)) for level in levels for file in level.files)


def _level(stated: PortableLevel) -> Level:
    file_ids = tuple(file.file_id for file in stated.files)
    level_id = level_identity(stated.kind, file_ids, stated.before, stated.after)
    return Level(level_id, stated.kind, stated.files, stated.rows, stated.before, stated.after)
