"""Declares one schema for each kind of document of a remote, and reads documents by it.

A remote is somebody else's disk. So Epoch accepts a document only as a whole: with the types, ranges and formats below,
with no field more or less, and byte for byte as Epoch writes it. So a document has one meaning: no duplicate key, no
rounded number, no ignored field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from epoch_sql.model.commit import Commit, DataFile, RowCounts, Version, commit_identity, origin_of
from epoch_sql.model.names import is_line, is_valid_ref_name
from epoch_sql.model.protection import VERDICTS, Protection, Review, new_review
from epoch_sql.model.remote import (
    Header,
    Manifest,
    PortableCommit,
    PortableLevel,
    RemoteRef,
    TreeRow,
    commit_fields,
    content_of,
    damaged,
    header_fields,
    manifest_fields,
    ref_fields,
    review_fields,
    tree_text,
    unseal,
)
from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, Table, Trigger, canonical_json, table_to_json
from epoch_sql.model.table_rules import broken_table_rule, broken_tree_row

Id = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
RandomId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Fingerprint = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
TableId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
SortKey = Annotated[str, Meta(pattern=r"\A([0-9a-f]{2}){1,64}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[datetime, Meta(tz=False)]
_Row = tuple[str, str, str, str, str | None, str | None, str | None, str | None, str | None]
_AT = re.compile(r"(?s)(.*?)(?: - at `\$?\.?(.*)`)?")

Stated = TypeVar("Stated")
Value = TypeVar("Value")


class _Wrong(ValueError):
    """A field has an impossible value: ``str(error)`` names the field and the reason."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document that has all of its fields and no others."""


class _File(_Document, frozen=True):
    file_id: Id
    schema_id: Id
    row_count: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    bytes: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    old_schema_id: Id | None
    least_key: SortKey | None
    greatest_key: SortKey | None


class _Level(_Document, frozen=True):
    kind: Literal["base", "delta"]
    files: Annotated[list[_File], Meta(max_length=10_000)]
    rows: tuple[Count, Count, Count]
    before: Id | None
    after: Id | None


class _Version(_Document, frozen=True):
    table_id: TableId
    schema_id: Id
    row_count: Count
    fingerprint: Fingerprint
    levels: Annotated[list[_Level], Meta(min_length=1, max_length=1000)]


class _Resolution(_Document, frozen=True):
    table_name: str | None
    key: str | None
    column_name: str | None
    side: Literal["ours", "theirs", "base", "both", "value"]
    value: str | None
    forced: bool


class _Undone(_Document, frozen=True):
    undone_by: Id
    commits: Annotated[list[Id], Meta(min_length=1)]


class _Origin(_Document, frozen=True):
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
    resolutions: list[_Resolution]
    reapplied: list[_Undone]
    kept: list[_Undone]


class _Commit(_Document, frozen=True):
    tree_id: Id
    parents: Annotated[list[Id], Meta(max_length=2)]
    author: str
    committed_at: Moment
    message: str
    origin: _Origin
    subtrees: Annotated[list[Id], Meta(max_length=65)]
    deltas: list[_Level]


class _Header(_Document, frozen=True):
    repository_id: RandomId
    store_id: RandomId
    default_branch: str
    database: str
    readers: Literal["spark"] | None
    format: Literal[1]


class _Ref(_Document, frozen=True):
    name: str
    commit_id: Id | None
    author: str | None
    moved_at: Moment
    message: str | None
    previous: Id | None
    move_id: RandomId


class _Settings(_Document, frozen=True):
    branch: str
    require_review: bool
    no_force_push: bool
    allow_self_review: bool
    require_fresh: bool


class _Protection(_Document, frozen=True):
    protection: _Settings
    author: str
    changed_at: Moment
    change_id: RandomId


class _Review(_Document, frozen=True):
    review_id: Id
    source: str
    source_commit: Id
    target: str
    verdict: str
    reviewer: str
    message: str | None
    reviewed_at: Moment


class _Definition(_Document, frozen=True):
    schema: str
    name: str
    columns: Annotated[list[Column], Meta(min_length=1)]
    constraints: list[Constraint]
    indexes: list[Index]
    comment: str | None
    declared_key: list[str]
    triggers: list[Trigger]


def read_header(data: bytes, where: str) -> Header:
    """The header of a store."""

    def header(stated: _Header) -> Header:
        _require_name("default_branch", stated.default_branch)
        _require_line("database", stated.database)
        return Header(*msgspec.structs.astuple(stated))

    return _sealed(data, where, _Header, header, header_fields)


