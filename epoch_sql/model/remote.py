"""The documents of a remote: commits, versions of tables, references (see docs/remote-layout.md).

At a remote, a version is identified by its table, definition and fingerprint, and not by its layout (levels and files).
So clones agree on versions, even if they fold or compact differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Commit, Ref
from epoch_sql.model.origin import origin_fields
from epoch_sql.model.protection import Review
from epoch_sql.model.refnames import shown
from epoch_sql.model.schema import canonical_json
from epoch_sql.model.version import DataFile, RowCounts, Version

FORMAT = 1
HEADER = "epoch.json"
_BEFORE, _AFTER = b'{"content":', b',"sha256":'

Fields = Mapping[str, Any]
TreeRow = tuple[Any, ...]
"""Kind, identity, schema, name, content, definition, comment, state, comments of parts."""


@dataclass(frozen=True)
class Remote:
    """A remote of this repository. ``store_id`` is the id of its store when it was last used.

    If it is ``trusted``, its definitions may do whatever their SQL does.
    """

    name: str
    url: str
    store_id: str | None = None
    trusted: bool = False


@dataclass(frozen=True)
class Upstream:
    """The remote branch that a branch follows."""

    branch: str
    remote: str
    remote_branch: str

    @property
    def tracking(self) -> str:
        """The local name of the remote branch: ``origin/main``."""
        return f"{self.remote}/{self.remote_branch}"


@dataclass(frozen=True)
class Header:
    """The header of a store: its repository, and the settings of a clone."""

    repository_id: str
    store_id: str
    default_branch: str
    database: str
    format: int = FORMAT


@dataclass(frozen=True)
class RemoteRef:
    """A branch or a tag at a remote. ``move_id`` is random, so that a writer recognises its own write.

    A deleted one has an empty ``commit_id``, and ``previous`` is its last commit.
    """

    name: str
    commit_id: str
    author: str | None
    moved_at: datetime
    message: str | None
    previous: str | None
    move_id: str


@dataclass(frozen=True)
class PortableLevel:
    """A level at a remote. A delta names its ends by the contents of versions, not by their layouts."""

    kind: str
    files: tuple[DataFile, ...]
    rows: RowCounts
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Manifest:
    """How a version's rows are stored at a remote."""

    version: Version
    levels: tuple[PortableLevel, ...]


@dataclass(frozen=True)
class PortableCommit:
    """A commit at a remote, with its subtrees by content, and the deltas that it made.

    ``commit.root_id`` is empty after reading, because each clone stores trees in its own way.
    """

    commit: Commit
    subtrees: tuple[str, ...]
    deltas: tuple[PortableLevel, ...]


def content_identity(table_id: str, schema_id: str, fingerprint: str, row_count: int) -> str:
    """The id of a version's content; ``sql/content_ids.sql`` computes the same."""
    return hashlib.sha256(f"content:{table_id}:{schema_id}:{fingerprint}:{row_count}".encode()).hexdigest()


def content_of(version: Version) -> str:
    """The id of a version's content."""
    return content_identity(version.table_id, version.schema_id, version.fingerprint, version.row_count)


def seal(fields: Fields) -> bytes:
    """A document: JSON with a hash of itself, so that damage is seen."""
    return _sealed(canonical_json(fields).encode())


def unseal(data: bytes, path: str) -> bytes:
    """The content of a document, as it is written. Raises EpochStorageError, with ``path``, if it is damaged."""
    content = data[len(_BEFORE) : -len(_AFTER) - 67]
    if data != _sealed(content):
        raise damaged(path, "is corrupted: its content does not match its hash")
    return content


def damaged(path: str, problem: str) -> EpochStorageError:
    """The error for a damaged file at a remote. ``path`` and ``problem`` may quote the file, so both are escaped."""
    return EpochStorageError(
        f"{shown(path, 400)} at the remote {shown(problem, 400)}; nothing was changed",
        "restore it there from a backup, or push again from a clone that has it after removing it",
    )


def header_fields(header: Header) -> Fields:
    """The document of a store's header."""
    return vars(header)


def ref_fields(ref: RemoteRef) -> Fields:
    """The document of a reference."""
    return {
        **vars(ref),
        "commit_id": ref.commit_id or None,
        "moved_at": ref.moved_at.isoformat(timespec="microseconds"),
    }


def review_fields(review: Review) -> Fields:
    """The document of a review."""
    return {**vars(review), "reviewed_at": review.reviewed_at.isoformat(timespec="microseconds")}


def tree_text(rows: Iterable[TreeRow]) -> str:
    """A tree as its file holds it, whose SHA-256 is its id."""
    return canonical_json(sorted(rows, key=lambda row: row[1]))


def as_ref(ref: RemoteRef, kind: str, name: str) -> Ref:
    """A reference of a remote as a local one."""
    return Ref(kind, name, ref.commit_id, ref.author, ref.moved_at, ref.message)


def commit_fields(portable: PortableCommit) -> Fields:
    """The document of a commit."""
    c = portable.commit
    return {
        "tree_id": c.tree_id,
        "parents": list(c.parents),
        "author": c.author,
        "committed_at": c.committed_at.isoformat(timespec="microseconds"),
        "message": c.message,
        "origin": origin_fields(c.origin),
        "subtrees": list(portable.subtrees),
        "deltas": [_level_fields(delta) for delta in portable.deltas],
    }


def manifest_fields(manifest: Manifest) -> Fields:
    """The document of a version."""
    v = manifest.version
    return {
        "table_id": v.table_id,
        "schema_id": v.schema_id,
        "row_count": v.row_count,
        "fingerprint": v.fingerprint,
        "levels": [_level_fields(level) for level in manifest.levels],
    }


def _level_fields(level: PortableLevel) -> Fields:
    rows = level.rows
    return {
        "kind": level.kind,
        "files": [_file_fields(file) for file in level.files],
        "rows": [rows.added, rows.modified, rows.removed],
        "before": level.before,
        "after": level.after,
    }


def _file_fields(file: DataFile) -> Fields:
    return vars(file)


def _sealed(content: bytes) -> bytes:
    """The document of a content, as canonical JSON."""
    return b'%s%s%s"%s"}' % (_BEFORE, content, _AFTER, hashlib.sha256(content).hexdigest().encode())
