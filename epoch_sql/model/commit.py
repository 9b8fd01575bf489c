"""Commits, the trees that they name, and references."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from epoch_sql.model.origin import NO_ORIGIN, Origin, origin_fields
from epoch_sql.model.schema import ObjectName, SchemaObject, canonical_json

SUBTREES = 64


@dataclass(frozen=True)
class TableEntry:
    """A table in a tree: its identity, its name there, and the version of its content."""

    table_id: str
    name: ObjectName
    version_id: str


@dataclass(frozen=True)
class Tree:
    """Everything that one commit holds: tables by identity, and the other objects in creation order."""

    tables: Mapping[str, TableEntry] = field(default_factory=dict)
    objects: tuple[SchemaObject, ...] = ()

    def table_named(self, name: ObjectName) -> TableEntry | None:
        """The table of that name: exactly, or else in any letter case, as in SQL."""
        exact = next((entry for entry in self.tables.values() if entry.name == name), None)
        if exact:
            return exact
        return next((e for e in self.tables.values() if e.name.folded == name.folded), None)


@dataclass(frozen=True)
class Commit:
    """A commit; ``commit_id`` is the SHA-256 of tree, parents, author, time, message and origin.

    ``tree_id`` names the content, and ``root_id`` its storage.
    """

    commit_id: str
    tree_id: str
    root_id: str
    parents: tuple[str, ...]
    author: str
    committed_at: datetime
    message: str
    origin: Origin = NO_ORIGIN


class Route(Enum):
    """The ways in which a branch moves to another commit."""

    INIT = "init"
    CREATE = "create"
    COMMIT = "commit"
    MERGE = "merge"
    SQUASH = "squash"
    FAST_FORWARD = "fast-forward"
    CHERRY_PICK = "cherry-pick"
    REVERT = "revert"
    RESET = "reset"
    ROLL_BACK = "roll back"
    PULL = "pull"
    RENAME = "rename"
    DELETE = "delete"


class TrackingRoute(Enum):
    """The ways in which a tag or a remote branch moves to a commit."""

    TAG = "tag"
    FETCH = "fetch"
    PUSH = "push"
    DELETE = "delete"


@dataclass(frozen=True)
class Ref:
    """A branch, a tag or a remote branch. For a tag, author, moved_at and message are the tagger's."""

    kind: str
    name: str
    commit_id: str
    author: str | None
    moved_at: datetime
    message: str | None = None


@dataclass(frozen=True)
class Head:
    """What is checked out: a branch, or (detached) a commit."""

    branch: str | None
    commit_id: str

    @property
    def detached(self) -> bool:
        """Whether a commit is checked out instead of a branch."""
        return self.branch is None


def commit_identity(
    tree_id: str, parents: Iterable[str], author: str, committed_at: datetime, message: str, origin: Origin
) -> str:
    """The id of a commit: the SHA-256 of its content."""
    at = committed_at.isoformat(timespec="microseconds")
    content = ["commit", tree_id, list(parents), author, at, message, origin_fields(origin)]
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def tree_identity(tables: Iterable[tuple[ObjectName, str, str]], objects: Iterable[SchemaObject]) -> str:
    """The id of content, however the content came about.

    ``tables`` are (name, content digest of the definition, fingerprint of the rows).
    """
    content = [
        "tree",
        sorted([name.schema, name.name, digest, fingerprint] for name, digest, fingerprint in tables),
        sorted([o.kind, o.name.schema, o.name.name, o.definition, o.comment or "", o.part_comments] for o in objects),
    ]
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def table_identity(name: ObjectName, taken: Iterable[str]) -> str:
    """An id for a new table. It depends only on its name and on the ``taken`` ids, so that branches agree on it."""
    used = set(taken)
    attempt = 0
    while True:
        content = canonical_json(["table", name.schema, name.name, attempt])
        identity = hashlib.sha256(content.encode()).hexdigest()[:16]
        if identity not in used:
            return identity
        attempt += 1
