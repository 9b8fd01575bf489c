"""Imports what a fetch read into the catalog, within one transaction.

Versions keep their local layouts, and so their ids. Without one, they are stored as the remote has them. A tree takes
over its parent's versions if the contents are the same, because operations take versions with different ids for
different.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from epoch_sql.call import Call
from epoch_sql.catalog.content import (
    Levels,
    Roots,
    Schemas,
    Trees,
    Versions,
    root_identity,
    subtree_identity,
)
from epoch_sql.catalog.local import Untrusted
from epoch_sql.errors import EpochStorageError, EpochTransactionError
from epoch_sql.model.commit import (
    Commit,
    Level,
    Version,
    level_identity,
    version_identity,
)
from epoch_sql.model.remote import Manifest, PortableCommit, PortableLevel
from epoch_sql.remote.proving import Defined, other_content, require_content
from epoch_sql.remote.receiving import Received
from epoch_sql.remote.sending import (
    IDENTITY,
    KIND,
    VERSION,
    LocalTrees,
    Row,
    local_trees,
    versions_of,
    with_version,
)
from epoch_sql.storage.writing import ObjectStore, base_level


def take_in(call: Call, received: Received) -> list[Commit]:
    """Store what was received, and give the new commits.

    Raises EpochTransactionError if the catalog has changed so much meanwhile that more would have to be read.
    """
    stored = call.commits.load(c.commit.commit_id for c in received.commits)
    commits = [c for c in received.commits if c.commit.commit_id not in stored]
    if not commits:
        return []
    if not received.promised:
        _require_files(call.store, received)
    importer = _Importer(call, replace(received, commits=commits))
    added = [importer.commit(portable) for portable in commits]
    importer.store()
    Untrusted(call.cursor).add(received.withheld)
    call.scanner.trust.forget()
    call.commits.add_all(added)
    call.memory.rows.forget()
    return added


def _require_files(store: ObjectStore, received: Received) -> None:
    """Until now nothing referred to the files, so gc may have removed them."""
    for file in received.files.values():
        problem = store.check(file)
        if problem:
            raise EpochStorageError(
                f"file {store.path(file.file_id)} {problem} since it was fetched",
                "fetch again",
                path=str(store.path(file.file_id)),
            )


@dataclass
class _LocalTree:
    """A local tree: its subtrees by their ids at the remote."""

    subtrees: dict[str, str] = field(default_factory=dict)


class _Importer:
    def __init__(self, call: Call, received: Received) -> None:
        self._call = call
        self._received = received
        own = {c.commit.commit_id for c in received.commits}
        edge = {p for c in received.commits for p in c.commit.parents} - own
        commits = call.commits.load(edge)
        if edge - commits.keys():
            raise EpochTransactionError("the history has changed meanwhile; nothing was changed", "fetch again")
        trees = local_trees(call.cursor, (c.root_id for c in commits.values()))
        self._rows: dict[str, list[Row]] = dict(trees.rows)
        self._contents: dict[str, str] = dict(trees.contents)
        self._trees = {i: _local_tree(trees, c.root_id) for i, c in commits.items()}
        self._twins = versions_of(call.cursor, _tables(received))
        # A tree that goes back to an earlier one has subtrees that its parent lacks.
        self._subtree_ids = {k: v for tree in self._trees.values() for k, v in tree.subtrees.items()}
        self._version_ids = {i: ids[0] for i, ids in self._twins.items()}
        self._contents.update((version_id, i) for i, ids in self._twins.items() for version_id in ids)
        self._versions: dict[str, Version] = Versions(call.cursor).load(self._contents)
        self._new_versions: list[Version] = []
        self._levels: list[Level] = []
        self._subtrees: dict[str, list[Row]] = {}
        self._roots: dict[str, list[str]] = {}
        self._digests: dict[str, Defined] = {}
        self._definitions = dict(received.definitions)

    def commit(self, portable: PortableCommit) -> Commit:
        """The local form of a commit. Prepares its tree, versions and deltas to be stored."""
        parents = [self._trees[p] for p in portable.commit.parents]
        tree = _LocalTree()
        for remote_id in portable.subtrees:
            local_id = next((parent.subtrees[remote_id] for parent in parents if remote_id in parent.subtrees), None)
            local_id = local_id or self._subtree_ids.get(remote_id) or self._subtree(remote_id, portable, parents)
            tree.subtrees[remote_id] = self._subtree_ids[remote_id] = local_id
        self._trees[portable.commit.commit_id] = tree
        root_id = root_identity(tree.subtrees.values())
        self._roots[root_id] = sorted(tree.subtrees.values())
        self._require_content(portable.commit, tree)
        for delta in portable.deltas:
            self._edge(portable.commit, delta, tree, parents)
        return replace(portable.commit, root_id=root_id)

    def store(self) -> None:
        """Write everything but the commits to the catalog."""
        cursor = self._call.cursor
        Schemas(cursor).add(self._received.definitions.values())
        Versions(cursor).add(self._new_versions)
        Levels(cursor).add(self._levels)
        trees = Trees(cursor)
        stored = {row[0] for row in trees.with_ids(self._subtrees)}
        self._require_definitions()
        trees.insert((i, *row) for i, rows in self._subtrees.items() if i not in stored for row in rows)
        Roots(cursor).insert_missing(self._roots.items())

    def _require_definitions(self) -> None:
        """A definition that was local when the fetch began may have been removed by gc."""
        files = self._received.files.values()
        needed = {version.schema_id for version in self._new_versions}
        needed |= {i for file in files for i in (file.schema_id, file.old_schema_id) if i}
        if needed - {row[0] for row in Schemas(self._call.cursor).with_ids(needed)}:
            raise EpochTransactionError("the tables have changed meanwhile; nothing was changed", "fetch again")

    def _subtree(self, remote_id: str, portable: PortableCommit, parents: Iterable[_LocalTree]) -> str:
        """The local id of a subtree that no parent has."""
        common = set(portable.subtrees)
        before = {
            (row[IDENTITY], self._contents[row[VERSION]]): row[VERSION]
            for parent in reversed(list(parents))
            for parent_id, local_id in parent.subtrees.items()
            if parent_id not in common
            for row in self._rows[local_id]
            if row[KIND] == "table"
        }
        received = self._received.subtrees.get(remote_id)
        if received is None:
            raise EpochTransactionError("the history has changed meanwhile; nothing was changed", "fetch again")
        rows = []
        for row in received:
            if row[KIND] == "table":
                content_id = row[VERSION]
                version_id = before.get((row[IDENTITY], content_id)) or self._version(content_id)
                row = with_version(row, version_id)
            rows.append(row)
        local_id = subtree_identity(rows)
        self._rows[local_id] = self._subtrees[local_id] = rows
        return local_id

    def _version(self, content_id: str) -> str:
        """A local version with that content: an existing one, or else one that is made as the remote has it."""
        if content_id not in self._version_ids:
            manifest = self._received.manifests.get(content_id)
            if manifest is None:
                raise EpochTransactionError("the tables have changed meanwhile; nothing was changed", "fetch again")
            self._make(content_id, manifest)
        return self._version_ids[content_id]

    def _make(self, content_id: str, manifest: Manifest) -> None:
        """Makes a version. A delta from an unknown content is a level for reading, but not an edge in the graph of
        versions."""
        own = manifest.version
        levels = [self._level(level, content_id, own) for level in manifest.levels]
        level_ids = tuple(level.level_id for level in levels)
        version_id = version_identity(own.table_id, own.schema_id, own.fingerprint, level_ids)
        version = replace(own, version_id=version_id, level_ids=level_ids)
        self._levels += [replace(level, to_version=version_id) if level.to_version == "" else level for level in levels]
        self._new_versions.append(version)
        self._versions[version_id] = version
        self._version_ids[content_id] = version_id
        self._contents[version_id] = content_id

    def _level(self, level: PortableLevel, content_id: str, own: Version) -> Level:
        """A level of a version that is being made. If it leads to that version itself, its end is an empty id for
        now."""
        if level.kind == "base":
            return base_level(level.files)
        before = self._version_ids.get(level.before or "")
        if level.after == content_id:
            return _delta(level, before, "", own)
        after = self._version_ids.get(level.after or "")
        return _delta(level, before, after, self._versions[after] if after else None)

    def _edge(self, commit: Commit, delta: PortableLevel, tree: _LocalTree, parents: Iterable[_LocalTree]) -> None:
        """A delta as an edge between the version of a parent and that of the commit."""
        ends = ((delta.before, [*parents]), (delta.after, [tree]))
        if not all(end in self._named_by(trees) for end, trees in ends):
            raise other_content(commit, "has a delta between contents that it does not have")
        before, after = (self._named(end, trees) for end, trees in ends)
        if before and after and before != after:
            self._levels.append(_delta(delta, before, after, self._versions[after]))

    def _named_by(self, trees: Iterable[_LocalTree]) -> set[str]:
        """The contents of tables in trees."""
        rows = (row for tree in trees for local_id in tree.subtrees.values() for row in self._rows[local_id])
        return {self._contents[row[VERSION]] for row in rows if row[KIND] == "table"}

    def _named(self, content_id: str | None, trees: Iterable[_LocalTree]) -> str | None:
        """The version with that content, preferably the one in a tree."""
        preferred = self._version_ids.get(content_id or "")
        if preferred is None or content_id is None:
            return None
        twins = self._twins.get(content_id, [])
        if len(twins) < 2:
            return preferred
        named = {row[VERSION] for tree in trees for local_id in tree.subtrees.values() for row in self._rows[local_id]}
        return next((version_id for version_id in twins if version_id in named), preferred)

    def _require_content(self, commit: Commit, local: _LocalTree) -> None:
        """Raises EpochStorageError unless the commit's id covers the tree."""
        rows = (row for local_id in local.subtrees.values() for row in self._rows[local_id])
        require_content(commit, rows, self._versions.__getitem__, self._defined)

    def _defined(self, schema_id: str) -> Defined:
        if schema_id not in self._digests:
            if schema_id not in self._definitions:
                self._definitions.update(Schemas(self._call.cursor).load([schema_id]))
            table = self._definitions[schema_id]
            self._digests[schema_id] = table.content_digest, table.name
        return self._digests[schema_id]


def _delta(level: PortableLevel, before: str | None, after: str | None, end: Version | None) -> Level:
    content = f"{end.schema_id}:{end.fingerprint}" if end else None
    level_id = level_identity("delta", tuple(file.file_id for file in level.files), before, content)
    return Level(level_id, "delta", level.files, level.rows, before, after)


def _local_tree(trees: LocalTrees, root_id: str) -> _LocalTree:
    return _LocalTree({trees.portable[local_id]: local_id for local_id in trees.roots[root_id]})


def _tables(received: Received) -> set[str]:
    """The tables in what was received."""
    named = {row[IDENTITY] for rows in received.subtrees.values() for row in rows if row[KIND] == "table"}
    return named | {manifest.version.table_id for manifest in received.manifests.values()}
