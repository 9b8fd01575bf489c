"""Connects to the stores of remotes, knows their paths (docs/remote-layout.md), and runs many requests at once."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import duckdb

from epoch_sql import config
from epoch_sql.advice import Advice, Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.local import Remotes
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochRemoteError, RemoteNotFound
from epoch_sql.model.documents import read_header as header_of
from epoch_sql.model.documents import stated_format
from epoch_sql.model.names import suggest
from epoch_sql.model.remote import FORMAT, HEADER, Header, Remote, encoded, header_fields, parse_url, seal
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.folder import open_store

HEADS = "refs/heads"
TAGS = "refs/tags"
COMMITS = "commits"
REVIEWS = "reviews"

_ID = re.compile(r"[0-9a-f]{64}")


def schema_path(schema_id: str) -> str:
    """The definition of a table, by the SHA-256 of its bytes."""
    return f"schemas/{schema_id}.json"


def subtree_path(subtree_id: str) -> str:
    """A subtree, by the SHA-256 of its bytes."""
    return f"trees/{subtree_id}.json"


def manifest_path(content_id: str) -> str:
    """How a version is stored, by its content."""
    return f"versions/{content_id}.json"


def base_path(base_id: str) -> str:
    """A base level, by the SHA-256 of its bytes."""
    return f"levels/{base_id}.json"


def commit_path(commit_id: str) -> str:
    """A commit."""
    return f"{COMMITS}/{commit_id}.json"


def head_path(branch: str) -> str:
    """The reference of a branch."""
    return f"{HEADS}/{encoded(branch)}"


def tag_path(tag: str) -> str:
    """The reference of a tag."""
    return f"{TAGS}/{encoded(tag)}"


def protection_path(branch: str) -> str:
    """The protection of a branch, which changes as references do."""
    return f"protections/{encoded(branch)}"


def review_path(target: str, source_commit: str, review_id: str) -> str:
    """A review of merging a commit into a branch."""
    return f"{REVIEWS}/{encoded(target)}/{source_commit}/{review_id}.json"


def is_id(text: object) -> bool:
    """Whether a text from a remote is an id. Only ids may become part of a local path."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TransferResult:
    """The result of a push, a fetch, a pull or a clone.

    ``old_commit_id`` and ``new_commit_id`` are the commits of the branch before and after: at the remote for a push,
    and locally otherwise. ``moved`` names every moved reference. ``objects`` and ``bytes`` count the Parquet files that
    were transferred.
    """

    remote: str
    branch: str | None
    status: str
    old_commit_id: str | None
    new_commit_id: str | None
    moved: list[str]
    objects: int
    bytes: int


@dataclass(frozen=True)
class PushResult(TransferResult):
    """What a push did. The warnings say what could not follow it."""

    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FetchResult(TransferResult):
    """What a fetch, a pull or a clone did."""

    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Connected:
    """A remote with its store and the header of the store."""

    remote: Remote
    store: RemoteStore
    header: Header

    @property
    def is_same_store(self) -> bool:
        """Whether it is the store of the last use of the remote, which still has everything that it had then."""
        return self.remote.store_id == self.header.store_id

    @property
    def is_known(self) -> bool:
        """Whether there is nothing new to keep about it."""
        return self.is_same_store and self.header.readers in (None, self.remote.readers)


def note_use(call: Call, remote: Remote, header: Header) -> None:
    """Keep which store a remote had. Whoever uses a store writes for its readers from then on."""
    readers = header.readers or remote.readers
    Remotes(call.cursor).put(replace(remote, store_id=header.store_id, readers=readers))
    if readers:
        config.write_for(call.shared, readers)


def connect(call: Call, name: str) -> Connected:
    """Connect to the store of a remote.

    Raises EpochRemoteError if there is none, or if it belongs to another repository.
    """
    remote = remote_named(call.cursor, name)
    store = store_at(remote.url)
    header = read_header(store)
    if header is None:
        raise no_store(store)
    _require_own(call, store, header)
    return Connected(remote, store, header)


