"""``fsck``: hashes every file again, computes every id again, and follows every reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import duckdb

from epoch_sql.call import Call
from epoch_sql.catalog.content import root_identity, subtree_identity
from epoch_sql.catalog.history import Refs, State
from epoch_sql.catalog.local import Stashes
from epoch_sql.catalog.merging import Merges
from epoch_sql.model.commit import commit_identity, level_identity, tree_identity, version_identity
from epoch_sql.model.schema import table_from_json, table_to_json
from epoch_sql.upkeep.content_checks import (
    broken_deltas,
    broken_files,
    broken_fingerprints,
    broken_ranges,
    broken_rows,
    files_elsewhere,
)
from epoch_sql.upkeep.inventory import Inventory, StoredLevel, take
from epoch_sql.verb import procedure

Finding = tuple[str, str, str]

_KINDS = {
    "schemas": "schema",
    "files": "file",
    "levels": "level",
    "versions": "version",
    "roots": "root",
    "commits": "commit",
}


def duplicates(inventory: Inventory) -> Iterator[Finding]:
    """Ids that the catalog has twice."""
    for name, object_id in inventory.duplicates:
        yield _KINDS[name], object_id, f"is more than once in epoch.{name}"


def broken_definitions(inventory: Inventory) -> Iterator[Finding]:
    """Definitions of tables that do not match their id, or cannot be read."""
    for schema_id, definition in inventory.schemas.items():
        if hashlib.sha256(definition.encode()).hexdigest() != schema_id:
            yield "schema", schema_id, "the definition of the table does not match its id"
            continue
        try:
            same = table_to_json(table_from_json(definition)) == definition
        except (ValueError, KeyError, TypeError) as error:
            yield "schema", schema_id, f"the definition of the table cannot be read: {type(error).__name__} {error}"
            continue
        if not same:
            yield "schema", schema_id, "the definition of the table holds what this version of Epoch does not know"


def broken_levels(inventory: Inventory) -> Iterator[Finding]:
    """Levels whose files are not in the catalog, and those that do not match their id."""
    for level in inventory.levels.values():
        missing = [i for i in level.file_ids if i not in inventory.files]
        if missing:
            yield "level", level.level_id, f"needs file {missing[0]}, which is not in the catalog"
        if level.kind not in ("base", "delta"):
            yield "level", level.level_id, f"is neither a base nor a delta but {level.kind}"
        elif not _level_is_itself(inventory, level):
            yield "level", level.level_id, "its files, or the versions that it leads from and to, do not match its id"
    for file in inventory.files.values():
        for schema_id in (file.schema_id, file.old_schema_id):
            if schema_id and schema_id not in inventory.schemas:
                yield "file", file.file_id, f"needs definition {schema_id}, which is not in the catalog"


def _level_is_itself(inventory: Inventory, level: StoredLevel) -> bool:
    """Whether the id matches the content. A delta to a removed version cannot say."""
    if level.kind == "base":
        return level.level_id == level_identity("base", level.file_ids, None, None)
    end = inventory.versions.get(level.to_version or "")
    if end is None:
        return True
    content = f"{end.schema_id}:{end.fingerprint}"
    return level.level_id == level_identity("delta", level.file_ids, level.from_version, content)


def broken_versions(inventory: Inventory) -> Iterator[Finding]:
    """Versions whose levels or definition are missing, and those that do not match their id."""
    for version in inventory.versions.values():
        i = version.version_id
        if i != version_identity(version.table_id, version.schema_id, version.fingerprint, version.level_ids):
            yield "version", i, "its definition, fingerprint or levels do not match its id"
        if version.schema_id not in inventory.schemas:
            yield "version", i, f"needs definition {version.schema_id}, which is not in the catalog"
        missing = [level for level in version.level_ids if level not in inventory.levels]
        if missing:
            yield "version", i, f"needs level {missing[0]}, which is not in the catalog"
        elif [inventory.levels[level].kind for level in version.level_ids[:1]] != ["base"] or any(
            inventory.levels[level].kind != "delta" for level in version.level_ids[1:]
        ):
            yield "version", i, "is not made of one base level and deltas on it"


def broken_trees(inventory: Inventory) -> Iterator[Finding]:
    """Trees whose parts or versions are missing, and those that do not match their id."""
    for subtree_id, rows in inventory.subtrees.items():
        if subtree_identity(rows) != subtree_id:
            yield "tree", subtree_id, "its tables and objects do not match its id"
        for row in rows:
            if row[0] == "table" and row[4] not in inventory.versions:
                yield "tree", subtree_id, f"needs version {row[4]} of table {row[3]}, which is not in the catalog"
    for root_id, subtree_ids in inventory.roots.items():
        if root_identity(subtree_ids) != root_id:
            yield "root", root_id, "its subtrees do not match its id"
        missing = [i for i in subtree_ids if i not in inventory.subtrees]
        if missing:
            yield "root", root_id, f"needs subtree {missing[0]}, which is not in the catalog"


def broken_commits(inventory: Inventory) -> Iterator[Finding]:
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
        tables.append((entry, digest, version.fingerprint))
    return tree_identity(tables, tree)


def _content_digests(inventory: Inventory) -> dict[str, str]:
    """The hash of the visible part of each readable definition."""
    found = {}
    for schema_id, definition in inventory.schemas.items():
        with suppress(ValueError, KeyError, TypeError):
            found[schema_id] = table_from_json(definition).content_digest
    return found


def broken_references(cursor: duckdb.DuckDBPyConnection, inventory: Inventory) -> Iterator[Finding]:
    """Branches, tags, HEAD, stashes and merges in progress that lead to missing commits or trees."""
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


def _leading(kind: str, name: str, commits: list[str], roots: list[str], inventory: Inventory) -> Iterator[Finding]:
    for commit_id in commits:
        if commit_id not in inventory.commits:
            yield kind, name, f"needs commit {commit_id}, which is not in the catalog"
    for root_id in roots:
        if root_id not in inventory.roots:
            yield kind, name, f"needs root {root_id}, which is not in the catalog"


@dataclass(frozen=True)
class Problem:
    """A problem, its table, and its commits, newest first.

    ``kind`` is ``file``, ``level``, ``version``, ``schema``, ``tree``, ``root``, ``commit``, ``ref``, ``stash``,
    ``merge`` or ``fingerprint``.
    """

    kind: str
    table: str | None
    object_id: str
    commits: list[str]
    problem: str


@procedure("epoch_fsck", acts=False)
def check(call: Call) -> list[Problem]:
    """Hashes every file again and walks every commit. Gives one row for each problem, and no row if everything is
    sound. Of a bare clone, it reads no file that is only at the remote: it asks for its size."""
    call.forget()
    with call.transaction():
        inventory = take(call.cursor)
        return [_problem(inventory, *finding) for finding in _findings(call, inventory)]


def _findings(call: Call, inventory: Inventory) -> Iterator[Finding]:
    """The findings. Reads the rows only of versions without other problems."""
    wrong = [
        *duplicates(inventory),
        *broken_files(call.store, inventory),
        *broken_definitions(inventory),
        *broken_levels(inventory),
        *broken_versions(inventory),
        *broken_trees(inventory),
        *broken_commits(inventory),
    ]
    yield from wrong
    unread = [*wrong, *files_elsewhere(call.store, inventory)]
    yield from broken_ranges(call, inventory, unread)
    yield from broken_references(call.cursor, inventory)
    sound = _sound_versions(inventory, unread)
    yield from broken_rows(call, inventory, sound)
    yield from broken_deltas(call, inventory, sound)
    yield from broken_fingerprints(call, inventory, sound)


def _sound_versions(inventory: Inventory, wrong: Iterable[Finding]) -> frozenset[str]:
    """The versions that can be read, because all of their parts are sound."""
    return frozenset(inventory.versions) - inventory.versions_needing((kind, i) for kind, i, _ in wrong)


def _problem(inventory: Inventory, kind: str, object_id: str, problem: str) -> Problem:
    commits = [object_id] if kind == "commit" else inventory.commits_needing(kind, object_id)
    return Problem(kind, inventory.table_of(kind, object_id), object_id, commits, problem)
