"""Rules for every definition of a table and every row of a tree, wherever they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from epoch_sql.model.commit import DERIVED
from epoch_sql.model.names import is_line
from epoch_sql.model.remote import TreeRow
from epoch_sql.model.schema import LARGEST_COLUMN_ID, Constraint, Table, canonical_json, part_comments_from_json

_KINDS = ("PRIMARY KEY", "UNIQUE", "CHECK", "FOREIGN KEY")
_OBJECTS = ("table", "schema", "type", "sequence", "macro", "view", DERIVED)
_POSITION = re.compile(r"[0-9]{8}")
_OPTION = r"[\w.]+(?: = (?:'[^']*'|[\w.-]+))?"
_OPTIONS = re.compile(rf"WITH \( ?(?:{_OPTION}(?:, {_OPTION})*)? ?\)", re.ASCII)
_TIMINGS, _EVENTS, _UNITS = ("BEFORE", "AFTER"), ("INSERT", "UPDATE", "DELETE"), ("STATEMENT", "ROW")


def broken_table_rule(table: Table) -> tuple[str, str] | None:
    """The first rule that a definition breaks: the field, and what is wrong with it. None for a sound definition."""
    return next(_broken(table), None)


def _broken(table: Table) -> Iterator[tuple[str, str]]:
    if not table.name.schema or not table.name.name:
        yield "name", "is empty"
    yield from _broken_columns(table)
    names = {column.name.lower() for column in table.columns}
    stored = {column.name.lower() for column in table.stored_columns}
    for constraint in table.constraints:
        yield from _broken_constraint(constraint, names, stored)
    if sum(constraint.kind == "PRIMARY KEY" for constraint in table.constraints) > 1:
        yield "constraints", "have more than one primary key"
    if not _named(table.declared_key, stored):
        yield "declared_key", "names a column that is not there, or one twice"
    for index in table.indexes:
        if not index.name or not index.expressions or not all(index.expressions):
            yield "indexes", "have one without a name or expressions"
        if not re.fullmatch(r"\w*", index.method or "", re.ASCII) or not _OPTIONS.fullmatch(index.options or "WITH ()"):
            yield "indexes", "have one with an invalid type or invalid options"
    if len({index.name.lower() for index in table.indexes}) != len(table.indexes):
        yield "indexes", "have one name twice"
    yield from _broken_triggers(table, names)


def _broken_columns(table: Table) -> Iterator[tuple[str, str]]:
    names = [column.name.lower() for column in table.columns]
    ids = [column.id for column in table.columns]
    if not all(names) or len(set(names)) != len(names):
        yield "columns", "have no name, or two of them one name"
    if not all(0 < i <= LARGEST_COLUMN_ID for i in ids) or len(set(ids)) != len(ids):
        yield "columns", "have an invalid id, or the same id twice"
    if not table.stored_columns:
        yield "columns", "have no values"
    for column in table.columns:
        if not column.type:
            yield "columns", f"have one without a type: {column.name}"


def _broken_constraint(constraint: Constraint, names: set[str], stored: set[str]) -> Iterator[tuple[str, str]]:
    kind, key = constraint.kind, constraint.kind in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY")
    if kind not in _KINDS:
        yield "constraints", f"have one that is not one of {', '.join(_KINDS)}"
    if (kind == "CHECK") != bool(constraint.expression):
        yield "constraints", "have a CHECK without an expression, or an expression without a CHECK"
    if key != bool(constraint.columns) and kind != "CHECK":
        yield "constraints", f"have a {kind} without columns"
    if not _named(constraint.columns, stored if kind == "PRIMARY KEY" else names):
        yield "constraints", "name a column that is not there, or one twice"
    referenced = bool(constraint.referenced), len(constraint.referenced_columns)
    if referenced != ((True, len(constraint.columns)) if kind == "FOREIGN KEY" else (False, 0)):
        yield "constraints", "refer to another table with other columns than they have"


def _broken_triggers(table: Table, names: set[str]) -> Iterator[tuple[str, str]]:
    if len({trigger.name.lower() for trigger in table.triggers}) != len(table.triggers):
        yield "triggers", "have one name twice"
    for trigger in table.triggers:
        if not trigger.name or not trigger.body:
            yield "triggers", "have one without a name or a body"
        if trigger.timing not in _TIMINGS or trigger.event not in _EVENTS or trigger.for_each not in _UNITS:
            yield "triggers", "have one that fires when none can"
        if trigger.columns and (trigger.event != "UPDATE" or not _named(trigger.columns, names)):
            yield "triggers", "name a column that is not there, or one twice"


def _named(columns: Iterable[str], names: set[str]) -> bool:
    given = [column.lower() for column in columns]
    return set(given) <= names and len(set(given)) == len(given)


def broken_tree_row(row: TreeRow) -> str | None:
    """What is wrong with a row of a tree."""
    kind, identity, schema, name, version, definition, _, state, part_comments = row
    if kind not in _OBJECTS:
        return f"the kind is not one of {', '.join(_OBJECTS)}"
    if kind == DERIVED:
        return _broken_pattern(row)
    if not name or (not schema and kind != "schema"):
        return "the name is empty"
    if kind == "table":
        return _broken_table_row(row)
    if not _POSITION.fullmatch(identity):
        return "the identity of an object is its place, in 8 digits"
    if version is not None or not definition:
        return "an object has a definition, and no content"
    if state is not None and not (kind == "sequence" and re.fullmatch(r"-?[0-9]{1,19}", state)):
        return "the state is that of a sequence: a number"
    if part_comments is not None and not (kind in ("view", "macro") and _are_part_comments(part_comments)):
        return "the comments of parts are those of a view's columns or a macro, by name"
    return None


def _broken_table_row(row: TreeRow) -> str | None:
    _, identity, _, _, version, definition, comment, state, part_comments = row
    if not re.fullmatch(r"[0-9a-f]{16}", identity):
        return "the identity of a table is 16 hex digits"
    if not (isinstance(version, str) and re.fullmatch(r"[0-9a-f]{64}", version)):
        return "the content of a table is an id"
    if state not in (None, "stale"):
        return "the state of a table is stale, or none"
    if any(field is not None for field in (definition, comment, part_comments)):
        return "a table has neither definition nor comment here"
    return None


def _broken_pattern(row: TreeRow) -> str | None:
    _, identity, schema, pattern, *rest = row
    if not _POSITION.fullmatch(identity):
        return "the identity of a pattern is its place, in 8 digits"
    if schema or any(field is not None for field in rest):
        return "a pattern of derived tables has no more than its text"
    return None if is_line(pattern) else "a pattern of derived tables is not a text on one line"


def _are_part_comments(text: str) -> bool:
    try:
        stated = part_comments_from_json(text)
    except (ValueError, AttributeError, RecursionError):
        return False
    pairs = all(type(comment) is str for _, comment in stated)
    return bool(stated) and pairs and canonical_json(dict(stated)) == text
