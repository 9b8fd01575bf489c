"""``publish``: one read-only DuckDB file for each reference. Also publishes references by itself when they move."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, now
from epoch_sql.catalog.publishing import Published, PublishedFile
from epoch_sql.errors import EpochError, EpochStorageError
from epoch_sql.model.commit import Level
from epoch_sql.model.schema import canonical_json
from epoch_sql.publish.at import names
from epoch_sql.publish.compacting import compact, compacted, store
from epoch_sql.publish.places import Reference, Settings, file_name, references, settings
from epoch_sql.publish.surface import surface
from epoch_sql.publish.writing import put, require_replaceable, state_of, written
from epoch_sql.verb import procedure

_FORM = 2
"""Changes when the same state is published in another form."""


@dataclass(frozen=True)
class PublishResult:
    """A published file: its reference and commit, its path, and what happened to it.

    ``left_out`` is what the file does not have, with the reason.
    """

    ref: str
    commit: str
    path: str
    status: Literal["published", "unchanged", "removed"]
    tables: int
    bytes: int
    left_out: list[str]


@procedure("epoch_publish", queues=False)
def publish(
    call: Call,
    refs: Sequence[str] | None = None,
    path: str | None = None,
    *,
    materialize: bool = False,
    storage_version: str | None = None,
) -> list[PublishResult]:
    """Writes a read-only DuckDB file of each reference, for any DuckDB client, without Python and without a lock.

    The file has the tables, views, macros, types and comments of the commit, and `epoch_at` over every branch, tag and
    recent commit. It replaces the one before at once. Without `refs`, it publishes what `publish.refs` of the
    configuration names, or else the checked-out branch, and removes the files of references that are gone. Raises
    EpochStorageError if the file cannot be written, and EpochReferenceError for an unknown reference.

    Args:
        refs: the references; default: those of the configuration
        path: the folder; default: `published` beside the database
        materialize: write the rows into the file, which then needs no other
        storage_version: the oldest DuckDB that reads the file; default: v1.0.0
    """
    how = settings(call, path, materialize, storage_version)
    with call.memory.publishing:
        gone = [] if refs else list(_remove_gone(call, how))
        return [*(_publish(call, one, how) for one in references(call, refs, how)), *gone]


def publish_moved(call: Call) -> None:
    """Publish the branches and tags that moved in a call and that the settings name.

    Their move stands, whatever happens: what cannot be published is a warning of the call.
    """
    moved = [(kind, name) for kind, name in call.refs.moved if kind in ("branch", "tag")]
    if not moved:
        return
    try:
        how = settings(call)
    except EpochError as error:
        call.warn(f"nothing is published: {error.message}")
        return
    for kind, name in moved:
        if how.matches(name):
            try:
                with call.memory.publishing:
                    _publish_or_remove(call, kind, name, how)
            except (EpochError, duckdb.Error, OSError) as error:
                told = error.message if isinstance(error, EpochError) else str(error).strip().splitlines()[0]
                call.warn(f"{kind} {name} moved, and is not published: {told}; publish {name} again")


def _publish_or_remove(call: Call, kind: str, name: str, how: Settings) -> None:
    ref = call.refs.get(kind, name)
    if ref:
        _publish(call, Reference(kind, name, ref.commit_id), how)
    else:
        for file in _files_of(call, kind, name, how):
            _remove(call, file)


def _publish(call: Call, ref: Reference, how: Settings) -> PublishResult:
    path = how.folder / file_name(ref.name)
    digest = _digest(call, ref, how)
    known = Published(call.cursor).current(str(path))
    found = state_of(path)
    if known and found == (known.bytes, known.modified_ns):
        if known.digest == digest:
            return PublishResult(ref.name, ref.commit_id, str(path), "unchanged", known.tables, known.bytes, [])
    elif found:
        require_replaceable(path)
    levels = _levels(call, ref)
    content = surface(call, ref, levels, how.materialize)
    with written(path, content, how.storage_version, call.folder) as (aside, refused):
        new = state_of(aside)
        assert new
        file = PublishedFile(
            str(path), ref.kind, ref.name, ref.commit_id, digest, *new, content.tables, content.file_ids
        )
        # What a file names is needed before the file is there, and what the one before names until it is not.
        with call.transaction():
            Published(call.cursor).add(file)
        put(aside, path)
        with call.transaction():
            Published(call.cursor).replaced(str(path), now(), digest)
    left_out = [*content.left_out, *refused]
    return PublishResult(ref.name, ref.commit_id, str(path), "published", content.tables, new[0], left_out)


def _levels(call: Call, ref: Reference) -> dict[str, list[Level]]:
    """The base levels of the versions of a commit. Writes those that are not there."""
    entries = {entry.version_id: entry for entry in call.tree(ref.commit_id).tables.values()}
    levels = compacted(call, [*entries])
    made = {i: (entry, compact(call, entry)) for i, entry in entries.items() if i not in levels}
    if made:
        with call.transaction():
            store(call, made)
    return levels | {version_id: [level] for version_id, (_, level) in made.items()}


def _digest(call: Call, ref: Reference, how: Settings) -> str:
    """What tells whether a file would say the same as the one before."""
    commit = call.commits.get(ref.commit_id)
    told = [_FORM, duckdb.__version__, how.storage_version, how.materialize, ref.name, commit.commit_id, commit.root_id]
    if not how.materialize:
        told += [str(call.store.folder), sorted(names(call, ref).items())]
    return hashlib.sha256(canonical_json([*told, sorted(call.scanner.trust.held())]).encode()).hexdigest()


def _remove_gone(call: Call, how: Settings) -> Iterator[PublishResult]:
    """Remove the files of branches and tags that the settings name and that do not exist any more. Forget files that
    somebody else has removed."""
    for file in Published(call.cursor).present():
        kept = file.kind not in ("branch", "tag") or call.refs.get(file.kind, file.ref)
        ours = Path(file.path).parent == how.folder and how.matches(file.ref)
        if ours and not kept and _remove(call, file):
            yield PublishResult(file.ref, file.commit_id, file.path, "removed", file.tables, file.bytes, [])
        elif state_of(Path(file.path)) is None:
            with call.transaction():
                Published(call.cursor).replaced(file.path, now())


def _files_of(call: Call, kind: str, name: str, how: Settings) -> list[PublishedFile]:
    found = Published(call.cursor).current(str(how.folder / file_name(name)))
    return [found] if found and (found.kind, found.ref) == (kind, name) else []


def _remove(call: Call, file: PublishedFile) -> bool:
    """Remove a published file, unless it is another one by now. Says whether it did."""
    path = Path(file.path)
    if state_of(path) != (file.bytes, file.modified_ns):
        return False
    try:
        path.unlink()
    except OSError as error:
        raise EpochStorageError(
            f"{path} cannot be removed: {error.strerror}",
            ("make its folder writable, then ", Suggestion("publish")),
            path=file.path,
        ) from error
    with call.transaction():
        Published(call.cursor).replaced(file.path, now())
    return True
