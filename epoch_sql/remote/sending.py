"""Local trees in the form of a remote, which names versions by their contents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.content import Levels, Roots, Schemas, Trees, Versions, subtree_identity
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Commit, DataFile
from epoch_sql.model.documents import read_version
from epoch_sql.model.layouts import base_id, base_text, stored_version, version_fields
from epoch_sql.model.remote import (
    Manifest,
    PortableCommit,
    PortableLevel,
    TreeRow,
    commit_fields,
    content_of,
    seal,
    tree_text,
)
from epoch_sql.remote.connecting import (
    base_path,
    commit_path,
    manifest_path,
    schema_path,
    subtree_path,
)
from epoch_sql.remote.documents import Documents
from epoch_sql.remote.garbage import Note, keep
from epoch_sql.storage.remote.base import RemoteStore, Stored, file_path
from epoch_sql.storage.remote.parallel import in_parallel

Row = TreeRow
"""A row of ``epoch.trees`` without its id. At a remote it names a content, and locally a version."""

KIND, IDENTITY, VERSION = 0, 1, 4


@dataclass(frozen=True)
class LocalTrees:
    """Trees by their roots: the subtrees of each, the rows of each subtree, and their ids at a remote.

    ``contents`` are the contents of the versions in the rows. ``portable`` are the ids of the subtrees at a remote.
    """

    roots: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, list[Row]]
    contents: Mapping[str, str]
    portable: Mapping[str, str]

    def portable_rows(self, subtree_id: str) -> list[Row]:
        """The rows of a subtree in the form of a remote."""
        return [with_version(row, self.contents.get(row[VERSION])) for row in self.rows[subtree_id]]


def local_trees(cursor: duckdb.DuckDBPyConnection, root_ids: Iterable[str]) -> LocalTrees:
    """The trees of some roots. Empty without a repository."""
    wanted = sorted(set(root_ids))
    if not wanted:
        return LocalTrees({}, {}, {}, {})
    roots = {root_id: tuple(ids) for root_id, ids in Roots(cursor).with_ids(wanted)}
    rows: dict[str, list[Row]] = {}
    for subtree_id, *row in Trees(cursor).with_ids(i for ids in roots.values() for i in ids):
        rows.setdefault(subtree_id, []).append(tuple(row))
    named = {row[VERSION] for group in rows.values() for row in group if row[KIND] == "table"}
    contents = {i: content_of(version) for i, version in Versions(cursor).load(named).items()}
    portable = {
        i: subtree_identity([with_version(row, contents.get(row[VERSION])) for row in group])
        for i, group in rows.items()
    }
    return LocalTrees(roots, rows, contents, portable)


def versions_of(cursor: duckdb.DuckDBPyConnection, table_ids: Iterable[str]) -> dict[str, list[str]]:
    """The local versions of these tables by content, the preferred one first."""
    found: dict[str, list[str]] = {}
    statement = render.load("remote.content_ids")
    for content_id, version_id in run(cursor, statement, [sorted(set(table_ids))]).fetchall():
        found.setdefault(content_id, []).append(version_id)
    return found


def with_version(row: Row, version: str | None) -> Row:
    """The row with another version."""
    return (*row[:VERSION], version, *row[VERSION + 1 :])


# It sends no file of a version that the remote has in any layout. Nothing that the remote had before refers to what is
# sent. So a push that dies has changed nothing, and the next one continues from there.


@dataclass
class Sent:
    """The number of Parquet files that were sent, and their bytes."""

    objects: int = 0
    bytes: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.objects + other.objects, self.bytes + other.bytes)


@dataclass
class _Load:
    """What is sent for some commits. ``versions`` has, for each content, the version of the oldest commit with it."""

    commits: list[PortableCommit] = field(default_factory=list)
    subtrees: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def send(
    call: Call, store: RemoteStore, tips: Iterable[str], common: Iterable[str], garbage: Note | None = None
) -> Sent:
    """Send what some commits and their ancestors need, without what the remote has with the ``common`` commits, and
    take it off the note of its ``garbage``.

    Raises EpochStorageError for a missing or damaged local file.
    """
    graph = call.graph()
    missing = graph.topological(graph.difference(tips, common))[::-1]
    if not missing:
        return Sent()
    load = _load(call, missing)
    contents = list(load.versions)
    noted = _kept(call, store, garbage, load) if garbage and garbage.paths else set()
    there = in_parallel(lambda content_id: store.size(manifest_path(content_id)), contents)
    lacking = [i for i, size in zip(contents, there, strict=True) if size is None or manifest_path(i) in noted]
    manifests = _manifests(call, {content_id: load.versions[content_id] for content_id in lacking})
    files = _files(manifests.values(), load.commits)
    sent = _send_files(call, store, files)
    _send_definitions(call.cursor, store, manifests.values(), files)
    _send_bases(store, manifests.values())
    _put_versions(store, manifests)
    store.put_every_new({subtree_path(i): text for i, text in load.subtrees.items()})
    store.put_every_new({commit_path(c.commit.commit_id): seal(commit_fields(c)) for c in load.commits})
    return sent


def _load(call: Call, missing: Sequence[str]) -> _Load:
    """The commits, oldest first, with what is new in each against its parents."""
    commits = call.commits.load(missing)
    edge = call.commits.load({p for c in commits.values() for p in c.parents} - commits.keys())
    known = {**commits, **edge}
    trees = local_trees(call.cursor, [c.root_id for c in known.values()])
    old = {trees.portable[i] for c in edge.values() for i in trees.roots[c.root_id]}
    deltas = _deltas(call.cursor, [commits[i] for i in missing], known, trees)
    load = _Load()
    for commit_id in missing:
        commit = commits[commit_id]
        for subtree_id in trees.roots[commit.root_id]:
            portable = trees.portable[subtree_id]
            if portable not in old and portable not in load.subtrees:
                load.subtrees[portable] = tree_text(trees.portable_rows(subtree_id)).encode()
                for row in trees.rows[subtree_id]:
                    if row[KIND] == "table":
                        load.versions.setdefault(trees.contents[row[VERSION]], row[VERSION])
        subtrees = tuple(sorted(trees.portable[i] for i in trees.roots[commit.root_id]))
        load.commits.append(PortableCommit(commit, subtrees, tuple(deltas[commit_id])))
    for subtree_id in {i for c in edge.values() for i in trees.roots[c.root_id]}:
        for row in trees.rows[subtree_id]:
            load.versions.pop(trees.contents.get(row[VERSION], ""), None)
    return load


def _deltas(
    cursor: duckdb.DuckDBPyConnection, missing: Sequence[Commit], commits: dict[str, Commit], trees: LocalTrees
) -> dict[str, list[PortableLevel]]:
    """For each commit, the deltas from its parents, one for each table and parent. They hold its history."""
    steps: dict[str, set[tuple[str, str]]] = {commit.commit_id: set() for commit in missing}
    tables = set()
    for commit in missing:
        for parent in commit.parents:
            for table_id, before, after in _changed(trees, commits[parent].root_id, commit.root_id):
                steps[commit.commit_id].add((before, after))
                tables.add(table_id)
    edges = _edges(cursor, tables, set().union(*steps.values()))
    return {commit_id: [edges[step] for step in sorted(wanted) if step in edges] for commit_id, wanted in steps.items()}


def _changed(trees: LocalTrees, before: str, after: str) -> Iterable[tuple[str, str, str]]:
    """The tables with different contents under two roots: (table, content before, content after)."""
    old, new = (
        {
            row[IDENTITY]: trees.contents[row[VERSION]]
            for i in trees.roots[one]
            if i not in trees.roots[other]
            for row in trees.rows[i]
            if row[KIND] == "table"
        }
        for one, other in ((before, after), (after, before))
    )
    return [(i, old[i], new[i]) for i in old.keys() & new.keys() if old[i] != new[i]]


def _edges(
    cursor: duckdb.DuckDBPyConnection, tables: set[str], steps: set[tuple[str, str]]
) -> dict[tuple[str, str], PortableLevel]:
    """The shortest delta of each step from one content to another, between any layouts."""
    by_content = versions_of(cursor, tables)
    content = {version_id: i for i, versions in by_content.items() for version_id in versions}
    ends = [[v for step in steps for v in by_content.get(step[end], ())] for end in (0, 1)]
    found: dict[tuple[str, str], PortableLevel] = {}
    for level in sorted(Levels(cursor).between(*ends), key=lambda level: (level.row_count, level.level_id)):
        assert level.from_version and level.to_version
        step = content[level.from_version], content[level.to_version]
        if step in steps:
            found.setdefault(step, PortableLevel("delta", level.files, level.rows, *step))
    return found


def _manifests(call: Call, version_ids: Mapping[str, str]) -> dict[str, Manifest]:
    """The manifests of the local versions of some contents, by content, with as few queries for many as for one."""
    versions = Versions(call.cursor).load(version_ids.values())
    level_ids = {i for version in versions.values() for i in version.level_ids}
    levels = Levels(call.cursor, call.memory.rows).load(level_ids)
    ends = {end for level in levels.values() for end in (level.from_version, level.to_version) if end}
    kept = {i: content_of(version) for i, version in Versions(call.cursor).load(ends).items()}
    portable = {
        i: PortableLevel(
            level.kind,
            level.files,
            level.rows,
            kept.get(level.from_version or ""),
            kept.get(level.to_version or ""),
        )
        for i, level in levels.items()
    }
    return {
        content_id: Manifest(versions[i], tuple(portable[level_id] for level_id in versions[i].level_ids))
        for content_id, i in version_ids.items()
    }


def _files(manifests: Iterable[Manifest], commits: Iterable[PortableCommit]) -> dict[str, DataFile]:
    levels = [level for manifest in manifests for level in manifest.levels]
    levels += [delta for commit in commits for delta in commit.deltas]
    return {file.file_id: file for level in levels for file in level.files}


def _send_files(call: Call, store: RemoteStore, files: dict[str, DataFile]) -> Sent:
    sizes = in_parallel(lambda file_id: store.size(file_path(file_id)), files)
    lacking = [file for file, size in zip(files.values(), sizes, strict=True) if size != file.bytes]
    call.progress.begin(sum(file.bytes for file in lacking))

    def verified(file: DataFile) -> Path:
        path = call.store.path(file.file_id)
        problem = call.store.verify(file)
        if problem:
            message = f"file {path} {problem}, so it cannot be pushed"
            raise EpochStorageError(message, Suggestion("fsck"), path=str(path))
        return path

    bytes_of = {file_path(file.file_id): file.bytes for file in lacking}
    sources = {file_path(file.file_id): partial(verified, file) for file in lacking}
    store.upload_every(sources, lambda path: call.progress.add(bytes_of[path]))
    return Sent(len(lacking), sum(file.bytes for file in lacking))


def _kept(call: Call, store: RemoteStore, garbage: Note, load: _Load) -> set[str]:
    """Take all that a load needs off the note of the remote's garbage, and give what was on it."""
    manifests = _manifests(call, load.versions)
    paths = {commit_path(c.commit.commit_id) for c in load.commits} | {*map(subtree_path, load.subtrees)}
    paths |= _paths(manifests, load.commits)
    # What a document off the note names has to be off it too, whatever becomes of this push.
    documents = Documents(store)
    for content_id in manifests:
        if manifest_path(content_id) in garbage.paths:
            with suppress(EpochStorageError):
                paths |= _paths(documents.manifests([content_id]), ())
    return keep(store, garbage, paths)


