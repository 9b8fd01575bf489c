"""The references of a remote, and its reviews and protections."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from epoch_sql.call import now
from epoch_sql.model.documents import read_protection as protection_of
from epoch_sql.model.documents import read_ref, read_review
from epoch_sql.model.protection import Protection, Review
from epoch_sql.model.remote import RemoteRef, damaged, encoded, ref_fields, review_fields, seal
from epoch_sql.remote.connecting import (
    HEADS,
    REVIEWS,
    TAGS,
    protection_path,
    review_path,
)
from epoch_sql.storage.remote.base import RemoteStore, Token
from epoch_sql.storage.remote.parallel import in_parallel


@dataclass(frozen=True)
class StoredRef:
    """A reference at a remote, and the token for moving it."""

    ref: RemoteRef
    token: Token


@dataclass(frozen=True)
class Listing:
    """The branches and tags of a remote by name. ``deleted`` are the tokens of deleted ones, by folder and name."""

    heads: Mapping[str, StoredRef]
    tags: Mapping[str, StoredRef]
    deleted: Mapping[tuple[str, str], Token] = field(default_factory=dict)

    @property
    def tips(self) -> set[str]:
        """The commits of the branches and tags."""
        return {stored.ref.commit_id for kind in (self.heads, self.tags) for stored in kind.values()}


@dataclass(frozen=True)
class Guard:
    """The protection of a branch at a remote, and the token for changing it (None: it was never set)."""

    protection: Protection
    token: Token | None = None


def read_references(store: RemoteStore) -> Listing:
    """Every branch and tag of a remote."""
    paths = [(folder, path) for folder in (HEADS, TAGS) for path in store.references(folder)]
    read = in_parallel(lambda path: read_reference(store, path[1]), paths)
    stored = [(folder, one) for (folder, _), one in zip(paths, read, strict=True) if one]
    present = [(folder, one) for folder, one in stored if one.ref.commit_id]
    heads, tags = ({one.ref.name: one for folder, one in present if folder == kind} for kind in (HEADS, TAGS))
    deleted = {(folder, one.ref.name): one.token for folder, one in stored if not one.ref.commit_id}
    return Listing(heads, tags, deleted)


def read_reference(store: RemoteStore, path: str) -> StoredRef | None:
    """The branch or tag at a path (a deleted one has no commit), or None if it was never there."""
    stored = store.read_reference(path)
    if stored is None:
        return None
    where = f"{store.where}/{path}"
    ref = read_ref(stored.data, where)
    if path.rpartition("/")[2] != encoded(ref.name):
        raise damaged(where, f"does not say what it should: name is another than its path says, {ref.name}")
    return StoredRef(ref, stored.token)


def moved_ref(
    name: str, commit_id: str, author: str | None, at: datetime, message: str | None, previous: str | None
) -> RemoteRef:
    """A reference that is created or moved at a remote."""
    return RemoteRef(name, commit_id, author, at, message, previous, uuid.uuid4().hex)


def deleted_ref(name: str, author: str, at: datetime, previous: str) -> RemoteRef:
    """A reference that is deleted at a remote. Nothing is ever removed from a store, so this is a value, too."""
    return moved_ref(name, "", author, at, None, previous)


def write_reference(store: RemoteStore, path: str, token: Token | None, ref: RemoteRef) -> bool:
    """Move a reference, or create it (no token). False if somebody was faster."""
    return store.swap(path, token, seal(ref_fields(ref)))


def read_protection(store: RemoteStore, branch: str) -> Guard:
    """The protection of a branch at a remote."""
    path = protection_path(branch)
    stored = store.read_reference(path)
    if stored is None:
        return Guard(Protection(branch))
    return Guard(protection_of(stored.data, branch, f"{store.where}/{path}"), stored.token)


def write_protection(store: RemoteStore, guard: Guard, protection: Protection, author: str) -> bool:
    """Set the protection of a branch at a remote. False if somebody was faster."""
    at = now().isoformat(timespec="microseconds")
    fields = {"protection": vars(protection), "author": author, "changed_at": at, "change_id": uuid.uuid4().hex}
    return store.swap(protection_path(protection.branch), guard.token, seal(fields))


def read_reviews(store: RemoteStore, local: Iterable[str], target: str | None = None) -> list[Review]:
    """The reviews of a remote, of one target or of all, without the ``local`` ones."""
    local = set(local)
    folder = f"{REVIEWS}/{encoded(target)}" if target else REVIEWS
    paths = [path for path in store.paths(folder) if path.rpartition("/")[2].removesuffix(".json") not in local]
    return in_parallel(lambda path: _review(store, path), paths)


def write_reviews(store: RemoteStore, reviews: Iterable[Review]) -> None:
    """Store the reviews that a remote lacks. Reviews never change."""
    wanted = {review_path(r.target, r.source_commit, r.review_id): r for r in reviews}
    there = set(store.paths(REVIEWS)) if wanted else set()
    store.put_every_new({path: seal(review_fields(r)) for path, r in wanted.items() if path not in there})


def _review(store: RemoteStore, path: str) -> Review:
    where = f"{store.where}/{path}"
    data = store.read(path)
    if data is None:
        raise damaged(where, "is missing")
    review = read_review(data, where)
    if path != review_path(review.target, review.source_commit, review.review_id):
        raise damaged(where, "does not say what it should: it is another review than its path says")
    return review
