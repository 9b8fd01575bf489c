"""Checks commits, references, stashes and merges in progress: everything that they lead to exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from epoch_sql.catalog.history import Refs, State
from epoch_sql.catalog.local import Stashes
from epoch_sql.catalog.merging import Merges
from epoch_sql.model.commit import commit_identity, tree_identity
from epoch_sql.model.schema import table_from_json
from epoch_sql.operations.repository import Call
from epoch_sql.operations.upkeep.inventory import Inventory

Found = tuple[str, str, str]


def broken_commits(inventory: Inventory) -> Iterator[Found]:
    """Commits whose parents or tree are missing, and those that do not match their id."""
    trees: dict[str, str | None] = {}
    digests = _content_digests(inventory)
    for commit in inventory.commits.values():
        i = commit.commit_id
        stated = (commit.parents, commit.author, commit.committed_at, commit.message, commit.origin)
        if i != commit_identity(commit.tree_id, *stated):
            yield "commit", i, "its tree, parents, author, time, message or origin do not match its id"
        for named in (*commit.parents, *commit.origin.undone):
            if named not in inventory.commits:
                yield "commit", i, f"needs commit {named}, which is not in the catalog"
        if commit.root_id not in inventory.roots:
            yield "commit", i, f"needs root {commit.root_id}, which is not in the catalog"
            continue
        if commit.root_id not in trees:
            trees[commit.root_id] = _tree_id(inventory, commit.root_id, digests)
        if trees[commit.root_id] not in (None, commit.tree_id):
            yield "commit", i, "what its root holds is not the content that the commit names"


def _tree_id(inventory: Inventory, root_id: str, digests: Mapping[str, str]) -> str | None:
    """The id of the content under a root. None if parts are missing, which other checks report."""
    if any(i not in inventory.subtrees for i in inventory.roots[root_id]):
        return None
    tree = inventory.tree(root_id)
    tables = []
    for entry in tree.tables.values():
        version = inventory.versions.get(entry.version_id)
        digest = digests.get(version.schema_id) if version else None
        if version is None or digest is None:
            return None
        tables.append((entry.name, digest, version.fingerprint))
    return tree_identity(tables, tree.objects)


def _content_digests(inventory: Inventory) -> dict[str, str]:
    """The hash of the visible part of each readable definition."""
    found = {}
    for schema_id, definition in inventory.schemas.items():
        with suppress(ValueError, KeyError, TypeError):
            found[schema_id] = table_from_json(definition).content_digest
    return found


def broken_references(call: Call, inventory: Inventory) -> Iterator[Found]:
    """Branches, tags, HEAD, stashes and merges in progress that lead to missing commits or trees."""
    cursor = call.cursor
    refs = Refs(cursor).select()
    for kind, name, commit_id, *_ in refs:
        if commit_id not in inventory.commits:
            yield "ref", f"{kind} {name}", f"names commit {commit_id}, which is not in the catalog"
    for kind, name in {(row[0], row[1]) for row in refs if [r[:2] for r in refs].count(row[:2]) > 1}:
        yield "ref", f"{kind} {name}", "is more than once in epoch.refs"
    states = State(cursor).select()
    if len(states) != 1:
        yield "ref", "HEAD", f"epoch.state has {len(states)} rows instead of one"
    for _, _, branch, commit_id, *_ in states:
        if branch is not None and not any(row[:2] == ("branch", branch) for row in refs):
            yield "ref", "HEAD", f"is at branch {branch}, which does not exist"
        if branch is None and commit_id not in inventory.commits:
            yield "ref", "HEAD", f"names commit {commit_id}, which is not in the catalog"
    for stash in Stashes(cursor).load():
        yield from _leading("stash", stash.stash_id, [stash.commit_id], [stash.root_id], inventory)
    for row in Merges(cursor).select():
        merge = dict(zip(Merges.columns, row, strict=True))
        commits, roots = [merge["ours_commit"], merge["theirs_commit"]], [merge["base_root"], merge["theirs_root"]]
        yield from _leading("merge", merge["target"], commits, roots, inventory)


def _leading(kind: str, name: str, commits: list[str], roots: list[str], inventory: Inventory) -> Iterator[Found]:
    for commit_id in commits:
        if commit_id not in inventory.commits:
            yield kind, name, f"needs commit {commit_id}, which is not in the catalog"
    for root_id in roots:
        if root_id not in inventory.roots:
            yield kind, name, f"needs root {root_id}, which is not in the catalog"
