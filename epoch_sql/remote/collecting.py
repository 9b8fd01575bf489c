"""Removes from a store what none of its references and reviews reaches.

It reads the documents of everything that is reachable, and removes the rest only after two runs: the first one notes
it, and a later one, after the grace period, removes what is noted and still unreachable (see ``garbage``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, now
from epoch_sql.catalog.relation import interval
from epoch_sql.errors import EpochRemoteError, EpochStorageError
from epoch_sql.model.documents import read_commit
from epoch_sql.model.remote import PortableCommit, damaged
from epoch_sql.remote.connecting import (
    COMMITS,
    REVIEWS,
    base_path,
    commit_path,
    connect,
    manifest_path,
    schema_path,
    subtree_path,
)
from epoch_sql.remote.documents import Documents
from epoch_sql.remote.garbage import MOST, Note, StoreRemoved, plain, read_note, write_note
from epoch_sql.remote.references import read_references
from epoch_sql.remote.sending import KIND, VERSION
from epoch_sql.storage.remote.base import RemoteStore, file_path
from epoch_sql.storage.remote.parallel import in_parallel

GRACE = timedelta(days=14)
SHORTEST = timedelta(hours=1)
"""A push has to end within the grace period."""
_BATCH = 1000
_KINDS = {
    "commits": "commit",
    "trees": "tree",
    "versions": "version",
    "levels": "level",
    "schemas": "schema",
    "objects": "file",
}
"""What can be garbage, by its folder, in the order of removal: what names something else comes before that."""
_NAME = re.compile(r"[0-9a-f]{64}\.json(\.\d+)?|([0-9a-f]{2})/\2[0-9a-f]{62}\.[a-z]+")


def collect(call: Call, remote: str, dry_run: bool, grace: str | None) -> list[StoreRemoved]:
    """Note what nothing reaches at a remote, and remove what was noted before the grace period.

    Raises EpochRemoteError for a grace that is too short, and while another gc removes something there, and
    EpochStorageError for a damaged document that is reachable.
    """
    period = GRACE if grace is None else interval(call.cursor, grace, Suggestion("remote_gc", remote, grace="14 days"))
    if period < SHORTEST:
        raise EpochRemoteError(
            f"the grace period {grace!r} is too short: a push that takes longer would lose what it sent",
            Suggestion("remote_gc", remote, grace="1 day"),
            remote=remote,
        )
    store = connect(call, remote).store
    note = read_note(store)
    if note.is_removing and not dry_run:
        raise EpochRemoteError(f"another gc is removing garbage from {store.where}", "try again in an hour")
    until = now() - period
    due = any(since <= until for since in note.paths.values())
    if due and not dry_run:
        # From here on, no push can take anything off the note. One that did so before moved a reference that is read
        # below, or moves it while what it needs is not noted.
        note = _written(store, replace(note, removing=now()))
    try:
        sizes, dead = _unreachable(store)
        noted = {path: note.paths.get(path, now()) for path in dead}
        gone = [path for path, since in noted.items() if since <= until]
        if not dry_run:
            note = _remove(store, note, gone)
    except BaseException:
        if due and not dry_run:
            write_note(store, replace(note, removing=None))
        raise
    left = [path for path in dead if noted[path] > until][:MOST]
    if not dry_run and (left or note.paths):
        _written(store, Note(note.token, {path: noted[path] for path in left}))
    return [
        StoreRemoved(_kind(path), path, sizes[path], status, noted[path])
        for status, paths in (("removed", gone), ("noted", left))
        for path in paths
    ]


def _remove(store: RemoteStore, note: Note, paths: Sequence[str]) -> Note:
    """Remove noted paths, what names others first. Each batch renews the note, so that no other gc takes over."""
    for start in range(0, len(paths), _BATCH):
        if start:
            note = _written(store, replace(note, removing=now()))
        for _, batch in groupby(paths[start : start + _BATCH], key=_kind):
            in_parallel(store.remove, batch)
    return note


def _written(store: RemoteStore, note: Note) -> Note:
    written = write_note(store, note)
    if written is None:
        raise EpochRemoteError(f"a push or another gc came before at {store.where}", "retry")
    return written


def _kind(path: str) -> str:
    return _KINDS[path.partition("/")[0]]


def _unreachable(store: RemoteStore) -> tuple[Mapping[str, int], list[str]]:
    """The sizes of everything in a store, and the paths that nothing reaches, in the order of removal.

    The list is read before the references, so what a push sends meanwhile is not in it, or is reached by one.
    """
    there: dict[str, int] = {}
    for folder in _KINDS:
        there.update(store.sizes(folder))
    there = {path: size for path, size in there.items() if _NAME.fullmatch(path.partition("/")[2])}
    reviews = {path.split("/")[2] for path in store.paths(REVIEWS) if path.count("/") == 3}
    marks = _Marks(Documents(store), there)
    marks.mark(read_references(store).tips)
    # A reviewed commit may never have been pushed as a whole. What of it can be read is kept.
    with suppress(EpochStorageError):
        _Marks(marks.documents, there, marks.paths, strict=False).mark(reviews)
    return there, [path for path in there if not marks.keeps(path)]


@dataclass
class _Marks:
    """The paths that are reachable. If not ``strict``, what is missing is left out."""

    documents: Documents
    there: Mapping[str, int]
    paths: set[str] = field(default_factory=set)
    strict: bool = True

    def keeps(self, path: str) -> bool:
        """Whether a path is reachable. Earlier values of a layout are kept with the present one."""
        return plain(path) in self.paths

    def mark(self, tips: Iterable[str]) -> None:
        """Mark some commits, their ancestors, and all that they name."""
        commits = self._commits(set(tips))
        trees = self.documents.trees(self._fresh(subtree_path, {i for c in commits for i in c.subtrees}))
        contents = {str(row[VERSION]) for rows in trees.values() for row in rows if row[KIND] == "table"}
        versions = self.documents.versions(self._fresh(manifest_path, contents)).values()
        bases = self.documents.bases(self._fresh(base_path, {v.layout.base for v in versions})).values()
        deltas = [level for c in commits for level in c.deltas] + [d for v in versions for d in v.layout.deltas]
        files = [file for level in (*bases, *deltas) for file in level.files]
        self._fresh(file_path, {file.file_id for file in files})
        schemas = {v.version.schema_id for v in versions}
        self._fresh(schema_path, schemas | {i for f in files for i in (f.schema_id, f.old_schema_id) if i})

    def _commits(self, tips: set[str]) -> list[PortableCommit]:
        # One after the other, a long history would take as many round trips.
        wanted = [path for path in self.there if _kind(path) == _KINDS[COMMITS] and path not in self.paths]
        data = dict(zip(wanted, in_parallel(self.documents.store.read, wanted), strict=True))
        found: list[PortableCommit] = []
        pending = tips
        while pending:
            fresh = self._fresh(commit_path, pending)
            pending = set()
            for commit_id in fresh:
                path = commit_path(commit_id)
                where = self.documents.where(path)
                read = data[path]
                if read is None:
                    raise damaged(where, "is missing")
                found.append(read_commit(read, commit_id, where))
                pending.update(found[-1].commit.parents)
        return found

    def _fresh(self, path_of: Callable[[str], str], ids: Iterable[str]) -> list[str]:
        """Mark these, and give those that were not marked yet. Raises EpochStorageError for one that is missing."""
        fresh = [i for i in sorted(ids) if path_of(i) not in self.paths]
        for i in fresh:
            if path_of(i) not in self.there and self.strict:
                raise damaged(self.documents.where(path_of(i)), "is missing")
        self.paths.update(path_of(i) for i in fresh)
        return [i for i in fresh if path_of(i) in self.there]
