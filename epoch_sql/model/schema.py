"""Definitions of tables and other database objects, with identities that survive a rename. Also which changes of a
column's type keep every value."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from epoch_sql.model.names import ObjectName as ObjectName
from epoch_sql.model.names import parse_name


@dataclass(frozen=True)
class Column:
    """A column.

    ``type`` is the DuckDB type, and ``default`` and ``generated`` are expressions, as the catalog prints them. ``id``
    is the Parquet field id that identifies the column through renames (0: not yet identified). ``fill`` is a constant
    expression of the column's type: the value of rows that were written before the column existed.
    """

    name: str
    type: str
    id: int = 0
    nullable: bool = True
    default: str | None = None
    generated: str | None = None
    collation: str | None = None
    comment: str | None = None
    fill: str | None = None

    @property
    def stored(self) -> bool:
        """Whether the column stores values. A generated column computes them when it is read."""
        return self.generated is None


@dataclass(frozen=True)
class Constraint:
    """A table constraint: kind is PRIMARY KEY, UNIQUE, CHECK or FOREIGN KEY. NOT NULL belongs to the column.

    ``expression`` is the text of a CHECK. ``referenced`` and ``referenced_columns`` are the target of a foreign key.
    (DuckDB has foreign keys within one schema only.)
    """

    kind: str
    columns: tuple[str, ...] = ()
    expression: str | None = None
    referenced: str | None = None
    referenced_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Index:
    """An index of CREATE INDEX. ``expressions`` are SQL texts, as the catalog prints them.

    ``method`` is its type, such as HNSW of an extension, or None for DuckDB's own. ``options`` is its WITH clause.
    """

    name: str
    unique: bool
    expressions: tuple[str, ...]
    comment: str | None = None
    method: str | None = None
    options: str | None = None


@dataclass(frozen=True)
class Trigger:
    """A trigger of a table.

    ``timing`` is BEFORE or AFTER, ``event`` is INSERT, UPDATE or DELETE, and ``for_each`` is STATEMENT or ROW.
    ``columns`` are those of UPDATE OF. ``old_table`` and ``new_table`` are the names of the rows before and after
    (REFERENCING), or None.
    """

    name: str
    timing: str
    event: str
    for_each: str
    body: str
    columns: tuple[str, ...] = ()
    old_table: str | None = None
    new_table: str | None = None


@dataclass(frozen=True)
class Table:
    """The definition of a table.

    ``declared_key`` holds the columns given to ``epoch_key``. Constraints, indexes and triggers are in a canonical
    order.
    """

    name: ObjectName
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str | None = None
    declared_key: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns whose values are versioned, in order."""
        return tuple(column for column in self.columns if column.stored)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the columns that identify a row: the primary key, or else the declared key."""
        for constraint in self.constraints:
            if constraint.kind == "PRIMARY KEY":
                return constraint.columns
        return self.declared_key

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns that identify a row. Empty for a table without a key, which is a bag of rows."""
        return tuple(self.column(name) for name in self.key_names)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys of the table."""
        return tuple(c for c in self.constraints if c.kind == "FOREIGN KEY")

    def column(self, name: str) -> Column:
        """The column of that name, in any letter case, as in SQL. Raises KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise KeyError(name)

    def column_by_id(self, identity: int) -> Column | None:
        """The column of that id, whatever its name."""
        return next((column for column in self.columns if column.id == identity), None)

    def renamed(self, name: ObjectName) -> Table:
        """The same table under another name."""
        return replace(self, name=name)

    def with_column_ids(self, ids: Mapping[int, int]) -> Table:
        """The same table with the column ids replaced as ``ids`` says."""
        return replace(self, columns=tuple(replace(c, id=ids.get(c.id, c.id)) for c in self.columns))

    def with_index_names_of(self, other: Table) -> Table:
        """The same table, whose indexes have the names that they have in another definition.

        Indexes that are alike but for their name are one index: dbt names them by a random hash at each build.
        """
        taken = {index.name.lower() for index in self.indexes}
        free = [index for index in other.indexes if index.name.lower() not in taken]
        known = {index.name for index in other.indexes}
        named = []
        for index in self.indexes:
            like = (found for found in free if replace(index, name=found.name) == found)
            twin = None if index.name in known else next(like, None)
            if twin:
                free.remove(twin)
            named.append(twin or index)
        return self if named == [*self.indexes] else replace(self, indexes=tuple(sorted(named, key=lambda i: i.name)))

    @property
    def digest(self) -> str:
        """SHA-256 of the whole definition, with identities: the id of a row of ``epoch.schemas``."""
        return _sha256(table_to_json(self))

    @property
    def content_digest(self) -> str:
        """SHA-256 of the visible definition. Equal for equal tables, however they came about."""
        columns = tuple(replace(column, id=0, fill=None) for column in self.columns)
        return _sha256(table_to_json(replace(self, columns=columns)))


