"""Queries over the catalog: log, branches, tags, reflog, stashes, protections and the merges in progress.

The command line asks these all the time. So this module imports little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call, no_table
from epoch_sql.catalog.history import Protections
from epoch_sql.catalog.local import Upstreams
from epoch_sql.catalog.merging import Conflict, Merges, listed_conflicts
from epoch_sql.model.graph import CommitGraph
from epoch_sql.model.names import name_meant
from epoch_sql.model.protection import Protection
from epoch_sql.render import Sql
from epoch_sql.verb import Column, Json, query, reading


@dataclass(frozen=True)
class LogEntry:
    """A commit, and the branches and tags at it."""

    commit: str
    parents: list[str]
    author: str
    committed_at: datetime
    message: str
    refs: list[str]


@dataclass(frozen=True)
class Branch:
    """A branch; how far it is ahead of and behind its upstream is None where there is nothing to compare with."""

    name: str
    commit: str
    is_current: bool
    is_protected: bool
    upstream: str | None
    ahead: int | None
    behind: int | None


@dataclass(frozen=True)
class Tag:
    """A tag."""

    name: str
    commit: str
    tagger: str | None
    tagged_at: datetime
    message: str | None


@dataclass(frozen=True)
class ReflogEntry:
    """A move of a branch, a tag or a remote branch; it was made or deleted where one of the commits is None."""

    branch: str
    kind: str
    old_commit: str | None
    new_commit: str | None
    action: str
    author: str
    moved_at: datetime
    route: str


@dataclass(frozen=True)
class StashEntry:
    """A stash."""

    stash_id: str
    branch: str | None
    created_at: datetime
    author: str
    message: str | None
    tables_changed: int


@dataclass(frozen=True)
class AuditEntry:
    """Something that was guarded, approved, refused or promoted."""

    recorded_at: datetime
    actor: str
    action: str
    ref: str | None
    commit: str | None
    detail: str | None


@dataclass(frozen=True)
class CheckedOut:
    """What is checked out: a branch, or a commit (``detached``). In a bare clone (``is_bare``) it is only what HEAD
    names."""

    branch: str | None
    commit: str
    detached: bool
    is_bare: bool


@dataclass(frozen=True)
class MergeBase:
    """A common ancestor."""

    commit: str


_LISTED = (Column("position", "BIGINT"), Column("commit_id", "VARCHAR"), Column("parents", "VARCHAR[]"))


@query("epoch_log", LogEntry)
def log(
    call: Call,
    ref: str = "HEAD",
    *,
    first_parent: bool = False,
    max_count: int | None = None,
    table: str | None = None,
    all_refs: bool = False,
    exclude: str | None = None,
) -> Sql:
    """The commits that a reference reaches, newest first.

    Children come before their parents.

    Args:
        ref: where to start
        first_parent: only the branch's first-parent line: on an environment, its promotions
        max_count: at most this many commits
        table: only commits that changed this table
        all_refs: start at all branches, tags and remote branches, too
        exclude: only commits that this reference does not reach, as git's `EXCLUDE..REF`
    """
    tips = [call.resolve(ref)]
    past = call.resolve(exclude) if exclude is not None else None
    if all_refs:
        tips += [found.commit_id for kind in ("branch", "tag", "remote") for found in call.refs.all(kind).values()]
    # Read after the reference: another thread may move that to a commit that an earlier graph lacks.
    graph = call.graph()
    if not first_parent:
        ids = graph.newest_first(*tips)
    elif all_refs:
        ids = iter(graph.topological({commit for tip in tips for commit in graph.first_parents(tip)}))
    else:
        ids = graph.first_parents(tips[0])
    if past is not None:
        beyond = graph.difference(tips, (past,))
        ids = islice((commit_id for commit_id in ids if commit_id in beyond), len(beyond))
    if table is not None:
        ids = iter(_touching(call, [*ids], table))
    listed = islice(ids, max_count if max_count is None else max(max_count, 0))
    rows = [[position, commit_id, graph.parents(commit_id)] for position, commit_id in enumerate(listed)]
    return render.render("listing.log", wanted=render.constants(_LISTED, rows))


@reading("epoch_branches")
def branches(call: Call) -> list[Branch]:
    """The branches."""
    remote, local = call.refs.all("remote"), call.refs.all("branch")
    upstreams = {name: upstream.tracking for name, upstream in Upstreams(call.cursor).load().items()}
    fetched = {name: remote[tracking].commit_id for name, tracking in upstreams.items() if tracking in remote}
    # The history is read only where there is something to compare.
    graph = call.graph() if fetched.keys() & local.keys() else CommitGraph()
    protected = Protections(call.cursor).load()
    rows = []
    head = call.head().branch
    for name, ref in local.items():
        ahead, behind = graph.ahead_behind(ref.commit_id, fetched[name]) if name in fetched else (None, None)
        rows.append(Branch(name, ref.commit_id, name == head, name in protected, upstreams.get(name), ahead, behind))
    return rows


@query("epoch_tags", Tag)
def tags(call: Call) -> Sql:
    """The tags."""
    return render.render("listing.tags")


@query("epoch_reflog", ReflogEntry)
def reflog(call: Call, branch: str | None = None) -> Sql:
    """The moves of branches and tags, newest first: the two commits, the author and the route of each.

    Args:
        branch: only this branch or tag
    """
    return render.render("listing.reflog", name=render.literal(branch))


@query("epoch_stashes", StashEntry)
def stashes(call: Call) -> Sql:
    """The stashes, newest first."""
    return render.render("listing.stashes")


@query("epoch_audit", AuditEntry)
def audit(call: Call) -> Sql:
    """The audit: each change of a protection, review, refusal, promotion and rollback, newest first."""
    return render.render("listing.audit")


@reading("epoch_head")
def head(call: Call) -> CheckedOut:
    """The branch and the commit that are checked out."""
    checked_out = call.head()
    return CheckedOut(checked_out.branch, checked_out.commit_id, checked_out.detached, call.promisor is not None)


@dataclass(frozen=True)
class Identity:
    """The author of the next commit, and where that comes from."""

    author: str
    name: str
    mail: str | None
    origin: Literal["connection", "EPOCH_AUTHOR", "configuration", "system"]


@reading("epoch_identity")
def identity(call: Call) -> Identity:
    """The name and the mail address that the next commit would have, and where they come from: the opened
    connection, EPOCH_AUTHOR, the configuration, or the operating system. Raises EpochReferenceError for one that no
    commit can have."""
    author, origin = call.author(), call.identity()[1]
    name, _, mail = author.partition("<")
    return Identity(author, name.strip(), mail.rstrip("> ").strip() or None, origin)


@reading("epoch_merge_base")
def merge_base(call: Call, a: str, b: str) -> MergeBase | None:
    """The best common ancestor of two references, as git computes it.

    None where their histories are unrelated.

    Args:
        a: a reference
        b: a reference
    """
    left, right = call.resolve(a), call.resolve(b)
    return next((MergeBase(found) for found in call.graph().merge_bases(left, right)), None)


def _touching(call: Call, ids: Sequence[str], table_name: str) -> list[str]:
    """The commits whose version of a table differs from that of their first parent."""
    commits = call.commits.load(ids)
    versions: dict[str, str | None] = {}

    def version(commit_id: str | None) -> str | None:
        if commit_id is None:
            return None
        if commit_id not in versions:
            root = call.commits.get(commit_id).root_id if commit_id not in commits else commits[commit_id].root_id
            entries = call.trees.load(root).tables.values()
            meant = name_meant(table_name, (e.name for e in entries))
            entry = next((e for e in entries if e.name == meant), None)
            versions[commit_id] = entry.version_id if entry else None
        return versions[commit_id]

    found = [i for i in ids if version(i) != version(commits[i].parents[0] if commits[i].parents else None)]
    if not found:
        names = {str(e.name) for i in ids[:1] for e in call.trees.load(commits[i].root_id).tables.values()}
        raise no_table(table_name, sorted(names), "that history")
    return found


@dataclass(frozen=True)
class Violation:
    """A row that would violate a constraint, or (without a key) a definition that could not be made."""

    table: str
    constraint: str
    kind: str
    key: Json | None
    detail: str


@dataclass(frozen=True)
class MergeState:
    """A merge, revert or cherry-pick in progress, and the number of its obstacles.

    ``decisions`` is a digest of what was decided, None before the first decision.
    """

    target: str
    kind: Literal["merge", "revert", "cherry-pick"]
    source: str
    source_commit: str
    message: str
    author: str
    started_at: datetime
    conflicts: int
    violations: int
    decisions: str | None


@query("epoch_conflicts", Conflict)
def conflicts(call: Call, table: str | None = None, *, into: str | None = None) -> Sql:
    """The conflicts of the merge in progress: cells, rows and definitions that both sides changed differently.

    Args:
        table: only this table
        into: the branch that is merged into; default: the current one
    """
    target = into or call.head().branch
    rows = render.fill(Sql("FROM {{epoch}}.conflicts WHERE target = {{target}}"), target=render.literal(target))
    begun = Merges(call.cursor).get(target) if target else None
    return listed_conflicts(rows, target, begun.strategy if begun else None, table)


@query("epoch_violations", Violation)
def violations(call: Call, *, into: str | None = None) -> Sql:
    """What would violate a constraint after the merge in progress: rows, and definitions that cannot be created
    (without a key: a view over a dropped column, a foreign key to a dropped table).

    Args:
        into: the branch that is merged into; default: the current one
    """
    return render.render("listing.violations", target=_target(call, into))


@query("epoch_merges", MergeState)
def merges(call: Call) -> Sql:
    """The merges, reverts and cherry-picks in progress, with their open conflicts and violations."""
    return render.render("listing.merges")


def _target(call: Call, target: str | None) -> render.Fragment:
    return render.literal(target or call.head().branch)


@query("epoch_protections", Protection)
def protections(call: Call) -> Sql:
    """The protected branches, and what each refuses."""
    return render.render("listing.protections")