def stated_format(data: bytes, where: str) -> object:
    """The format that a store states. Reads nothing else, because a store of a newer Epoch may have other fields."""
    return _decoded(unseal(data, where), where, dict[str, Any]).get("format")


def read_ref(data: bytes, where: str) -> RemoteRef:
    """A branch or a tag."""

    def ref(stated: _Ref) -> RemoteRef:
        _require_name("name", stated.name)
        _require_line("author", stated.author)
        _require(
            bool(stated.commit_id or stated.previous), "previous", "is missing, although the reference was deleted"
        )
        return RemoteRef(stated.name, stated.commit_id or "", *msgspec.structs.astuple(stated)[2:])

    return _sealed(data, where, _Ref, ref, ref_fields)


def read_protection(data: bytes, branch: str, where: str) -> Protection:
    """What a branch is protected from."""

    def protection(stated: _Protection) -> Protection:
        _require_line("author", stated.author)
        _require(stated.protection.branch == branch, "protection.branch", "is not the branch that its path names")
        return Protection(*msgspec.structs.astuple(stated.protection))

    found, _ = _parsed(unseal(data, where), where, _Protection, protection)
    return found


def read_review(data: bytes, where: str) -> Review:
    """A review. Its id is the hash of its content."""

    def review(stated: _Review) -> Review:
        _require(stated.verdict in VERDICTS, "verdict", f"is not one of {', '.join(VERDICTS)}")
        _require_name("target", stated.target)
        _require_line("reviewer", stated.reviewer)
        found = Review(*msgspec.structs.astuple(stated))
        content = (found.source, found.source_commit, found.target, found.verdict, found.reviewer, found.message)
        _require(new_review(*content, found.reviewed_at) == found, "review_id", "is not the hash of the review")
        return found

    return _sealed(data, where, _Review, review, review_fields)


def read_commit(data: bytes, commit_id: str, where: str) -> PortableCommit:
    """The commit of that id."""

    def commit(stated: _Commit) -> PortableCommit:
        _require_line("author", stated.author)
        at, parents = stated.committed_at, tuple(stated.parents)
        for name in ("parents", "subtrees"):
            _require_distinct(name, getattr(stated, name))
        for name in ("undoes", "redoes"):
            _require_distinct(f"origin.{name}", getattr(stated.origin, name))
        _require(sorted(stated.subtrees) == stated.subtrees, "subtrees", "are in no order")
        origin = origin_of(msgspec.to_builtins(stated.origin))
        identity = commit_identity(stated.tree_id, parents, stated.author, at, stated.message, origin)
        if identity != commit_id:
            raise damaged(where, "is corrupted: it is another commit than its name says")
        found = Commit(commit_id, stated.tree_id, "", parents, stated.author, at, stated.message, origin)
        deltas = tuple(_level(delta, f"deltas[{n}]") for n, delta in enumerate(stated.deltas))
        for n, delta in enumerate(deltas):
            _require(delta.kind == "delta", f"deltas[{n}].kind", "is not delta")
            _require(bool(delta.before and delta.after), f"deltas[{n}]", "does not say what it leads from and to")
        _require_distinct("deltas", [(delta.before, delta.after) for delta in deltas])
        return PortableCommit(found, tuple(stated.subtrees), deltas)

    return _sealed(data, where, _Commit, commit, commit_fields)


def read_manifest(data: bytes, content_id: str, where: str) -> Manifest:
    """How the version with that content is stored, without local ids."""

    def manifest(stated: _Version) -> Manifest:
        version = Version("", stated.table_id, stated.schema_id, stated.row_count, stated.fingerprint, ())
        if content_of(version) != content_id:
            raise damaged(where, "is corrupted: it is another version than its name says")
        levels = tuple(_level(level, f"levels[{n}]") for n, level in enumerate(stated.levels))
        for n, level in enumerate(levels):
            _require(
                (level.kind == "base") == (n == 0), f"levels[{n}].kind", "is not that of one base and deltas on it"
            )
            _require(n == 0 or bool(level.files), f"levels[{n}].files", "are none")
        _require_distinct("levels", [level.files for level in levels])
        return Manifest(version, levels)

    return _sealed(data, where, _Version, manifest, manifest_fields)


