"""``fetch`` brings the branches of a remote into remote branches, ``pull`` also merges them, and ``clone`` creates a
repository from a remote."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from epoch_sql import config, render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing, new_ref, warn_of_withheld
from epoch_sql.catalog.history import Protections, Refs, Reviews
from epoch_sql.catalog.local import Upstreams
from epoch_sql.catalog.relation import run, upgrade
from epoch_sql.errors import EpochRemoteError, EpochRepositoryError, EpochStorageError, EpochTransactionError
from epoch_sql.guard.moves import Move, move_branch, require_allowed
from epoch_sql.model.commit import Route, TrackingRoute, Tree
from epoch_sql.model.names import shown
from epoch_sql.model.protection import Protection, Review
from epoch_sql.model.remote import Header, Remote, Upstream, as_ref, parse_url
from epoch_sql.model.revisions import BRANCHES, REMOTE_BRANCHES, TAGS, texts_meaning
from epoch_sql.remote.connecting import (
    Connected,
    FetchResult,
    connect,
    no_store,
    note_use,
    read_header,
    store_at,
)
from epoch_sql.remote.importing import take_in
from epoch_sql.remote.receiving import Received, receive
from epoch_sql.remote.references import (
    Listing,
    read_protection,
    read_references,
    read_reviews,
)
from epoch_sql.storage.remote.parallel import in_parallel
from epoch_sql.verbs.checkout import apply_tree, attempting, in_transactions, put_working_tables
from epoch_sql.verbs.committing import checked_out_branch, set_head
from epoch_sql.verbs.merging import merge
from epoch_sql.verbs.unmade import Attempts


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
        """The branch to check out: main, or else the first protected one, or else the one that was pushed first."""
        names = self.listing.heads
        protected = sorted(guard.branch for guard in self.protections if guard.protects)
        wanted = ("main", *protected, self.header.default_branch)
        return next((name for name in wanted if name in names), min(names))


def database_name(url: str) -> str:
    """The name of the database of a store. Raises EpochRemoteError if there is no store."""
    store = store_at(str(parse_url(url, Path.cwd())))
    header = read_header(store)
    if header is None:
        raise no_store(store)
    name = Path(header.database).name
    return "epoch.duckdb" if not name or name.startswith(".") else name


def clone(call: Call, url: str, remote: str, trust: bool, bare: bool) -> FetchResult:
    """Make a repository in an empty database of everything that a remote has, and check its default branch out.

    With ``bare``, there are no working tables, and all files stay where they are.

    Each branch of the remote becomes a local branch that follows it, with the same protection. Definitions that are not
    known to be harmless stay data, unless ``trust``. Raises EpochRepositoryError if the database is not empty. Leaves
    nothing behind if it fails.
    """
    _require_empty(call)
    there_before = call.folder.exists()
    try:
        return _clone(call, Remote(remote, str(parse_url(url, Path.cwd())), trusted=trust), bare)
    except BaseException:
        if not there_before:
            shutil.rmtree(call.folder, ignore_errors=True)
        raise


def _clone(call: Call, remote: Remote, bare: bool) -> FetchResult:
    cloned = _read(call, remote, bare)
    config.name_database(call.database)
    branch = cloned.default_branch
    tip = cloned.listing.heads[branch].ref.commit_id
    try:
        in_transactions(call, call.transaction, lambda attempts: _store(call, attempts, cloned))
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


def _read(call: Call, remote: Remote, bare: bool) -> _Cloned:
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
    received = receive(call, store, remote, listing.tips, promised=bare)
    guards = in_parallel(lambda name: read_protection(store, name), listing.heads)
    protections = [guard.protection for guard in guards]
    return _Cloned(remote, header, listing, received, read_reviews(store, ()), protections)


def _store(call: Call, attempts: Attempts, cloned: _Cloned) -> None:
    cursor, remote, author = call.cursor, cloned.remote, call.author()
    upgrade(cursor, 0)
    run(
        cursor,
        "UPDATE {{epoch}}.state SET repository_id = ?, head_branch = ?",
        [cloned.header.repository_id, cloned.default_branch],
    )
    take_in(call, cloned.received)
    note_use(call, remote, cloned.header)
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
    if cloned.received.promised:
        call.state.make_bare(remote.name)
        return
    apply_tree(call, attempts, call.scan(Tree()), call.tree(tip))


def _require_empty(call: Call) -> None:
    if call.exists:
        raise EpochRepositoryError(
            f"{call.database} has an Epoch repository already",
            (Suggestion("remote_add", "origin", "URL"), ", then ", Suggestion("fetch")),
            database=str(call.database),
        )
    found = call.cursor.execute(render.load("remote.relations_here")).fetchone()
    if found:
        raise EpochRepositoryError(
            f"{call.database} is not empty: it has {found[0]}",
            "clone into a new database",
            database=str(call.database),
        )


ATTEMPTS = 3


@dataclass(frozen=True)
class _Fetched:
    connected: Connected
    listing: Listing
    received: Received
    reviews: list[Review]


def fetch(call: Call, remote: str) -> FetchResult:
    """Bring the branches of a remote as ``REMOTE/BRANCH``, with its tags and reviews. Moves no local branch.

    Raises EpochRemoteError if the remote cannot be used, and EpochStorageError for damaged files there.
    """
    connected = connect(call, remote)
    found = without_taken_tags(
        call,
        remote,
        read_references(connected.store),
        call.refs.all("branch"),
        call.refs.all("remote"),
    )
    own = call.refs.all("tag")
    new_tags = {tag.ref.commit_id for name, tag in found.tags.items() if name not in own}
    tips = {h.ref.commit_id for h in found.heads.values()} | new_tags
    received = receive(call, connected.store, connected.remote, tips, promised=call.promisor == remote)
    known = {review.review_id for review in Reviews(call.cursor).load()}
    fetched = _Fetched(connected, found, received, read_reviews(connected.store, known))
    before = _upstream_commit(call, remote)
    moved = _taken_in(call, fetched)
    warn_of_withheld(call, received.withheld)
    branch, after = _upstream_commit(call, remote)
    status = "fetched" if moved else "up-to-date"
    return FetchResult(remote, branch, status, before[1], after, moved, received.objects, received.bytes)


def pull(call: Call, remote: str) -> FetchResult:
    """Fetch, then merge the upstream into the current branch: by a fast-forward if possible, or else by a merge.

    Raises what ``fetch`` and ``merge`` raise, such as EpochConflict if the merge stopped.
    """
    branch, _ = checked_out_branch(call)
    fetched = fetch(call, remote)
    upstream = _followed(call.cursor, branch, remote)
    theirs = call.refs.get("remote", upstream.tracking)
    if theirs is None:
        raise EpochRemoteError(
            f"{remote} has no branch {upstream.remote_branch} to pull into {branch}",
            Suggestion("push", remote, branch),
            remote=remote,
        )
    old = existing(call.refs, "branch", branch).commit_id
    graph = call.graph()
    if old != theirs.commit_id and graph.is_ancestor(old, theirs.commit_id):
        _fast_forward(call, branch, old, theirs.commit_id, upstream)
        status, new = "fast-forward", theirs.commit_id
    else:
        merged = merge(call, _unambiguous(call.refs, upstream.tracking))
        status, new = merged.status, merged.commit
    moved = [*fetched.moved, *([branch] if new != old else [])]
    return replace(fetched, branch=branch, status=status, old_commit_id=old, new_commit_id=new, moved=moved)


def move_references(call: Call, remote: str, tips: Mapping[str, str], listing: Listing, author: str) -> list[str]:
    """Move the remote branches to the branches of a remote, and add its tags. Gives the names of moved references."""
    moved = []
    for name, commit_id in tips.items():
        tracking = f"{remote}/{name}"
        old = call.refs.get("remote", tracking)
        if old is None or old.commit_id != commit_id:
            found = new_ref("remote", tracking, commit_id)
            call.refs.put(found, TrackingRoute.FETCH, f"fetch {remote}", author)
            moved.append(tracking)
    own = call.refs.all("tag")
    wanted = {name: tag.ref for name, tag in listing.tags.items() if name not in own}
    here = call.commits.load(ref.commit_id for ref in wanted.values())
    for name, ref in wanted.items():
        if ref.commit_id in here:
            call.refs.put(as_ref(ref, "tag", name), TrackingRoute.FETCH, f"fetch {remote}", author)
            moved.append(name)
    return moved


def without_taken_tags(
    call: Call, remote: str, listing: Listing, branches: Iterable[str], tracking: Iterable[str] = ()
) -> Listing:
    """The listing of a remote without tags whose names mean local branches or remote branches. Those win, with a
    warning."""
    remote_branches = {*tracking, *(f"{remote}/{name}" for name in listing.heads)}
    taken = texts_meaning(BRANCHES, branches) | texts_meaning(REMOTE_BRANCHES, remote_branches)
    for name in sorted(taken & listing.tags.keys()):
        call.warn(f"tag {name} of {remote} is left out: here that is the name of a branch; delete {TAGS}{name} there")
    return replace(listing, tags={name: tag for name, tag in listing.tags.items() if name not in taken})


def _taken_in(call: Call, fetched: _Fetched) -> list[str]:
    """Store what was fetched. If another writer is faster, tries again a few times, without reading anything again."""
    for attempt in range(ATTEMPTS):
        try:
            return _take_in(call, fetched)
        except EpochTransactionError as error:
            if not error.overtaken or attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _take_in(call: Call, fetched: _Fetched) -> list[str]:
    connected = fetched.connected
    remote = connected.remote
    if not _news(call.refs, fetched):
        return []
    with call.moving():
        take_in(call, fetched.received)
        tips = {name: found.ref.commit_id for name, found in fetched.listing.heads.items()}
        moved = move_references(call, remote.name, tips, fetched.listing, call.author())
        Reviews(call.cursor).add(fetched.reviews)
        note_use(call, remote, connected.header)
    return moved


def _news(refs: Refs, fetched: _Fetched) -> bool:
    """Whether there is anything to write. A fetch without news does not make prepared statements bind again."""
    own = refs.all("remote")
    remote = fetched.connected.remote.name
    heads = fetched.listing.heads.items()
    return bool(
        fetched.received.commits
        or fetched.reviews
        or not fetched.connected.is_known
        or any(own.get(f"{remote}/{n}") is None or own[f"{remote}/{n}"].commit_id != f.ref.commit_id for n, f in heads)
        or fetched.listing.tags.keys() - refs.all("tag").keys()
    )


def _upstream_commit(call: Call, remote: str) -> tuple[str | None, str | None]:
    """The upstream of the current branch, and its local commit."""
    branch = call.head().branch
    if branch is None:
        return None, None
    upstream = _followed(call.cursor, branch, remote)
    ref = call.refs.get("remote", upstream.tracking)
    return (upstream.tracking, ref.commit_id) if ref else (None, None)


def _followed(cursor: duckdb.DuckDBPyConnection, branch: str, remote: str) -> Upstream:
    """The branch that a branch follows at a remote: its upstream, or else the branch of its own name."""
    upstream = Upstreams(cursor).load().get(branch)
    return upstream if upstream and upstream.remote == remote else Upstream(branch, remote, branch)


def _unambiguous(refs: Refs, tracking: str) -> str:
    """The name of a remote branch, in full if a local branch or tag has the same name."""
    others = (refs.get(kind, tracking) for kind in ("branch", "tag"))
    return f"refs/remotes/{tracking}" if any(others) else tracking


def _fast_forward(call: Call, branch: str, old: str, new: str, upstream: Upstream) -> None:
    move = Move(branch, Route.PULL, old, new, named=upstream.tracking)

    def forward(attempts: Attempts) -> None:
        require_allowed(call, move)
        tip = existing(call.refs, "branch", branch).commit_id
        if (tip, call.head().branch) != (old, branch):
            raise EpochTransactionError(f"branch {branch} has moved meanwhile; nothing was changed", "retry")
        put_working_tables(call, attempts, new, "the pull")
        move_branch(call, move, f"pull {upstream.tracking}: fast-forward", call.author())
        if upstream.branch not in Upstreams(call.cursor).load():
            Upstreams(call.cursor).put(upstream)

    attempting(call, forward)
