"""``clone``: creates a repository from a remote, in a new database."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from epoch_sql import config
from epoch_sql.catalog.guarding import Protections, Reviews
from epoch_sql.catalog.relation import run
from epoch_sql.catalog.remotes import Remotes, Upstreams
from epoch_sql.catalog.upgrades import upgrade
from epoch_sql.errors import EpochRemoteError, EpochRepositoryError, EpochStorageError, Suggestion
from epoch_sql.model.commit import Route, Tree
from epoch_sql.model.protection import Protection, Review
from epoch_sql.model.refnames import shown
from epoch_sql.model.remote import Header, Remote, Upstream
from epoch_sql.model.remote_url import parse_url
from epoch_sql.operations.committing import set_head
from epoch_sql.operations.guarding.moves import Move, move_branch
from epoch_sql.operations.moving import apply_tree, in_transactions
from epoch_sql.operations.remote.connecting import no_store, read_header, store_at
from epoch_sql.operations.remote.fetching import move_references, without_taken_tags
from epoch_sql.operations.remote.importing import take_in
from epoch_sql.operations.remote.receiving import Received, receive
from epoch_sql.operations.remote.references import Listing, read_protection, read_references, read_reviews
from epoch_sql.operations.remote.transfer import FetchResult, in_parallel
from epoch_sql.operations.repository import Call
from epoch_sql.operations.trusting import warn_of_withheld


@dataclass(frozen=True)
class _Cloned:
    """The contents of a store, for a new repository."""

    remote: Remote
    header: Header
    listing: Listing
    received: Received
    reviews: list[Review]
    protections: list[Protection]

    @property
    def default_branch(self) -> str:
        """The branch to check out: the one that the store was created with, or else main, or else the first."""
        names = self.listing.heads
        return next((name for name in (self.header.default_branch, "main") if name in names), min(names))


def database_name(url: str) -> str:
    """The name of the database of a store. Raises EpochRemoteError if there is no store."""
    store = store_at(str(parse_url(url, Path.cwd())))
    header = read_header(store)
    if header is None:
        raise no_store(store)
    name = Path(header.database).name
    return "epoch.duckdb" if not name or name.startswith(".") else name


def clone(call: Call, url: str, remote: str, trust: bool) -> FetchResult:
    """Make a repository in an empty database of everything that a remote has, and check its default branch out.

    Each branch of the remote becomes a local branch that follows it, with the same protection. Definitions that are not
    known to be harmless stay data, unless ``trust``. Raises EpochRepositoryError if the database is not empty. Leaves
    nothing behind if it fails.
    """
    _require_empty(call)
    there_before = call.folder.exists()
    try:
        return _clone(call, Remote(remote, str(parse_url(url, Path.cwd())), trusted=trust))
    except BaseException:
        if not there_before:
            shutil.rmtree(call.folder, ignore_errors=True)
        raise


def _clone(call: Call, remote: Remote) -> FetchResult:
    cloned = _read(call, remote)
    config.name_database(call.database)
    branch = cloned.default_branch
    tip = cloned.listing.heads[branch].ref.commit_id
    try:
        in_transactions(call, call.transaction, lambda: _store(call, cloned))
    except (duckdb.IntegrityError, duckdb.DataError, duckdb.DependencyException) as error:
        raise EpochStorageError(
            f"commit {tip[:7]}, at branch {branch} of the remote, cannot be checked out: "
            f"{shown(str(error).partition(chr(10))[0], 400)}",
            "its rows may break its own constraints; push a commit there that fixes them",
        ) from error
    names = [f"{remote.name}/{name}" for name in cloned.listing.heads] + list(cloned.listing.tags)
    received = cloned.received
    warn_of_withheld(call, received.withheld)
    return FetchResult(remote.name, branch, "cloned", None, tip, names, received.objects, received.bytes)


def _read(call: Call, remote: Remote) -> _Cloned:
    store = store_at(remote.url)
    header = read_header(store)
    if header is None:
        raise no_store(store)
    listing = read_references(store)
    if not listing.heads:
        message = f"the store at {store.where} has no branch yet"
        raise EpochRemoteError(message, (Suggestion("push"), ", from where it was made"))
    listing = without_taken_tags(call, remote.name, listing, listing.heads)
    call.store.folder.mkdir(parents=True, exist_ok=True)
    received = receive(call, store, remote, listing.tips)
    guards = in_parallel(lambda name: read_protection(store, name), listing.heads)
    protections = [guard.protection for guard in guards]
    return _Cloned(remote, header, listing, received, read_reviews(store, ()), protections)


def _store(call: Call, cloned: _Cloned) -> None:
    cursor, remote, author = call.cursor, cloned.remote, call.author()
    upgrade(cursor, 0)
    run(
        cursor,
        "UPDATE {{epoch}}.state SET repository_id = ?, head_branch = ?",
        [cloned.header.repository_id, cloned.default_branch],
    )
    take_in(call, cloned.received)
    Remotes(cursor).put(replace(remote, store_id=cloned.header.store_id))
    tips = {name: found.ref.commit_id for name, found in cloned.listing.heads.items()}
    move_references(call, remote.name, tips, cloned.listing, author)
    for name, commit_id in tips.items():
        move_branch(call, Move(name, Route.CREATE, None, commit_id), f"clone: from {remote.url}", author)
        Upstreams(cursor).put(Upstream(name, remote.name, name))
    Reviews(cursor).add(cloned.reviews)
    for protection in cloned.protections:
        Protections(cursor).put(protection)
    tip = tips[cloned.default_branch]
    set_head(call, cloned.default_branch, tip)
    apply_tree(call, call.scan(Tree()), call.tree(tip))


def _require_empty(call: Call) -> None:
    if call.exists:
        raise EpochRepositoryError(
            f"{call.database} has an Epoch repository already",
            (Suggestion("remote_add", "origin", "URL"), ", then ", Suggestion("fetch")),
            database=str(call.database),
        )
    found = call.cursor.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal "
        "UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal"
    ).fetchone()
    if found:
        raise EpochRepositoryError(
            f"{call.database} is not empty: it has {found[0]}",
            "clone into a new database",
            database=str(call.database),
        )
