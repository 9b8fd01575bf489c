"""A repository as its store has it, read without a clone: references, commits, trees and versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from epoch_sql.call import no_table
from epoch_sql.catalog.content import tree_of_rows
from epoch_sql.catalog.relation import RowCache
from epoch_sql.errors import EpochReferenceError
from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.graph import CommitGraph
from epoch_sql.model.names import name_meant
from epoch_sql.model.remote import Header, PortableCommit, TreeRow
from epoch_sql.model.revisions import BRANCHES, TAGS, resolve
from epoch_sql.remote.connecting import commit_path, head_path, no_store, read_header, store_at, tag_path
from epoch_sql.remote.descriptions import StoreDescriptions, StoreFiles
from epoch_sql.remote.documents import Documents, graph_of
from epoch_sql.remote.proving import Defined, broken_tree_rule, other_content, require_content
from epoch_sql.remote.references import Listing, read_reference, read_references
from epoch_sql.remote.sending import IDENTITY
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.remote.base import RemoteStore

_FEW_STEPS = 32
"""After so many requests, one after the other, all commits are read at once."""


def open_stored(url: str, prefix: str | None = None) -> StoredRepository:
    """The repository of the store at a URL. ``prefix`` is the location of the store in the words of the engine.

    Raises EpochRemoteError if there is no store, if it cannot be used, or if a newer Epoch wrote it.
    """
    store = store_at(url)
    header = read_header(store)
    if header is None:
        raise no_store(store)
    return StoredRepository(store, header, prefix or store.where)


@dataclass
class StoredRepository:
    """What a store has. Documents never change, so each is read once; references are read whenever they are asked for.

    ``contents`` gives the rows of versions and their differences. The version of a table in a tree is its content.
    """

    store: RemoteStore
    header: Header
    prefix: str
    _commits: dict[str, PortableCommit] = field(default_factory=dict)
    _subtrees: dict[str, list[TreeRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.documents = Documents(self.store)
        self.descriptions = StoreDescriptions(self.documents)
        self.contents = Contents(self.descriptions, StoreFiles(self.store, self.prefix), RowCache())

    def references(self) -> Listing:
        """Every branch and tag."""
        return read_references(self.store)

    def resolve(self, reference: str) -> str:
        """The commit that a reference names now. Raises EpochReferenceError if there is none, or more than one."""
        return resolve(reference, _Lookup(self))

    def commits(self, ids: Iterable[str]) -> Mapping[str, PortableCommit]:
        """The commits of these ids. Their deltas are edges from then on."""
        found = self.documents.commits(set(ids) - self._commits.keys())
        for portable in found.values():
            self.descriptions.add_deltas(portable.deltas)
        self._commits.update(found)
        return self._commits

    def commit(self, commit_id: str) -> PortableCommit:
        """The commit of that id."""
        return self.commits([commit_id])[commit_id]

    def tree(self, commit_id: str) -> Tree:
        """The tree of a commit, as its documents state it. ``prove_tree`` proves that it is the commit's."""
        portable = self.commit(commit_id)
        rows = self._rows(portable)
        broken = broken_tree_rule(rows)
        if broken:
            raise other_content(portable.commit, broken)
        return tree_of_rows(rows)

    def prove_tree(self, commit_id: str) -> Tree:
        """The tree of a commit. Raises EpochStorageError unless the id of the commit covers it: reads the versions and
        definitions of all of its tables."""
        portable, tree, contents = self.commit(commit_id), self.tree(commit_id), self.contents
        contents.load(entry.version_id for entry in tree.tables.values())

        def defined(schema_id: str) -> Defined:
            table = contents.schema(schema_id)
            return table.content_digest, table.name

        require_content(portable.commit, self._rows(portable), contents.version, defined)
        return tree

    def entry(self, commit_id: str, table: str, where: str) -> TableEntry:
        """A table in the tree of a commit, by its name as in table arguments. Messages call the commit ``where``."""
        entries = {entry.name: entry for entry in self.tree(commit_id).tables.values()}
        meant = name_meant(table, entries)
        if meant is None:
            raise no_table(table, [str(name) for name in entries], where)
        entry = entries[meant]
        version = self.contents.version(entry.version_id)
        if version.table_id != entry.table_id or self.contents.table(entry.version_id).name != entry.name:
            raise other_content(self.commit(commit_id).commit, f"has table {entry.name} as another one")
        return entry

    def graph(self, *tips: str) -> CommitGraph:
        """The graph of some commits and their ancestors."""
        found: dict[str, PortableCommit] = {}
        pending, steps = set(tips), 0
        while pending:
            steps += 1
            commits = self._commits_after(pending, steps)
            found.update((i, commits[i]) for i in pending)
            pending = {p for i in pending for p in commits[i].commit.parents} - found.keys()
        return graph_of(self.documents, found)

    def load_between(self, before: str, after: str) -> None:
        """Read the commits that only one of two reaches: their deltas lead from one to the other."""
        sides: dict[str, set[str]] = {before: {before}}
        sides.setdefault(after, set()).add(after)
        read: set[str] = set()
        steps = 0
        while unread := [i for i in sides.keys() - read if len(sides[i]) < 2 and before != after]:
            steps += 1
            self._commits_after(unread, steps)
            read.update(unread)
            changed = unread
            while changed:
                found = {(p, side) for i in changed for p in self._commits[i].commit.parents for side in sides[i]}
                news = [(p, side) for p, side in found if side not in sides.setdefault(p, set())]
                for parent, side in news:
                    sides[parent].add(side)
                changed = [parent for parent, _ in news if parent in read]

    def _commits_after(self, ids: Iterable[str], steps: int) -> Mapping[str, PortableCommit]:
        """Commits that were found step by step. From some length of the way on, all commits are read with them."""
        return self.commits({*ids, *(self.documents.commit_ids() if steps == _FEW_STEPS else ())})

    def _rows(self, portable: PortableCommit) -> list[TreeRow]:
        self._subtrees.update(self.documents.trees(set(portable.subtrees) - self._subtrees.keys()))
        return sorted((row for i in portable.subtrees for row in self._subtrees[i]), key=lambda row: row[IDENTITY])


