"""Adds, lists, trusts and removes remotes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from epoch_sql import config, render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, now
from epoch_sql.catalog.local import Remotes, Untrusted, Worktrees
from epoch_sql.errors import EpochRemoteError, InvalidName
from epoch_sql.model.commit import TrackingRoute, Tree
from epoch_sql.model.names import check_ref_name, shown
from epoch_sql.model.remote import Remote, parse_url
from epoch_sql.remote.connecting import remote_named
from epoch_sql.render import Sql
from epoch_sql.verb import procedure, query
from epoch_sql.verbs.checkout import apply_tree, attempting
from epoch_sql.verbs.unmade import Attempts
from epoch_sql.verbs.worktree_state import settle
from epoch_sql.worktree.trust import together


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
    """A remote, the branches here that follow one of its, and the readers that its files are written for."""

    name: str
    url: str
    branches: list[str]
    trusted: bool
    readers: str | None


@procedure("epoch_remote_add")
def add(
    call: Call, name: str, url: str, *, trust: bool = False, readers: Literal["spark"] | None = None
) -> RemoteResult:
    """Adds a remote. Does not contact it.

    Raises EpochReferenceError for an invalid name, EpochRemoteError for one that is taken, and for a URL that is
    invalid or has credentials in it.

    Args:
        name: its local name; `origin` is usual
        url: a folder, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`; no credentials
        trust: trust its definitions, even those that read files or reach outside the database
        readers: write files that the readers of Spark and Iceberg take, too: here, and in every clone of the store
    """
    check_ref_name(name)
    if readers not in (None, config.SPARK):
        raise EpochRemoteError(f"files cannot be written for the readers of {shown(str(readers))}", config.SPARK)
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
        remotes.put(Remote(name, parsed, readers=readers))
        if readers:
            config.write_for(call.shared, readers)
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
