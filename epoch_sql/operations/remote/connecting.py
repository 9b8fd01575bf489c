"""Connects to the store of a remote, and checks that it belongs to this repository."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochRemoteError, Suggestion
from epoch_sql.model.documents import read_header as header_of
from epoch_sql.model.documents import stated_format
from epoch_sql.model.remote import FORMAT, HEADER, Header, Remote, header_fields, seal
from epoch_sql.model.remote_url import parse_url
from epoch_sql.operations.remote.remotes import remote_named
from epoch_sql.operations.repository import Call
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.opening import open_store


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


def connect(call: Call, name: str) -> Connected:
    """Connect to the store of a remote.

    Raises EpochRemoteError if there is none, or if it belongs to another repository.
    """
    remote = remote_named(call, name)
    store = store_at(remote.url)
    header = read_header(store)
    if header is None:
        raise no_store(store)
    _require_own(call, store, header)
    return Connected(remote, store, header)


def connect_to_push(call: Call, name: str, branch: str) -> Connected:
    """Connect to the store of a remote, and create it if there is nothing yet. Then clones check out ``branch``."""
    remote = remote_named(call, name)
    store = store_at(remote.url)
    header = read_header(store) or _made(call, remote, store, branch)
    _require_own(call, store, header)
    store.prepare()
    _require_conditions(store, header)
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
    header = Header(_repository_id(call), uuid.uuid4().hex, branch, call.database.name)
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
    own = _repository_id(call)
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


def _repository_id(call: Call) -> str:
    row = run(call.cursor, "SELECT repository_id FROM {{epoch}}.state").fetchone()
    assert row
    return str(row[0])