@dataclass(frozen=True)
class SchemaObject:
    """A database object other than a table: kind is ``schema``, ``type``, ``sequence``, ``macro`` or ``view``.
    ``trigger`` is for a trigger that is handled by itself.

    ``definition`` is the CREATE statement. ``state`` (the last value of a sequence) goes along, but a difference in it
    does not count as a change. ``part_comments`` are the comments of a view's columns, by their names. They also have
    the comment of a table macro beside a scalar macro of the same name, as ``TABLE``.
    """

    kind: str
    name: ObjectName
    definition: str
    comment: str | None = None
    state: str | None = field(default=None, compare=False)
    part_comments: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The name as messages and listings write it."""
        if self.kind == "trigger":
            return f"{self.name.name} on {parse_name(self.name.schema)}"
        return self.name.as_schema if self.kind == "schema" else str(self.name)


@dataclass(frozen=True)
class DatabaseSchema:
    """Every versioned definition of one database at one moment."""

    tables: tuple[Table, ...] = ()
    objects: tuple[SchemaObject, ...] = ()


def definition_id(definition: Table | SchemaObject) -> str:
    """SHA-256 of the visible definition of a table or object. Equal for equal ones, however they came about."""
    if isinstance(definition, Table):
        return definition.content_digest
    return _sha256(canonical_json([definition.kind, *vars(definition.name).values(), definition.definition]))


def table_to_json(table: Table) -> str:
    """The definition as canonical JSON; ``table_from_json`` reads it back."""
    return canonical_json(
        {
            "schema": table.name.schema,
            "name": table.name.name,
            "columns": [_compact(vars(column)) for column in table.columns],
            "constraints": [_compact(vars(constraint)) for constraint in table.constraints],
            "indexes": [_compact(vars(index)) for index in table.indexes],
            "comment": table.comment,
            "declared_key": table.declared_key,
            "triggers": [_compact(vars(trigger)) for trigger in table.triggers],
        }
    )


def table_from_json(text: str) -> Table:
    """The definition that ``table_to_json`` wrote."""
    data = json.loads(text)
    return Table(
        ObjectName(data["schema"], data["name"]),
        tuple(Column(**column) for column in data["columns"]),
        tuple(Constraint(**_tuples(constraint)) for constraint in data["constraints"]),
        tuple(Index(**_tuples(index)) for index in data["indexes"]),
        data["comment"],
        tuple(data["declared_key"]),
        tuple(Trigger(**_tuples(trigger)) for trigger in data["triggers"]),
    )


def part_comments_to_json(obj: SchemaObject) -> str | None:
    """The comments of an object's parts as JSON, or None without comments."""
    return canonical_json(dict(obj.part_comments)) if obj.part_comments else None


def part_comments_from_json(text: str | None) -> tuple[tuple[str, str], ...]:
    """The comments that ``part_comments_to_json`` wrote."""
    return tuple(sorted(json.loads(text).items())) if text else ()


LARGEST_COLUMN_ID = (1 << 29) - 1
"""Parts of nested columns have greater ids in files."""


def identity(*parts: str, taken: Iterable[int] = ()) -> int:
    """A positive 29-bit id that depends only on ``parts`` and on the ``taken`` ids.

    Two branches that add the same column give it the same id, so it is one column when they merge.
    """
    used = set(taken)
    attempt = 0
    while True:
        digest = hashlib.sha256("\0".join((*parts, str(attempt))).encode()).digest()
        number = int.from_bytes(digest[:4], "big") >> 3
        if number and number not in used:
            return number
        attempt += 1


def canonical_json(value: Any) -> str:
    """JSON with one spelling for each value: with sorted names, without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _compact(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, ())}


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_SIGNED = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT"]
_UNSIGNED = ["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_LABEL = re.compile(r"'(?:[^']|'')*'")
_ENUM = re.compile(rf"ENUM\((?:{_LABEL.pattern}(?:, ?)?)*\)")


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type has the same value in the new one, and casts back to itself."""
    if old == new:
        return True
    if old in _SIGNED and new in _SIGNED:
        return _SIGNED.index(old) < _SIGNED.index(new)
    if old in _UNSIGNED and new in _UNSIGNED:
        return _UNSIGNED.index(old) < _UNSIGNED.index(new)
    if old in _UNSIGNED and new in _SIGNED:
        return _UNSIGNED.index(old) < _SIGNED.index(new)
    if (old, new) == ("FLOAT", "DOUBLE"):
        return True
    before, after = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    if before and after:
        width, scale, new_width, new_scale = (int(n) for n in (*before.groups(), *after.groups()))
        return new_scale >= scale and new_width - new_scale >= width - scale
    if _ENUM.fullmatch(old) and _ENUM.fullmatch(new):
        return set(_LABEL.findall(old)) <= set(_LABEL.findall(new))
    return bool(_ENUM.fullmatch(old)) and new == "VARCHAR"


def compatible(old: str, new: str) -> bool:
    """Whether a delta can lead from a column of the old type to one of the new type."""
    return widens(old, new)


def common(old: str, new: str) -> str | None:
    """The type, of these two, that has every value of the other, if there is one."""
    if widens(old, new):
        return new
    return old if widens(new, old) else None


def expressions(definition: Table | SchemaObject) -> str:
    """The expressions of a definition, as one text."""
    if isinstance(definition, SchemaObject):
        return definition.definition
    found = [
        *(column.default for column in definition.columns),
        *(column.generated for column in definition.columns),
        *(constraint.expression for constraint in definition.constraints),
        *(expression for index in definition.indexes for expression in index.expressions),
    ]
    return " , ".join(expression for expression in found if expression is not None)