def _paths(manifests: Mapping[str, Manifest], commits: Iterable[PortableCommit]) -> set[str]:
    """What versions and the deltas of commits need at a remote."""
    files = _files(manifests.values(), commits)
    return {
        *map(manifest_path, manifests),
        *(base_path(base_id(manifest.levels[0].files)) for manifest in manifests.values()),
        *map(file_path, files),
        *map(schema_path, _schema_ids(manifests.values(), files)),
    }


def _put_versions(store: RemoteStore, manifests: Mapping[str, Manifest]) -> None:
    """Send how versions are stored. One that was garbage may have another layout, with files that are gone."""
    documents = {manifest_path(i): _version_document(manifest) for i, manifest in manifests.items()}

    def replace(path: str) -> None:
        found = store.read_current(path)
        if found:
            store.swap_current(path, found.token, documents[path])

    in_parallel(replace, store.put_every_new(documents))


def send_layouts(call: Call, store: RemoteStore, commit_id: str, garbage: Note) -> Sent:
    """Have the remote store the tables of a commit that it has as they are stored here, if that is no more levels.

    Whoever reads a table there meanwhile reads the files of the old layout, which stay. Of two that replace one layout
    at once, one does.
    """
    root_id = call.commits.get(commit_id).root_id
    trees = local_trees(call.cursor, [root_id])
    manifests = _manifests(call, {content_id: version_id for version_id, content_id in trees.contents.items()})
    there = dict(zip(manifests, in_parallel(lambda i: store.read_current(manifest_path(i)), manifests), strict=True))
    better = {i: manifests[i] for i, found in there.items() if found and _is_better(store, manifests[i], found)}
    if garbage.paths:
        keep(store, garbage, _paths(better, ()))
    files = _files(better.values(), ())
    sent = _send_files(call, store, files)
    _send_definitions(call.cursor, store, better.values(), files)
    _send_bases(store, better.values())

    def replace(content_id: str) -> None:
        found = there[content_id]
        assert found
        store.swap_current(manifest_path(content_id), found.token, _version_document(better[content_id]))

    in_parallel(replace, better)
    return sent


