"""Declares one schema for each kind of document of a remote: its fields, their types, ranges and formats."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from epoch_sql.model.schema import Column, Constraint, Index, Trigger

Id = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
RandomId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Fingerprint = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
TableId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
SortKey = Annotated[str, Meta(pattern=r"\A([0-9a-f]{2}){1,64}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[datetime, Meta(tz=False)]
Row = tuple[str, str, str, str, str | None, str | None, str | None, str | None, str | None]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document that has all of its fields and no others."""


class File(Document, frozen=True):
    """A file of a level."""

    file_id: Id
    schema_id: Id
    row_count: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    bytes: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    old_schema_id: Id | None
    least_key: SortKey | None
    greatest_key: SortKey | None


class Level(Document, frozen=True):
    """A delta."""

    kind: Literal["delta"]
    files: Annotated[list[File], Meta(max_length=1)]
    rows: tuple[Count, Count, Count]
    before: Id | None
    after: Id | None


class Base(Document, frozen=True):
    """A base level."""

    files: Annotated[list[File], Meta(max_length=50_000)]


class Version(Document, frozen=True):
    """How a version is stored."""

    table_id: TableId
    schema_id: Id
    row_count: Count
    fingerprint: Fingerprint
    base: Id
    deltas: Annotated[list[Level], Meta(max_length=1000)]


class Resolution(Document, frozen=True):
    """A decision of a merge."""

    table_name: str | None
    key: str | None
    column_name: str | None
    side: Literal["ours", "theirs", "base", "both", "value"]
    value: str | None
    forced: bool


class Undone(Document, frozen=True):
    """Commits that an undo took back."""

    undone_by: Id
    commits: Annotated[list[Id], Meta(min_length=1)]


class Origin(Document, frozen=True):
    """How a commit came about."""

    source: str | None
    squashes: Id | None
    reverts: Id | None
    picks: Id | None
    rolls_back_to: Id | None
    undoes: list[Id]
    redoes: list[Id]
    restores: Id | None
    strategy: Literal["ours", "theirs"] | None
    keep_undone: bool
    resolutions: list[Resolution]
    reapplied: list[Undone]
    kept: list[Undone]


class Commit(Document, frozen=True):
    """A commit."""

    tree_id: Id
    parents: Annotated[list[Id], Meta(max_length=2)]
    author: str
    committed_at: Moment
    message: str
    origin: Origin
    subtrees: Annotated[list[Id], Meta(max_length=65)]
    deltas: list[Level]


class Header(Document, frozen=True):
    """What a store says of itself."""

    repository_id: RandomId
    store_id: RandomId
    default_branch: str
    database: str
    readers: Literal["spark"] | None
    format: Literal[1]


class Ref(Document, frozen=True):
    """A branch or a tag."""

    name: str
    commit_id: Id | None
    author: str | None
    moved_at: Moment
    message: str | None
    previous: Id | None
    move_id: RandomId


class Settings(Document, frozen=True):
    """What a branch is protected from."""

    branch: str
    require_review: bool
    no_force_push: bool
    allow_self_review: bool
    require_fresh: bool


class Protection(Document, frozen=True):
    """The protection of a branch."""

    protection: Settings
    author: str
    changed_at: Moment
    change_id: RandomId


class Review(Document, frozen=True):
    """A review."""

    review_id: Id
    source: str
    source_commit: Id
    target: str
    verdict: str
    reviewer: str
    message: str | None
    reviewed_at: Moment


class Garbage(Document, frozen=True):
    """What nothing reaches."""

    paths: dict[str, Moment]
    removing: Moment | None
    run_id: RandomId


class Definition(Document, frozen=True):
    """The definition of a table."""

    schema: str
    name: str
    columns: Annotated[list[Column], Meta(min_length=1)]
    constraints: list[Constraint]
    indexes: list[Index]
    comment: str | None
    declared_key: list[str]
    triggers: list[Trigger]
