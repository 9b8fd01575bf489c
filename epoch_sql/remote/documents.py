"""Reads the documents of a store by their ids. What is given was proved: the hash, the form and the limits of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from epoch_sql.model.documents import read_base, read_commit, read_definition, read_tree, read_version
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.layouts import StoredVersion
from epoch_sql.model.remote import Manifest, PortableCommit, PortableLevel, TreeRow, damaged
from epoch_sql.model.schema import Table
from epoch_sql.remote.connecting import (
    COMMITS,
    base_path,
    commit_path,
    is_id,
    manifest_path,
    schema_path,
    subtree_path,
)
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.parallel import in_parallel


@dataclass(frozen=True)
class Documents:
    """The documents of one store. Raises EpochStorageError for one that is missing or damaged."""

    store: RemoteStore
    _bases: dict[str, PortableLevel] = field(default_factory=dict, compare=False)

    def commits(self, ids: Iterable[str]) -> dict[str, PortableCommit]:
        """The commits of these ids."""
        wanted = sorted(ids)
        return dict(zip(wanted, in_parallel(self._commit, wanted), strict=True))

    def commit_ids(self) -> list[str]:
        """Every commit of the store, reachable or not. A list saves walking."""
        names = (path.rpartition("/")[2].removesuffix(".json") for path in self.store.paths(COMMITS))
        return [name for name in names if is_id(name)]

    def trees(self, ids: Iterable[str]) -> dict[str, list[TreeRow]]:
        """The subtrees of these ids."""
        wanted = sorted(ids)
        return dict(zip(wanted, in_parallel(self._subtree, wanted), strict=True))

    def manifests(self, ids: Iterable[str]) -> dict[str, Manifest]:
        """The layouts of the versions with these contents."""
        stored = self.versions(ids)
        bases = self.bases(version.layout.base for version in stored.values())
        found = {}
        for content_id, one in stored.items():
            levels = (bases[one.layout.base], *one.layout.deltas)
            found[content_id] = Manifest(one.version, levels)
        return found

    def versions(self, ids: Iterable[str]) -> dict[str, StoredVersion]:
        """The documents of the versions with these contents."""
        wanted = sorted(ids)
        return dict(zip(wanted, in_parallel(self._version, wanted), strict=True))

    def bases(self, ids: Iterable[str]) -> dict[str, PortableLevel]:
        """The base levels of these ids. Versions share them, so each is read once."""
        wanted = sorted(set(ids))
        unread = [i for i in wanted if i not in self._bases]
        self._bases.update(zip(unread, in_parallel(self._base, unread), strict=True))
        return {i: self._bases[i] for i in wanted}

    def definitions(self, ids: Iterable[str]) -> dict[str, Table]:
        """The definitions of these ids. Their SQL is not proved."""
        wanted = sorted(ids)
        return dict(zip(wanted, in_parallel(self._definition, wanted), strict=True))

    def where(self, path: str) -> str:
        """A path of the store, for messages."""
        return f"{self.store.where}/{path}"

    def _commit(self, commit_id: str) -> PortableCommit:
        path = commit_path(commit_id)
        return read_commit(self._read(path), commit_id, self.where(path))

    def _subtree(self, subtree_id: str) -> list[TreeRow]:
        path = subtree_path(subtree_id)
        return read_tree(self._hashed(path, subtree_id), self.where(path))

    def _version(self, content_id: str) -> StoredVersion:
        path = manifest_path(content_id)
        found = self.store.read_current(path)
        if found is None:
            raise damaged(self.where(path), "is missing")
        return read_version(found.data, content_id, self.where(path))

    def _base(self, base_id: str) -> PortableLevel:
        path = base_path(base_id)
        return read_base(self._hashed(path, base_id), self.where(path))

    def _definition(self, schema_id: str) -> Table:
        path = schema_path(schema_id)
        return read_definition(self._hashed(path, schema_id), self.where(path))

    def _hashed(self, path: str, expected: str) -> bytes:
        data = self._read(path)
        if hashlib.sha256(data).hexdigest() != expected:
            raise damaged(self.where(path), "is corrupted: its content does not match its name")
        return data

    def _read(self, path: str) -> bytes:
        data = self.store.read(path)
        if data is None:
            raise damaged(self.where(path), "is missing")
        return data


def parents_first(commits: Mapping[str, PortableCommit]) -> list[PortableCommit]:
    """The commits, each after its parents."""
    ordered: dict[str, PortableCommit] = {}
    for tip in commits:
        path = [tip]
        while path:
            before = [p for p in commits[path[-1]].commit.parents if p in commits and p not in ordered]
            if before:
                path.extend(before)
            else:
                current = path.pop()
                ordered[current] = commits[current]
    return list(ordered.values())


def graph_of(documents: Documents, commits: Mapping[str, PortableCommit]) -> CommitGraph:
    """The graph of commits with all of their ancestors."""
    graph = CommitGraph()
    for portable in parents_first(commits):
        commit, origin = portable.commit, portable.commit.origin
        undo = Undo(origin.undoes, origin.redoes, origin.restores)
        try:
            graph.add(commit.commit_id, commit.parents, commit.committed_at, undo, origin.reverts)
        except ValueError:
            where = documents.where(commit_path(commit.commit_id))
            raise damaged(where, "undoes a commit that is not before it") from None
    return graph