def read_tree(content: bytes, where: str) -> list[TreeRow]:
    """The rows of a tree."""

    def rows(stated: list[_Row]) -> list[TreeRow]:
        _require(bool(stated), "the list", "is empty")
        _require_distinct("identity", [row[1] for row in stated])
        for number, row in enumerate(stated):
            problem = broken_tree_row(row)
            _require(problem is None, f"[{number}]", problem or "")
        return [*stated]

    found, text = _parsed(content, where, list[_Row], rows)
    return _exact(found, text, tree_text(found), where)


def read_definition(content: bytes, where: str) -> Table:
    """The definition of a table."""

    def table(stated: _Definition) -> Table:
        found = Table(
            ObjectName(stated.schema, stated.name),
            # An omitted field is not in vars() of the decoded object either.
            tuple(replace(column) for column in stated.columns),
            tuple(replace(constraint) for constraint in stated.constraints),
            tuple(replace(index) for index in stated.indexes),
            stated.comment,
            tuple(stated.declared_key),
            tuple(stated.triggers),
        )
        problem = broken_table_rule(found)
        _require(problem is None, *(problem or ("", "")))
        return found

    found, text = _parsed(content, where, _Definition, table)
    return _exact(found, text, table_to_json(found), where)


def _sealed(
    data: bytes, where: str, kind: type[Stated], of: Callable[[Stated], Value], fields: Callable[[Value], Any]
) -> Value:
    found, text = _parsed(unseal(data, where), where, kind, of)
    return _exact(found, text, canonical_json(fields(found)), where)


def _parsed(content: bytes, where: str, kind: Any, of: Callable[[Any], Value]) -> tuple[Value, bytes]:
    """The decoded document and its text. Raises EpochStorageError, which names a field that is not as declared."""
    stated = _decoded(content, where, kind)
    try:
        return of(stated), content
    except _Wrong as error:
        raise damaged(where, f"does not say what it should: {error}") from None


def _decoded(content: bytes, where: str, kind: type[Stated]) -> Stated:
    try:
        return msgspec.json.decode(content, type=kind, strict=True)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        located = _AT.fullmatch(str(error))
        problem, path = (located[1], located[2]) if located else (type(error).__name__, None)
        raise damaged(where, f"does not say what it should: {f'{path}: ' if path else ''}{problem}") from None


def _exact(found: Value, content: bytes, written: str, where: str) -> Value:
    """Refuse a document that has another reading."""
    try:
        same = written.encode() == content
    except UnicodeError:
        same = False
    if not same:
        raise damaged(where, "does not say what it should: its form differs from the one that Epoch writes")
    return found


def _level(stated: _Level, path: str) -> PortableLevel:
    files = tuple(DataFile(*msgspec.structs.astuple(file)) for file in stated.files)
    level = PortableLevel(stated.kind, files, RowCounts(*stated.rows), stated.before, stated.after)
    bounds = [(file.least_key or "", file.greatest_key or "") for file in files]
    _require(all(bool(least) == bool(greatest) for least, greatest in bounds), f"{path}.files", "have half of a range")
    ends = [end for bound in bounds for end in bound if end]
    _require(ends == sorted(ends), f"{path}.files", "are not in the order of their keys")
    if level.kind == "base":
        _require(level.rows == RowCounts(), f"{path}.rows", "are counts of changes, of a base")
        _require(level.before is level.after is None, f"{path}.before, after", "are ends, of a base")
        _require(all(file.old_schema_id is None for file in files), f"{path}.files", "have old values, of a base")
        return level
    _require(len(files) < 2, f"{path}.files", "are several, of a delta")
    _require(all(file.old_schema_id for file in files), f"{path}.files", "have no old_schema_id, of a delta")
    _require(bool(files) or not level.rows.total, f"{path}.rows", "are counts of changes, but there is no file")
    _require(level.before is None or level.before != level.after, f"{path}.before", "is the same as after")
    return level


def _require_line(field: str, text: str | None) -> None:
    _require(text is None or is_line(text), field, "is not a name on one line")


def _require_name(field: str, name: str) -> None:
    _require(is_valid_ref_name(name), field, "is not a valid name of a branch or a tag")


def _require_distinct(field: str, values: Iterable[object]) -> None:
    known = list(values)
    _require(len(set(known)) == len(known), field, "names one thing twice")


def _require(condition: bool, field: str, problem: str) -> None:
    if not condition:
        raise _Wrong(f"{field} {problem}")
