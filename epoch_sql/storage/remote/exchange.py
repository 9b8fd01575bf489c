"""The exchange: the folder in which the worktrees of a repository tell each other about commits and branches.

Commits are there as at a remote, and are proved as those of a remote. The objects are the repository's own, so nothing
is copied. Each worktree writes one record, which says where its branches are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from epoch_sql.errors import EpochStorageError
from epoch_sql.model.remote import RemoteURL
from epoch_sql.model.worktrees import Record, read_record, record_document
from epoch_sql.storage.remote.folder import FolderStore

FOLDER = "exchange"
_RECORDS = "worktrees"
_FILE_ID = re.compile(rb'"file_id":"([0-9a-f]{64})"')


class Exchange(FolderStore):
    """The exchange of a repository, as a remote whose objects are those of the repository."""

    def __init__(self, shared: Path) -> None:
        super().__init__(RemoteURL("file", "", str(shared / FOLDER)))
        self._shared = shared

    @property
    def is_there(self) -> bool:
        """Whether the repository ever had a linked worktree."""
        return self.folder.is_dir()

    def put_new(self, path: str, data: bytes) -> bool:
        """Write a file aside and rename it. What has a path here never differs, so this needs no hard links."""
        if self.size(path) is not None:
            return False
        self.replace(path, data)
        return True

    def put_every_new(self, documents: Mapping[str, bytes]) -> list[str]:
        """Write files aside and rename them. Returns the paths that existed."""
        return [path for path, data in documents.items() if not self.put_new(path, data)]

    def record_paths(self) -> list[str]:
        """The paths of all records."""
        return [path for path in self.paths(_RECORDS) if path.endswith(".json")]

    def record(self, worktree_id: str) -> Record | None:
        """The record of a worktree. Raises EpochStorageError if it is damaged."""
        path = record_path(worktree_id)
        data = self.read(path)
        return read_record(data, worktree_id, f"{self.where}/{path}") if data is not None else None

    def write_record(self, record: Record) -> None:
        """Replace the record of a worktree."""
        self.replace(record_path(record.worktree_id), record_document(record))

    def records_of_others(self, own: str) -> Iterator[tuple[str, bytes]]:
        """The ids and the documents of the records of other worktrees."""
        for path in self.record_paths():
            worktree_id = Path(path).stem
            data = self.read(path) if worktree_id != own else None
            if data is not None:
                yield worktree_id, data

    @property
    def commit_ids(self) -> set[str]:
        """The commits that are here."""
        return {Path(path).stem for path in self.paths("commits")}

    @property
    def file_ids(self) -> set[str]:
        """The objects that something here names."""
        found: set[str] = set()
        for path in (*self.paths("commits"), *self.paths("levels"), *self.paths("versions")):
            found.update(match.decode() for match in _FILE_ID.findall(self.read(path) or b""))
        return found

    def tips(self) -> set[str]:
        """The commits that records name, but for damaged ones."""
        found: set[str] = set()
        for path in self.record_paths():
            with suppress(EpochStorageError):
                record = self.record(Path(path).stem)
                found.update(record.branches.values() if record else ())
        return found

    def clear(self) -> None:
        """Remove everything but the records: every worktree has it."""
        for kind in ("commits", "versions", "levels", "trees", "schemas"):
            for path in self.paths(kind):
                self.remove(path)

    def _root(self, path: str) -> Path:
        return self._shared if path.partition("/")[0] == "objects" else self.folder


def record_path(worktree_id: str) -> str:
    """The path of the record of a worktree."""
    return f"{_RECORDS}/{worktree_id}.json"
