"""Reads the documents of a remote by their declared schemas (``model.forms``).

A remote is somebody else's disk. So Epoch accepts a document only as a whole: with the declared types, ranges and
formats, with no field more or less, and byte for byte as Epoch writes it. So a document has one meaning: no duplicate
key, no rounded number, no ignored field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from epoch_sql.model import forms
from epoch_sql.model.commit import Commit, DataFile, RowCounts, Version, commit_identity, origin_of
from epoch_sql.model.layouts import Layout, StoredVersion, base_text, version_fields
from epoch_sql.model.names import is_line, is_valid_ref_name
from epoch_sql.model.protection import VERDICTS, Protection, Review, new_review
from epoch_sql.model.remote import (
    Header,
    PortableCommit,
    PortableLevel,
    RemoteRef,
    TreeRow,
    commit_fields,
    content_of,
    damaged,
    garbage_fields,
    header_fields,
    ref_fields,
    review_fields,
    tree_text,
    unseal,
)
from epoch_sql.model.schema import ObjectName, Table, canonical_json, table_to_json
from epoch_sql.model.table_rules import broken_table_rule, broken_tree_row

_AT = re.compile(r"(?s)(.*?)(?: - at `\$?\.?(.*)`)?")

Stated = TypeVar("Stated")
Value = TypeVar("Value")


class _Wrong(ValueError):
    """A field has an impossible value: ``str(error)`` names the field and the reason."""


def read_header(data: bytes, where: str) -> Header:
    """The header of a store."""

    def header(stated: forms.Header) -> Header:
        _require_name("default_branch", stated.default_branch)
        _require_line("database", stated.database)
        return Header(*msgspec.structs.astuple(stated))

    return _sealed(data, where, forms.Header, header, header_fields)


def stated_format(data: bytes, where: str) -> object:
    """The format that a store states. Reads nothing else, because a store of a newer Epoch may have other fields."""
    return _decoded(unseal(data, where), where, dict[str, Any]).get("format")


def read_ref(data: bytes, where: str) -> RemoteRef:
    """A branch or a tag."""

    def ref(stated: forms.Ref) -> RemoteRef:
        _require_name("name", stated.name)
        _require_line("author", stated.author)
        _require(
            bool(stated.commit_id or stated.previous), "previous", "is missing, although the reference was deleted"
        )
        return RemoteRef(stated.name, stated.commit_id or "", *msgspec.structs.astuple(stated)[2:])

    return _sealed(data, where, forms.Ref, ref, ref_fields)


def read_protection(data: bytes, branch: str, where: str) -> Protection:
    """What a branch is protected from."""

    def protection(stated: forms.Protection) -> Protection:
        _require_line("author", stated.author)
        _require(stated.protection.branch == branch, "protection.branch", "is not the branch that its path names")
        return Protection(*msgspec.structs.astuple(stated.protection))

    found, _ = _parsed(unseal(data, where), where, forms.Protection, protection)
    return found


def read_garbage(data: bytes, where: str) -> tuple[Mapping[str, datetime], datetime | None]:
    """What is noted as garbage, since when, and since when it is being removed."""

    def noted(stated: forms.Garbage) -> forms.Garbage:
        return stated

    found = _sealed(data, where, forms.Garbage, noted, lambda g: garbage_fields(g.paths, g.removing, g.run_id))
    return found.paths, found.removing


def read_review(data: bytes, where: str) -> Review:
    """A review. Its id is the hash of its content."""

    def review(stated: forms.Review) -> Review:
        _require(stated.verdict in VERDICTS, "verdict", f"is not one of {', '.join(VERDICTS)}")
        _require_name("target", stated.target)
        _require_line("reviewer", stated.reviewer)
        found = Review(*msgspec.structs.astuple(stated))
        content = (found.source, found.source_commit, found.target, found.verdict, found.reviewer, found.message)
        _require(new_review(*content, found.reviewed_at) == found, "review_id", "is not the hash of the review")
        return found

    return _sealed(data, where, forms.Review, review, review_fields)


def read_commit(data: bytes, commit_id: str, where: str) -> PortableCommit:
    """The commit of that id."""

    def commit(stated: forms.Commit) -> PortableCommit:
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
        deltas = tuple(_delta(delta, f"deltas[{n}]") for n, delta in enumerate(stated.deltas))
        for n, delta in enumerate(deltas):
            _require(bool(delta.before and delta.after), f"deltas[{n}]", "does not say what it leads from and to")
        _require_distinct("deltas", [(delta.before, delta.after) for delta in deltas])
        return PortableCommit(found, tuple(stated.subtrees), deltas)

    return _sealed(data, where, forms.Commit, commit, commit_fields)


def read_version(data: bytes, content_id: str, where: str) -> StoredVersion:
    """How the version with that content is stored, without local ids."""

    def stored(stated: forms.Version) -> StoredVersion:
        version = Version("", stated.table_id, stated.schema_id, stated.row_count, stated.fingerprint, ())
        if content_of(version) != content_id:
            raise damaged(where, "is corrupted: it is another version than its name says")
        deltas = tuple(_delta(level, f"deltas[{n}]") for n, level in enumerate(stated.deltas))
        for n, level in enumerate(deltas):
            _require(bool(level.files), f"deltas[{n}].files", "are none")
        _require_distinct("deltas", [level.files for level in deltas])
        return StoredVersion(version, Layout(stated.base, deltas))

    return _sealed(data, where, forms.Version, stored, version_fields)


def read_base(content: bytes, where: str) -> PortableLevel:
    """A base level."""

    def level(stated: forms.Base) -> PortableLevel:
        files = _files(stated.files, "files")
        _require_distinct("files", files)
        _require(all(file.old_schema_id is None for file in files), "files", "have old values, of a base")
        return PortableLevel("base", files, RowCounts(), None, None)

    found, text = _parsed(content, where, forms.Base, level)
    return _exact(found, text, base_text(found.files), where)


def read_tree(content: bytes, where: str) -> list[TreeRow]:
    """The rows of a tree."""

    def rows(stated: list[forms.Row]) -> list[TreeRow]:
        _require(bool(stated), "the list", "is empty")
        _require_distinct("identity", [row[1] for row in stated])
        for number, row in enumerate(stated):
            problem = broken_tree_row(row)
            _require(problem is None, f"[{number}]", problem or "")
        return [*stated]

    found, text = _parsed(content, where, list[forms.Row], rows)
    return _exact(found, text, tree_text(found), where)


def read_definition(content: bytes, where: str) -> Table:
    """The definition of a table."""

    def table(stated: forms.Definition) -> Table:
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

    found, text = _parsed(content, where, forms.Definition, table)
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


def _delta(stated: forms.Level, path: str) -> PortableLevel:
    level = PortableLevel(
        "delta", _files(stated.files, f"{path}.files"), RowCounts(*stated.rows), stated.before, stated.after
    )
    _require(all(file.old_schema_id for file in level.files), f"{path}.files", "have no old_schema_id, of a delta")
    _require(bool(level.files) or not level.rows.total, f"{path}.rows", "are counts of changes, but there is no file")
    _require(level.before is None or level.before != level.after, f"{path}.before", "is the same as after")
    return level


def _files(stated: list[forms.File], path: str) -> tuple[DataFile, ...]:
    files = tuple(DataFile(*msgspec.structs.astuple(file)) for file in stated)
    bounds = [(file.least_key or "", file.greatest_key or "") for file in files]
    _require(all(bool(least) == bool(greatest) for least, greatest in bounds), path, "have half of a range")
    ends = [end for bound in bounds for end in bound if end]
    _require(ends == sorted(ends), path, "are not in the order of their keys")
    return files


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
