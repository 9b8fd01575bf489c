"""Locations of remotes, and their documents: commits, versions of tables, references (see docs/remote-layout.md)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from epoch_sql.errors import EpochRemoteError, EpochStorageError
from epoch_sql.model.commit import Commit, DataFile, Ref, RowCounts, Version, origin_fields
from epoch_sql.model.names import shown
from epoch_sql.model.protection import Review
from epoch_sql.model.schema import canonical_json

BUCKET_SCHEMES = ("s3", "gs", "az")
_LONGEST_NAME = 180
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,15}")
_NO_NAME = re.compile(r"[%;\\]")
_LOGIN = re.compile(r":[^/]*@|:[^@]*@[^/]*:|^[^/:]*@[^/]*:")
_KINDS = "a remote is a folder, or s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"


@dataclass(frozen=True)
class RemoteURL:
    """The location of a remote. ``scheme`` is ``file``, ``s3``, ``gs`` or ``az``. ``bucket`` is empty for a folder."""

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path
        return f"{self.scheme}://{self.bucket}{'/' if self.path else ''}{self.path}"

    @property
    def last_name(self) -> str:
        """The last part of the location, which is the default name of a clone."""
        return (self.path or self.bucket).rstrip("/").rpartition("/")[2]


def parse_url(text: str, start: Path) -> RemoteURL:
    """The location in a text. A relative folder starts at ``start``.

    Raises EpochRemoteError for other schemes, and for credentials in the URL, because they are never stored.
    """
    if not text.strip():
        raise EpochRemoteError("the URL of a remote is empty", _KINDS)
    if not text.isprintable():
        raise EpochRemoteError("the URL of the remote has a control character in it", _KINDS)
    scheme = _scheme(text)
    if scheme is None:
        _refuse_login(text)
        return _folder(start / _expanded(text))
    parts = _split(text)
    _refuse_credentials(parts, scheme)
    if scheme == "file":
        return _file(parts)
    if not text[len(scheme) :].startswith("://") or not parts.netloc:
        raise EpochRemoteError(f"the {scheme}: URL names no bucket", f"{scheme}://BUCKET/PATH")
    if not _BUCKET.fullmatch(parts.netloc):
        raise EpochRemoteError(f"what the {scheme}:// URL names is not a bucket", f"{scheme}://BUCKET/PATH")
    path = parts.path[1:].removesuffix("/")
    if path and any(name in ("", ".", "..") or _NO_NAME.search(name) for name in path.split("/")):
        raise EpochRemoteError(
            f"the path of the {scheme}:// URL has . or .., //, % or ; in it, which are not names in a bucket",
            f"{scheme}://BUCKET/PATH, with names of letters, digits, -, _ and .",
        )
    return RemoteURL(scheme, parts.netloc, path)


def encoded(name: str) -> str:
    """The file name of a reference. Different names have different file names, also on file systems that ignore case.

    Lowercase letters, digits, ``.``, ``_`` and ``-`` stay, and any other byte of UTF-8 becomes ``%`` and two hex
    digits. A name that becomes too long ends in its hash. The file holds the whole name.
    """
    safe = "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode()) for c in name)
    if len(safe) <= _LONGEST_NAME:
        return safe
    return f"{safe[:100]}~{hashlib.sha256(name.encode()).hexdigest()}"


def _scheme(text: str) -> str | None:
    """The scheme of a URL, even with too few slashes, or None for a path. Raises EpochRemoteError for an unknown
    scheme."""
    head, separator, rest = text.partition(":")
    scheme = head.lower()
    if not separator:
        return None
    if scheme in (*BUCKET_SCHEMES, "file"):
        return scheme
    if rest.startswith("//") or (rest.startswith("/") and _SCHEME.fullmatch(scheme)):
        # The text before :// may be anything, even a secret.
        known = f"{scheme}://…" if _SCHEME.fullmatch(scheme) else "such a URL"
        raise EpochRemoteError(f"a remote cannot be at {known}", _KINDS)
    return None


def _file(parts: SplitResult) -> RemoteURL:
    if parts.netloc not in ("", "localhost"):
        raise EpochRemoteError("the file:// URL names another machine", "file:///PATH, or just the path")
    path = _unquoted(parts.path)
    if not path.startswith("/") or not path.isprintable() or _LOGIN.search(unquote(path)):
        raise EpochRemoteError("the file:// URL names no folder", "file:///PATH, or just the path")
    return _folder(Path(path))


def _refuse_login(text: str) -> None:
    """Refuse ``USER:PASSWORD@HOST:PATH``, the form of scp. As the name of a folder, its secret would be stored."""
    if not text.startswith(("/", "./", "../", "~")) and _LOGIN.search(unquote(unquote(text))):
        raise EpochRemoteError(
            "the URL has a user name or password in it, which would be stored", f"{_KINDS}; ./PATH for any folder"
        )


def _unquoted(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return ""


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise EpochRemoteError("the path of the remote begins with ~ and a user that is unknown", _KINDS) from error


def _folder(path: Path) -> RemoteURL:
    try:
        return RemoteURL("file", "", str(path.resolve()))
    except (OSError, ValueError, RuntimeError) as error:
        raise EpochRemoteError("the path of the remote cannot be followed", _KINDS) from error


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        raise EpochRemoteError("the URL of the remote cannot be read", _KINDS) from error


def _refuse_credentials(parts: SplitResult, scheme: str) -> None:
    """Refuse credentials. The message leaves out the URL, which would bring the secret to the screen and into logs."""
    whole = unquote(unquote(f"{parts.netloc}{parts.path}"))
    login = "@" in whole or ":" in unquote(unquote(parts.netloc))
    if scheme == "file":
        login = parts.netloc not in ("", "localhost") and ("@" in parts.netloc or ":" in parts.netloc)
    if login or parts.query or parts.fragment or (scheme != "file" and ("?" in whole or "#" in whole)):
        what = "a user name or password" if login else "parameters"
        raise EpochRemoteError(
            f"the {scheme}:// URL has {what} in it, which would be stored",
            "give credentials in the environment (AWS_ACCESS_KEY_ID, …), and the URL without them",
        )


# At a remote, a version is identified by its table, definition and fingerprint, and not by its layout (levels and
# files). So clones agree on versions, even if they fold or compact differently.

FORMAT = 1
HEADER = "epoch.json"
_BEFORE, _AFTER = b'{"content":', b',"sha256":'

Fields = Mapping[str, Any]
TreeRow = tuple[Any, ...]
"""Kind, identity, schema, name, content, definition, comment, state, comments of parts."""


@dataclass(frozen=True)
class Remote:
    """A remote of this repository. ``store_id`` is the id of its store when it was last used.

    If it is ``trusted``, its definitions may do whatever their SQL does. ``readers`` are those that its files are
    written for, besides DuckDB's.
    """

    name: str
    url: str
    store_id: str | None = None
    trusted: bool = False
    readers: str | None = None


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
    """The header of a store: its repository, and the settings of a clone. ``readers`` are as in ``Remote``."""

    repository_id: str
    store_id: str
    default_branch: str
    database: str
    readers: str | None = None
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
    """The id of a version's content; ``content_ids`` in sql/remote.sql computes the same."""
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


def garbage_fields(paths: Mapping[str, datetime], removing: datetime | None, run_id: str) -> Fields:
    """The document about the garbage of a store: since when each path is noted. ``run_id`` is random."""
    return {
        "paths": {path: since.isoformat(timespec="microseconds") for path, since in paths.items()},
        "removing": removing.isoformat(timespec="microseconds") if removing else None,
        "run_id": run_id,
    }


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
        "deltas": [level_fields(delta) for delta in portable.deltas],
    }


def level_fields(level: PortableLevel) -> Fields:
    """A delta in a document."""
    rows = level.rows
    return {
        "kind": level.kind,
        "files": [file_fields(file) for file in level.files],
        "rows": [rows.added, rows.modified, rows.removed],
        "before": level.before,
        "after": level.after,
    }


def file_fields(file: DataFile) -> Fields:
    """A file in a document."""
    return vars(file)


def _sealed(content: bytes) -> bytes:
    """The document of a content, as canonical JSON."""
    return b'%s%s%s"%s"}' % (_BEFORE, content, _AFTER, hashlib.sha256(content).hexdigest().encode())
