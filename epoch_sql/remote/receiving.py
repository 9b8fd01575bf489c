"""Reads commits and all that they need from a remote, and verifies each, before anything local changes.

Files go to ``.epoch/objects``. Nothing refers to them before the catalog does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.content import Schemas, Versions
from epoch_sql.catalog.local import Withheld
from epoch_sql.errors import EpochRemoteError, EpochStorageError
from epoch_sql.model.commit import DERIVED, DataFile, Version
from epoch_sql.model.remote import Manifest, PortableCommit, Remote, damaged
from epoch_sql.model.schema import Table
from epoch_sql.remote.binding import bind_tables
from epoch_sql.remote.connecting import commit_path
from epoch_sql.remote.documents import Documents, parents_first
from epoch_sql.remote.proving import prove, with_one_description
from epoch_sql.remote.reference_proof import Trees, prove_constraints
from epoch_sql.remote.row_proof import RowProof, Stated
from epoch_sql.remote.sending import (
    IDENTITY,
    KIND,
    VERSION,
    LocalTrees,
    Row,
    local_trees,
    versions_of,
)
from epoch_sql.storage.remote.base import RemoteStore, file_path
from epoch_sql.storage.remote.parallel import FILES_AT_ONCE, in_parallel


@dataclass
class Received:
    """What was read: commits with parents first, and by id everything else that was not local yet.

    The files of a bare clone are only ``promised``.
    """

    commits: list[PortableCommit] = field(default_factory=list)
    subtrees: Mapping[str, list[Row]] = field(default_factory=dict)
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    definitions: Mapping[str, Table] = field(default_factory=dict)
    files: Mapping[str, DataFile] = field(default_factory=dict)
    withheld: list[Withheld] = field(default_factory=list)
    promised: bool = False
    objects: int = 0
    bytes: int = 0


def receive(call: Call, store: RemoteStore, remote: Remote, tips: Iterable[str], promised: bool = False) -> Received:
    """Read some commits, their ancestors that are not local, and what they need. Stores the files.

    Files that are ``promised`` stay where they are, and nothing is read of them: then the documents alone are proved.

    Raises EpochStorageError for missing or damaged files, and EpochRemoteError for an unrelated history, and for a
    definition that is not what it claims to be.
    """
    reader = _Reader(call, Documents(store))
    commits = reader.commits(tips)
    if not commits:
        return Received()
    edge = reader.edge(commits)
    subtrees = reader.subtrees(commits, edge)
    manifests = reader.manifests(subtrees)
    definitions = reader.definitions(manifests.values(), _files(manifests.values(), commits))
    objects = [row for rows in subtrees.values() for row in rows if row[KIND] not in ("table", DERIVED)]
    withheld = prove(call, store.where, objects, definitions.values(), remote)
    trees = Trees(commits, subtrees, edge)
    known = {one.definition_id for one in withheld} | reader.withheld()
    # One version of each new definition.
    new = {m.version.schema_id: i for i, m in manifests.items() if m.version.schema_id in definitions}
    bind_tables(store.where, trees, reader.table_of(manifests, definitions, edge), set(new.values()), known)
    commits, manifests = with_one_description(call, store.where, commits, manifests, definitions)
    files = {file.file_id: file for file in _files(manifests.values(), commits)}
    stated = Stated(store.where, commits, manifests, definitions)
    proof = RowProof(call, stated, reader.versions_here(commits, manifests))
    if promised:
        proof.require_documents()
        return Received(commits, subtrees, manifests, definitions, files, withheld, promised)
    fetched = reader.files(files.values())
    proof.run()
    prove_constraints(call.cursor, proof, Trees(commits, subtrees, edge), withheld)
    size = sum(file.bytes for file in fetched)
    return Received(commits, subtrees, manifests, definitions, files, withheld, False, len(fetched), size)


@dataclass
class _Reader:
    call: Call
    documents: Documents

    def commits(self, tips: Iterable[str]) -> list[PortableCommit]:
        """The commits that are not local, parents first. Requests them generation by generation."""
        read: dict[str, PortableCommit] = {}
        if not self.call.exists:
            # A clone needs all of them. What it does not need may be damaged, or removed by a gc meanwhile.
            with suppress(EpochStorageError):
                read.update(self.documents.commits(self.documents.commit_ids()))
        found: dict[str, PortableCommit] = {}
        pending = self._lacking(set(tips))
        while pending:
            read.update(self.documents.commits(set(pending) - read.keys()))
            found.update((i, read[i]) for i in pending)
            pending = self._lacking({p for i in pending for p in found[i].commit.parents} - found.keys())
        return self._sound(parents_first(found))

    def edge(self, commits: Iterable[PortableCommit]) -> LocalTrees:
        """The trees of the commits here that these are made on."""
        own = {c.commit.commit_id for c in commits}
        parents = self._local_commits({p for c in commits for p in c.commit.parents} - own)
        return local_trees(self.call.cursor, parents.values())

    def subtrees(self, commits: Iterable[PortableCommit], edge: LocalTrees) -> dict[str, list[Row]]:
        """The subtrees of these commits, but for those that the trees have that they are made on."""
        there = set(edge.portable.values())
        return self.documents.trees({i for c in commits for i in c.subtrees} - there)

    def manifests(self, subtrees: Mapping[str, list[Row]]) -> dict[str, Manifest]:
        """The manifests of versions in subtrees that have no local layout."""
        named = {row[VERSION]: row[IDENTITY] for rows in subtrees.values() for row in rows if row[KIND] == "table"}
        here = versions_of(self.call.cursor, named.values()) if self.call.exists else {}
        return self.documents.manifests(named.keys() - here.keys())

    def versions_here(self, commits: Iterable[PortableCommit], manifests: Mapping[str, Manifest]) -> dict[str, Version]:
        """The local versions, by content, that deltas lead from or to."""
        levels = [
            *(delta for c in commits for delta in c.deltas),
            *(level for m in manifests.values() for level in m.levels),
        ]
        ends = {end for level in levels for end in (level.before, level.after) if end} - manifests.keys()
        if not ends or not self.call.exists:
            return {}
        found = versions_of(self.call.cursor, Versions(self.call.cursor).table_ids())
        first = {i: ids[0] for i, ids in found.items() if i in ends}
        versions = Versions(self.call.cursor).load(first.values())
        return {i: versions[version_id] for i, version_id in first.items()}

    def definitions(self, manifests: Iterable[Manifest], files: Iterable[DataFile]) -> dict[str, Table]:
        """The definitions of tables that these need and that are not local."""
        ids = {manifest.version.schema_id for manifest in manifests}
        ids |= {i for file in files for i in (file.schema_id, file.old_schema_id) if i}
        here = {row[0] for row in Schemas(self.call.cursor).with_ids(ids)} if self.call.exists else set()
        return self.documents.definitions(ids - here)

    def table_of(
        self, manifests: Mapping[str, Manifest], definitions: Mapping[str, Table], edge: LocalTrees
    ) -> Callable[[str], Table | None]:
        """The definition of a content that was received, or is in a tree here."""
        here = {content_id: version_id for version_id, content_id in edge.contents.items()}
        contents = self.call.contents

        def table(content_id: str) -> Table | None:
            manifest = manifests.get(content_id)
            if manifest is None:
                return contents.table(here[content_id]) if content_id in here else None
            schema_id = manifest.version.schema_id
            return definitions[schema_id] if schema_id in definitions else contents.schema(schema_id)

        return table

    def withheld(self) -> set[str]:
        """The ids of definitions here that are only data."""
        return set(self.call.scanner.trust.held()) if self.call.exists else set()

    def files(self, files: Iterable[DataFile]) -> list[DataFile]:
        """Store the files that are not local, and give those that were."""
        wanted = [file for file in files if self.call.store.check(file)]
        self.call.progress.begin(sum(file.bytes for file in wanted))
        in_parallel(self._fetch, wanted, FILES_AT_ONCE)
        return wanted

    def _lacking(self, commit_ids: set[str]) -> list[str]:
        return sorted(commit_ids - self._local_commits(commit_ids).keys())

    def _local_commits(self, commit_ids: set[str]) -> dict[str, str]:
        """The local ones among the commits, with their roots."""
        if not self.call.exists or not commit_ids:
            return {}
        return {i: commit.root_id for i, commit in self.call.commits.load(commit_ids).items()}

    def _sound(self, commits: list[PortableCommit]) -> list[PortableCommit]:
        """The commits. Each is related to the local history, and undoes only commits that it descends from."""
        seen: set[str] = set()
        for portable in commits:
            commit = portable.commit
            if not commit.parents and self.call.exists:
                raise EpochRemoteError(
                    f"{self.documents.store.where} has a history that is unrelated to this repository's "
                    f"(it begins with {commit.commit_id[:7]})",
                    (Suggestion("clone", "URL"), ", for a repository of its own"),
                )
            undone = set(commit.origin.undone) - seen
            if self._lacking(undone):
                raise damaged(
                    self.documents.where(commit_path(commit.commit_id)), "undoes a commit that is not before it"
                )
            seen.add(commit.commit_id)
        return commits

    def _fetch(self, file: DataFile) -> None:
        path = file_path(file.file_id)
        with self.call.store.writing() as aside:
            if not self.documents.store.download(path, aside, file.bytes):
                raise damaged(self.documents.where(path), "is missing")
            if self.call.store.keep(aside, file.file_id) != file.file_id:
                raise damaged(self.documents.where(path), "is corrupted: its content does not match its name")
        self.call.progress.add(file.bytes)


def _files(manifests: Iterable[Manifest], commits: Iterable[PortableCommit]) -> list[DataFile]:
    levels = [level for manifest in manifests for level in manifest.levels]
    levels += [delta for commit in commits for delta in commit.deltas]
    return [file for level in levels for file in level.files]
