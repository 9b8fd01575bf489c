"""Manages remotes: adds and lists them, connects to their stores, knows their paths (docs/remote-layout.md), and
runs many requests at once."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import duckdb

from epoch_sql import render
from epoch_sql.advice import Advice, Suggestion
from epoch_sql.call import Call, now
from epoch_sql.catalog.local import Remotes, Untrusted, Worktrees
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochRemoteError, InvalidName, RemoteNotFound
from epoch_sql.model.commit import TrackingRoute, Tree
from epoch_sql.model.documents import read_header as header_of
from epoch_sql.model.documents import stated_format
from epoch_sql.model.names import check_ref_name, suggest
from epoch_sql.model.remote import FORMAT, HEADER, Header, Remote, encoded, header_fields, parse_url, seal
from epoch_sql.render import Sql
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.folder import open_store
from epoch_sql.verb import procedure, query
from epoch_sql.verbs.checkout import apply_tree, attempting
from epoch_sql.verbs.unmade import Attempts
from epoch_sql.verbs.worktree_state import settle
from epoch_sql.worktree.trust import together

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


WORKERS = 16
FILES_AT_ONCE = 8

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
class FetchResult(TransferResult):
    """What a fetch, a pull or a clone did."""

    warnings: list[str] = field(default_factory=list)


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS) -> list[Result]:
    """The results in the order of the items. Raises the first error, and starts no further items after it."""
    wanted: Sequence[Item] = list(items)
    if len(wanted) < 2:
        return [function(item) for item in wanted]
    with ThreadPoolExecutor(min(workers, len(wanted))) as pool:
        futures = [pool.submit(function, item) for item in wanted]
        finished, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
        for future in finished:
            future.result()
        return [future.result() for future in futures]


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
    header = Header(_repository_id(call.cursor), uuid.uuid4().hex, branch, call.database.name)
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


@dataclass(frozen=True)
class RemoteResult:
    """A remote and its URL."""

    name: str
    url: str


@dataclass(frozen=True)
class TrustResult:
    """A remote, and whether it is trusted."""

    name: str
    url: str
    trusted: bool
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RemoteInfo:
    """A remote, and the branches here that follow one of its."""

    name: str
    url: str
    branches: list[str]
    trusted: bool


def remote_named(cursor: duckdb.DuckDBPyConnection, name: str) -> Remote:
    """The remote of that name. Raises EpochRemoteError, which names ``remote add``, if there is none."""
    remotes = Remotes(cursor).load()
    if name in remotes:
        return remotes[name]
    near = suggest(name, remotes) or list(remotes)
    new = (Suggestion("remote_add", name, "URL"), " (a folder, or s3://BUCKET/PATH)")
    advice: Advice = (f"one of {', '.join(near)}, or ", Suggestion("remote_add", "NAME", "URL")) if near else new
    raise RemoteNotFound(f"there is no remote {name}", advice, remote=name, suggestions=tuple(near))


@procedure("epoch_remote_add")
def add(call: Call, name: str, url: str, *, trust: bool = False) -> RemoteResult:
    """Adds a remote. Does not contact it.

    Raises EpochReferenceError for an invalid name, EpochRemoteError for one that is taken, and for a URL that is
    invalid or has credentials in it.

    Args:
        name: its local name; `origin` is usual
        url: a folder, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`; no credentials
        trust: trust its definitions, even those that read files or reach outside the database
    """
    check_ref_name(name)
    if "/" in name:
        nearest = name.replace("/", "-")
        message = f"the name of a remote has no /, as {name} has"
        raise InvalidName(message, f"try '{nearest}'", name=name, nearest=nearest)
    parsed = str(parse_url(url, Path.cwd()))
    with call.moving():
        remotes = Remotes(call.cursor)
        known = remotes.load().get(name)
        if known:
            raise EpochRemoteError(
                f"there is a remote {name} already, at {known.url}",
                (Suggestion("remote_remove", name), ", or another name"),
                remote=name,
            )
        remotes.put(Remote(name, parsed))
    if trust:
        set_trust(call, name)
    return RemoteResult(name, parsed)


@procedure("epoch_remote_trust")
def set_trust(call: Call, name: str, *, trust: bool = True) -> TrustResult:
    """Trusts a remote: its past and future definitions are created and run, even if they read files or reach outside
    the database. Creates the definitions of the checked-out commit that were only data.

    Args:
        name: the remote, or the database of a worktree
        trust: whether to trust it from now on
    """

    def move(attempts: Attempts) -> TrustResult:
        worktree = Worktrees(call.cursor).at(name)
        if worktree:
            Worktrees(call.cursor).put(replace(worktree, trusted=trust))
        else:
            Remotes(call.cursor).put(replace(remote_named(call.cursor, name), trusted=trust))
        if trust and call.promisor:
            Untrusted(call.cursor).trust(name)
        elif trust:
            _make_trusted(call, attempts, name)
        return TrustResult(name, worktree.path if worktree else remote_named(call.cursor, name).url, trust)

    return attempting(call, move)


@procedure("epoch_remote_remove")
def remove(call: Call, name: str) -> RemoteResult:
    """Removes a remote and its remote branches. Its store stays.

    Args:
        name: the remote
    """
    with call.moving():
        remote = remote_named(call.cursor, name)
        if name == call.promisor:
            message = f"the rows of this bare clone lie at {name}, so it cannot be removed"
            raise EpochRemoteError(message, (Suggestion("clone", "URL"), " has rows of its own"), remote=name)
        Remotes(call.cursor).remove(name)
        for tracking, ref in call.refs.all("remote").items():
            if tracking.startswith(f"{name}/"):
                call.refs.remove(ref, TrackingRoute.DELETE, "remote: removed", call.author(), now())
    return RemoteResult(name, remote.url)


@query("epoch_remotes", RemoteInfo)
def listing(call: Call) -> Sql:
    """The remotes: their URLs, the local branches that follow them, and whether their definitions are trusted."""
    return render.render("listing.remotes")


def _make_trusted(call: Call, attempts: Attempts, remote: str) -> None:
    """Trust the definitions of a remote, and create those of the checked-out commit.

    Uncommitted changes stay, even under the same names.
    """
    head = call.tree(call.head().commit_id)
    working = settle(call, call.scan(head))
    Untrusted(call.cursor).trust(remote)
    call.scanner.trust.forget()
    fresh = _without(working.withheld, call.scanner.trust.divided(head)[1])
    if fresh == Tree():
        return
    clean = tuple(w for w in working.tables if w.entry and not w.differs)
    pinned = [w for w in working.tables if w not in clean]
    there = Tree({w.table_id: w.entry for w in clean if w.entry}, working.objects, working.derived)
    names = {(w.table.name.schema.lower(), w.table.name.name.lower()) for w in pinned}
    free = {i: e for i, e in fresh.tables.items() if (e.name.schema.lower(), e.name.name.lower()) not in names}
    target = together(there, Tree(free, fresh.objects))
    apply_tree(call, attempts, replace(working, tables=clean, removed=()), target, pinned)


def _without(tree: Tree, other: Tree) -> Tree:
    tables = {i: entry for i, entry in tree.tables.items() if i not in other.tables}
    return Tree(tables, tuple(found for found in tree.objects if found not in other.objects))