def connect_to_push(call: Call, name: str, branch: str) -> Connected:
    """Connect to the store of a remote, and create it if there is nothing yet. Then clones check out ``branch``."""
    remote = remote_named(call.cursor, name)
    store = store_at(remote.url)
    header = read_header(store) or _made(call, remote, store, branch)
    _require_own(call, store, header)
    store.prepare()
    _require_conditions(store, header)
    if remote.readers and not header.readers:
        header = replace(header, readers=remote.readers)
        store.replace(HEADER, seal(header_fields(header)))
    return Connected(remote, store, header)


def store_at(url: str) -> RemoteStore:
    """The store at a URL of the catalog."""
    return open_store(parse_url(url, Path.cwd()))


def read_header(store: RemoteStore) -> Header | None:
    """The header of a store, or None if there is no store. Raises EpochRemoteError for a store of a newer Epoch."""
    data = store.read(HEADER)
    if data is None:
        return None
    where = f"{store.where}/{HEADER}"
    stated = stated_format(data, where)
    if isinstance(stated, int) and stated > FORMAT:
        raise EpochRemoteError(
            f"{store.where} was written by a newer Epoch (format {stated}, this one knows {FORMAT})",
            "pip install --upgrade epoch-sql",
        )
    return header_of(data, where)


def no_store(store: RemoteStore) -> EpochRemoteError:
    """The error for a location without a store."""
    advice = (Suggestion("push"), " makes one; or correct the URL")
    return EpochRemoteError(f"there is no Epoch store at {store.where}", advice)


def _made(call: Call, remote: Remote, store: RemoteStore, branch: str) -> Header:
    if remote.store_id is not None:
        raise EpochRemoteError(
            f"the store that was at {store.where} is gone",
            (
                "mount or restore it; or, for a new one: ",
                Suggestion("remote_remove", remote.name),
                ", then ",
                Suggestion("remote_add", remote.name, "URL"),
            ),
            remote=remote.name,
        )
    if not store.is_empty():
        raise EpochRemoteError(f"{store.where} is not empty, and no Epoch store", "name a new or an empty folder")
    store.prepare()
    header = Header(_repository_id(call.cursor), uuid.uuid4().hex, branch, call.database.name, remote.readers)
    if store.put_new(HEADER, seal(header_fields(header))):
        return header
    found = read_header(store)
    assert found
    return found


def _require_conditions(store: RemoteStore, header: Header) -> None:
    """Raises EpochRemoteError for a server that ignores conditions, because both of two simultaneous pushes would
    win there."""
    if store.put_new(HEADER, seal(header_fields(header))):
        raise EpochRemoteError(
            f"{store.where} writes over what is there although it is asked not to; two pushes at once could lose one",
            "use a store that has conditional puts (If-None-Match, If-Match)",
        )


def _require_own(call: Call, store: RemoteStore, header: Header) -> None:
    own = _repository_id(call.cursor)
    if header.repository_id != own:
        raise EpochRemoteError(
            f"{store.where} is the store of another repository, {header.database} ({header.repository_id[:7]}); "
            f"this is {call.database.name} ({own[:7]}), and their histories are unrelated",
            (
                Suggestion("remote_add", "NAME", "URL"),
                " with a new or an empty folder, or ",
                Suggestion("clone", "URL"),
            ),
        )


def _repository_id(cursor: duckdb.DuckDBPyConnection) -> str:
    row = run(cursor, "SELECT repository_id FROM {{epoch}}.state").fetchone()
    assert row
    return str(row[0])


def remote_named(cursor: duckdb.DuckDBPyConnection, name: str) -> Remote:
    """The remote of that name. Raises EpochRemoteError, which names ``remote add``, if there is none."""
    remotes = Remotes(cursor).load()
    if name in remotes:
        return remotes[name]
    near = suggest(name, remotes) or list(remotes)
    new = (Suggestion("remote_add", name, "URL"), " (a folder, or s3://BUCKET/PATH)")
    advice: Advice = (f"one of {', '.join(near)}, or ", Suggestion("remote_add", "NAME", "URL")) if near else new
    raise RemoteNotFound(f"there is no remote {name}", advice, remote=name, suggestions=tuple(near))
