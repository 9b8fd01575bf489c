"""Commits, their origins and trees, and the versions of tables in these: a base level of rows and deltas on top, as
in a log-structured merge tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from epoch_sql.model.schema import ObjectName, SchemaObject, canonical_json

# A delta is also an edge between two versions. It holds old and new values, so it can be read in both directions. So
# the diff of two versions is the composition of the deltas on the cheapest path between them.

FINGERPRINT_BITS = 128
EMPTY_FINGERPRINT = "0" * (FINGERPRINT_BITS // 4)


@dataclass(frozen=True)
class RowCounts:
    """How many rows a change adds, modifies and removes."""

    added: int = 0
    modified: int = 0
    removed: int = 0

    @property
    def total(self) -> int:
        """The number of changed rows."""
        return self.added + self.modified + self.removed

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(self.added + other.added, self.modified + other.modified, self.removed + other.removed)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file named by the SHA-256 of its bytes.

    ``schema_id`` is the definition of its rows (in a delta: of its new values), and ``old_schema_id`` that of the old
    values. ``least_key`` and ``greatest_key`` are sort keys (``storage.key_ranges``), or None for rows without a key.
    """

    file_id: str
    schema_id: str
    row_count: int
    bytes: int
    old_schema_id: str | None = None
    least_key: str | None = None
    greatest_key: str | None = None


@dataclass(frozen=True)
class Level:
    """An immutable level: kind ``base`` (rows sorted by key) or ``delta`` (one row per key changed between two
    versions).
    """

    level_id: str
    kind: str
    files: tuple[DataFile, ...]
    rows: RowCounts
    from_version: str | None = None
    to_version: str | None = None

    @property
    def row_count(self) -> int:
        """The number of rows in the files."""
        return sum(file.row_count for file in self.files)


@dataclass(frozen=True)
class Version:
    """The content of a table: its definition, its rows as levels (base first), and a fingerprint of the rows.

    ``fingerprint`` is 32 hex digits: the sum over all rows, modulo 2^128, of a hash of the row (a multiset hash). It
    does not depend on the levels, and a delta updates it without reading the table.
    """

    version_id: str
    table_id: str
    schema_id: str
    row_count: int
    fingerprint: str
    level_ids: tuple[str, ...]


def version_identity(table_id: str, schema_id: str, fingerprint: str, level_ids: tuple[str, ...]) -> str:
    """The id of a version: the SHA-256 of what describes it."""
    return _sha256(canonical_json(["version", table_id, schema_id, fingerprint, level_ids]))


def level_identity(kind: str, file_ids: tuple[str, ...], from_version: str | None, to_fingerprint: str | None) -> str:
    """The id of a level: the SHA-256 of its files and its ends."""
    return _sha256(canonical_json(["level", kind, file_ids, from_version, to_fingerprint]))


def shift_fingerprint(fingerprint: str, minus: int, plus: int) -> str:
    """The fingerprint after removing rows with the hash sum ``minus`` and adding rows with the hash sum ``plus``."""
    total = (int(fingerprint, 16) - minus + plus) % (1 << FINGERPRINT_BITS)
    return f"{total:0{FINGERPRINT_BITS // 4}x}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Resolution:
    """One decision. table_name, key (canonical JSON) and column_name are None if it is for all of them.

    ``side`` is ``ours``, ``theirs``, ``base``, ``both`` (copies of rows) or ``value``. ``value`` is then the text of a
    value of the column's type, or None for NULL. A ``forced`` decision takes a row or a cell from a side even without a
    conflict, for a row that violates a constraint. Without a key, it takes a definition, for one that cannot be
    created.
    """

    table_name: str | None
    key: str | None
    column_name: str | None
    side: str
    value: str | None = None
    forced: bool = False

    @property
    def of_definition(self) -> bool:
        """Whether it takes a definition that is not in conflict."""
        return self.forced and self.key is None and self.column_name is None

    @property
    def by_hand(self) -> bool:
        """Whether it brings in a value that neither side has."""
        return self.side == "value"