def _is_better(store: RemoteStore, manifest: Manifest, found: Stored) -> bool:
    """Whether a layout differs from the stored one, and has no more levels."""
    path = manifest_path(content_of(manifest.version))
    stored = read_version(found.data, content_of(manifest.version), f"{store.where}/{path}")
    own = stored_version(manifest).layout
    return own != stored.layout and len(own.deltas) <= len(stored.layout.deltas)


def _send_bases(store: RemoteStore, manifests: Iterable[Manifest]) -> None:
    """Send the base levels that the remote lacks. Most versions have that of the one before."""
    files = {manifest.levels[0].files for manifest in manifests}
    bases = {base_id(one): one for one in files}

    def put(document_id: str) -> None:
        path = base_path(document_id)
        if store.size(path) is None:
            store.put_new(path, base_text(bases[document_id]).encode())

    in_parallel(put, bases)


def _version_document(manifest: Manifest) -> bytes:
    return seal(version_fields(stored_version(manifest)))


def _send_definitions(
    cursor: duckdb.DuckDBPyConnection, store: RemoteStore, manifests: Iterable[Manifest], files: dict[str, DataFile]
) -> None:
    texts = dict(Schemas(cursor).with_ids(_schema_ids(manifests, files)))
    store.put_every_new({schema_path(i): text.encode() for i, text in texts.items()})


def _schema_ids(manifests: Iterable[Manifest], files: Mapping[str, DataFile]) -> set[str]:
    ids = {manifest.version.schema_id for manifest in manifests}
    return ids | {i for file in files.values() for i in (file.schema_id, file.old_schema_id) if i}