@dataclass(frozen=True)
class _Lookup:
    """What the grammar of references asks a store. It has no HEAD and no reflog, which belong to a clone."""

    repository: StoredRepository

    def head(self) -> str | None:
        """Raises EpochReferenceError: nothing is checked out at a store."""
        branch = self.repository.header.default_branch
        raise EpochReferenceError("a store has no HEAD", f"name a branch, such as {branch}", name="HEAD")

    def named(self, names: Collection[str] | None) -> Mapping[str, str]:
        """The commit of each branch and tag that has one of these names (None: of all), by its full name."""
        if names is None:
            listing = self.repository.references()
            kinds = ((BRANCHES, listing.heads), (TAGS, listing.tags))
            return {folder + name: one.ref.commit_id for folder, found in kinds for name, one in found.items()}
        paths = [(folder, path(name)) for name in names for folder, path in ((BRANCHES, head_path), (TAGS, tag_path))]
        read = ((folder, read_reference(self.repository.store, path)) for folder, path in paths)
        return {folder + one.ref.name: one.ref.commit_id for folder, one in read if one and one.ref.commit_id}

    def commits_with_prefix(self, prefix: str) -> Sequence[str]:
        """The commits whose ids begin with ``prefix``. A list is read for an abbreviation only."""
        if len(prefix) == 64:
            there = self.repository.store.size(commit_path(prefix)) is not None
            return [prefix] if there else []
        return [i for i in self.repository.documents.commit_ids() if i.startswith(prefix)]

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit."""
        return self.repository.commit(commit).commit.parents

    def reflog(self, ref: str) -> Sequence[tuple[datetime, str]]:
        """None: a store does not tell how its references moved."""
        return ()