@dataclass(frozen=True)
class UndoneCommits:
    """Commits that another one undid (``undone_by``), newest first."""

    undone_by: str
    commits: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """How a commit came about. Later decisions follow it, so it is a part of the commit's id.

    ``source`` is the reference that was merged or gone back to, as the user named it. ``squashes``, ``reverts``,
    ``picks`` and ``rolls_back_to`` are the commit behind a squashed merge, a revert, a cherry-pick or a rollback.
    ``undoes``, ``redoes`` and ``restores`` say which merges it undoes (see ``epoch_sql.model.graph.Undo``).
    ``strategy`` (``ours``, ``theirs``), ``keep_undone`` and ``resolutions`` are how a merge, revert or cherry-pick was
    decided, ``reapplied`` what it brings back that its target had undone, ``kept`` what it keeps that its source had.
    """

    source: str | None = None
    squashes: str | None = None
    reverts: str | None = None
    picks: str | None = None
    rolls_back_to: str | None = None
    undoes: tuple[str, ...] = ()
    redoes: tuple[str, ...] = ()
    restores: str | None = None
    strategy: str | None = None
    keep_undone: bool = False
    resolutions: tuple[Resolution, ...] = ()
    reapplied: tuple[UndoneCommits, ...] = ()
    kept: tuple[UndoneCommits, ...] = ()

    @property
    def named(self) -> str | None:
        """The reference that was merged or gone back to, or else the commit."""
        return self.source or self.reverts or self.picks

    @property
    def undone(self) -> tuple[str, ...]:
        """Every commit that the choice of a merge base depends on. Each is an ancestor."""
        return self.undoes + self.redoes + ((self.restores,) if self.restores else ())

    @property
    def by_hand(self) -> bool:
        """Whether it brings in a value that neither side has."""
        return any(resolution.by_hand for resolution in self.resolutions)


NO_ORIGIN = Origin()


def origin_fields(origin: Origin) -> dict[str, Any]:
    """The origin as JSON."""
    return {
        **vars(origin),
        "undoes": list(origin.undoes),
        "redoes": list(origin.redoes),
        "resolutions": [vars(resolution) for resolution in origin.resolutions],
        "reapplied": [undone_fields(undone) for undone in origin.reapplied],
        "kept": [undone_fields(undone) for undone in origin.kept],
    }


def origin_of(stated: Mapping[str, Any]) -> Origin:
    """The origin that ``origin_fields`` wrote."""
    return Origin(
        **{
            **stated,
            "undoes": tuple(stated["undoes"]),
            "redoes": tuple(stated["redoes"]),
            "resolutions": tuple(Resolution(**resolution) for resolution in stated["resolutions"]),
            "reapplied": tuple(UndoneCommits(u["undone_by"], tuple(u["commits"])) for u in stated["reapplied"]),
            "kept": tuple(UndoneCommits(u["undone_by"], tuple(u["commits"])) for u in stated["kept"]),
        }
    )


def undone_fields(undone: UndoneCommits) -> dict[str, Any]:
    """Undone commits as JSON."""
    return {"undone_by": undone.undone_by, "commits": list(undone.commits)}


SUBTREES = 64
DERIVED = "derived"
"""The kind of a row of a tree for a pattern of derived tables."""


@dataclass(frozen=True)
class TableEntry:
    """A table in a tree: its identity, its name there, and the version of its content.

    A derived table is ``stale`` where nobody has computed it from what the tree holds besides.
    """

    table_id: str
    name: ObjectName
    version_id: str
    stale: bool = False


@dataclass(frozen=True)
class Tree:
    """Everything that one commit holds: tables by identity, the other objects in creation order, and the patterns of
    the names of derived tables, in order."""

    tables: Mapping[str, TableEntry] = field(default_factory=dict)
    objects: tuple[SchemaObject, ...] = ()
    derived: tuple[str, ...] = ()

    @property
    def stale(self) -> list[str]:
        """The names of the stale tables."""
        return sorted(str(entry.name) for entry in self.tables.values() if entry.stale)

    def table_named(self, name: ObjectName) -> TableEntry | None:
        """The table of that name: exactly, or else in any letter case, as in SQL."""
        exact = next((entry for entry in self.tables.values() if entry.name == name), None)
        if exact:
            return exact
        return next((e for e in self.tables.values() if e.name.folded == name.folded), None)


def merged_patterns(base: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> tuple[str, ...]:
    """The patterns of a merge: those that a side added, without those that a side removed."""
    old, left, right = set(base), set(ours), set(theirs)
    return tuple(sorted((left & right) | ((left ^ right) - old)))


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


def tree_identity(tables: Iterable[tuple[TableEntry, str, str]], tree: Tree) -> str:
    """The id of content, however the content came about.

    ``tables`` are those of the tree, with the content digest of the definition and the fingerprint of the rows.
    """
    stated = ([e.name.schema, e.name.name, digest, rows, *(["stale"] if e.stale else [])] for e, digest, rows in tables)
    content = [
        "tree",
        sorted(stated),
        sorted(
            [o.kind, o.name.schema, o.name.name, o.definition, o.comment or "", o.part_comments] for o in tree.objects
        ),
        *([sorted(tree.derived)] if tree.derived else []),
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
