"""Columns as Iceberg has them: the Iceberg type of each DuckDB type, and which types are written in another form.

What Epoch stores is read by other engines as it lies, by the field ids in its files. Iceberg (format 2) lacks a few of
the types in these files. Columns with such a part are written again, in a form that holds every value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from epoch_sql.model.schema import Column, Table, canonical_json
from epoch_sql.render import Sql, fill, identifier, literal
from epoch_sql.storage.encoding import decode, storage_type
from epoch_sql.storage.shape import field_ids
from epoch_sql.storage.types import DataType, FieldId, parse_type

WRITTEN_AS = {
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "VARCHAR",
    "UHUGEINT": "VARCHAR",
    "TIMESTAMP_NS": "VARCHAR",
    "TIMESTAMPTZ_NS": "VARCHAR",
}
"""Types that Iceberg lacks, or that some of its readers read wrongly, and the DuckDB type that holds their values."""
NAMES = {
    "BOOLEAN": "boolean",
    "TINYINT": "int",
    "SMALLINT": "int",
    "INTEGER": "int",
    "BIGINT": "long",
    "UTINYINT": "int",
    "USMALLINT": "int",
    "FLOAT": "float",
    "DOUBLE": "double",
    "VARCHAR": "string",
    "JSON": "string",
    "BLOB": "binary",
    "UUID": "uuid",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
"""The Iceberg types of what lies in Epoch's files."""
_PROMOTED = {("int", "long"), ("float", "double")}
_OWN_ID = "__duckdb_field_id"
_IN_UTC = """CASE WHEN epoch_ns({{v}}) IS NULL THEN CAST({{v}} AS VARCHAR)
    ELSE CAST(({{v}} AT TIME ZONE 'UTC') AS VARCHAR) || '+00' END"""
"""The text of a time with a time zone would depend on the session's. ``epoch_ns`` of an infinite time is NULL."""

IcebergType = str | dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A column in Iceberg: its type, that of its values in files for Iceberg, and whether those of a level have it."""

    column: Column
    type: IcebergType
    held: DataType
    as_stored: bool

    @property
    def id(self) -> int:
        """The field id, which is the id of the column."""
        return self.column.id

    @property
    def as_json(self) -> dict[str, Any]:
        """The field in the schema of a table."""
        return {"id": self.id, "name": self.column.name, "required": False, "type": self.type}


def fields_of(table: Table) -> list[Field]:
    """The columns of a table in Iceberg, without generated ones."""
    held = held_table(table)
    types = [parse_type(storage_type(column.type)) for column in held.columns]
    pairs = zip(table.stored_columns, held.columns, types, field_ids(held), strict=True)
    return [Field(column, _iceberg(type, number), type, one == column) for column, one, type, number in pairs]


def held_table(table: Table) -> Table:
    """A table with the types that its values have in a file for Iceberg."""
    held = [replace(column, type=_held(parse_type(column.type))) for column in table.stored_columns]
    return replace(table, columns=tuple(held))


def schema_json(table: Table, number: int) -> dict[str, Any]:
    """The schema of a table, with the number that it has among those of its Iceberg table."""
    return {"type": "struct", "schema-id": number, "fields": [field.as_json for field in fields_of(table)]}


def cannot_hold(table: Table) -> str | None:
    """Why Iceberg cannot have a table, or None."""
    for column in table.stored_columns:
        parts = [part for type in parse_type(column.type).parts() for part in type.fields]
        if any(part.name.lower() == _OWN_ID for part in parts):
            return f"a part of column {column.name} is called {_OWN_ID}, which has a meaning of its own in DuckDB"
    paths = [path for field in fields_of(table) for path in _paths(field.as_json, "")]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    return f"two columns or parts of columns have the path {twice}" if twice else None


def readable_as(written: Table, wanted: Table) -> bool:
    """Whether readers give the right rows of a file that has the Iceberg form of one definition, under another one."""
    before = {field.id: field for field in fields_of(written)}
    return all(
        _promotes(before[field.id], field) if field.id in before else field.column.fill is None
        for field in fields_of(wanted)
    )


def lies_as_held(written: Table, wanted: Table) -> bool:
    """Whether the file of a level itself is read rightly under a definition."""
    wanted_ids = {column.id for column in wanted.stored_columns}
    return readable_as(written, wanted) and all(f.as_stored for f in fields_of(written) if f.id in wanted_ids)


def signature(table: Table) -> str:
    """What tells whether files that are written for two definitions are alike. Names do not count."""
    return canonical_json(
        [[f.id, f.type if isinstance(f.type, str) else f.as_json, f.column.fill] for f in fields_of(table)]
    )


def held_value(value: Sql, column: Column) -> Sql:
    """The value of a column in a file for Iceberg, from its storage value."""
    return _rewritten(value, parse_type(column.type))


def _held(type: DataType) -> str:
    if not type.fields:
        return WRITTEN_AS.get(type.name, type.text)
    if not _is_rewritten(type):
        return type.text
    parts = [_held(field.type) for field in type.fields]
    if type.name in ("LIST", "ARRAY"):
        return f"{parts[0]}[]"
    if type.name in ("STRUCT", "UNION"):
        parts = [f"{field.spelling} {part}" for field, part in zip(type.fields, parts, strict=True)]
    return f"{type.name}({', '.join(parts)})"


def _is_rewritten(type: DataType) -> bool:
    return any(leaf.name in WRITTEN_AS for leaf in type.leaves())


def _rewritten(value: Sql, type: DataType) -> Sql:
    if not _is_rewritten(type):
        return value
    if not type.fields:
        native = decode(value, type.text)
        if type.name == "TIMESTAMPTZ_NS":
            return fill(_IN_UTC, v=native)
        return fill("CAST({{v}} AS {{type}})", v=native, type=Sql(WRITTEN_AS[type.name]))
    if type.name in ("LIST", "ARRAY"):
        return _each(value, type, lambda part: _rewritten(part, type.fields[0].type))
    if type.name == "MAP":
        key, content = type.fields
        return fill(
            "CASE WHEN {{v}} IS NOT NULL THEN map({{keys}}, {{contents}}) END",
            v=value,
            keys=_each(fill("map_keys({{v}})", v=value), type, lambda part: _rewritten(part, key.type)),
            contents=_each(fill("map_values({{v}})", v=value), type, lambda part: _rewritten(part, content.type)),
        )
    if type.name == "UNION":
        members = replace(type, name="STRUCT")
        return _packed(value, [("tag", lambda part: part), ("value", lambda part: _rewritten(part, members))])
    steps = [(field.name, lambda part, inner=field.type: _rewritten(part, inner)) for field in type.fields]
    return _packed(value, steps)


def _each(value: Sql, type: DataType, step: Callable[[Sql], Sql]) -> Sql:
    name = identifier(f"part{type.height}")
    changed = step(Sql(name))
    return fill("list_transform({{v}}, lambda {{name}}: {{changed}})", v=value, name=name, changed=changed)


def _packed(value: Sql, steps: Sequence[tuple[str, Callable[[Sql], Sql]]]) -> Sql:
    parts = [
        fill(
            "{{name}} := {{part}}",
            name=identifier(name),
            part=step(fill("struct_extract({{v}}, {{name}})", v=value, name=literal(name))),
        )
        for name, step in steps
    ]
    return fill("CASE WHEN {{v}} IS NOT NULL THEN struct_pack({{parts}}) END", v=value, parts=parts)


def _iceberg(type: DataType, ids: FieldId) -> IcebergType:
    """The Iceberg type of a storage type, whose parts have these ids."""
    if type.name == "DECIMAL":
        return f"decimal({type.arguments[0]}, {type.arguments[1]})"
    if not type.fields:
        return NAMES[type.name]
    parts = [_iceberg(field.type, part) for field, part in zip(type.fields, ids.parts, strict=True)]
    if type.name == "LIST":
        return {"type": "list", "element-id": ids.parts[0].id, "element": parts[0], "element-required": False}
    if type.name == "MAP":
        key, content = ids.parts
        return {
            "type": "map",
            "key-id": key.id,
            "key": parts[0],
            "value-id": content.id,
            "value": parts[1],
            "value-required": False,
        }
    return {
        "type": "struct",
        "fields": [
            {"id": number.id, "name": number.name, "required": False, "type": part}
            for number, part in zip(ids.parts, parts, strict=True)
        ],
    }


def _promotes(old: Field, new: Field) -> bool:
    """Whether Iceberg reads values of one type as those of another."""
    if old.type == new.type or (old.type, new.type) in _PROMOTED:
        return True
    if (old.held.name, new.held.name) != ("DECIMAL", "DECIMAL"):
        return False
    (width, scale), (new_width, new_scale) = old.held.arguments, new.held.arguments
    return scale == new_scale and int(width) <= int(new_width)


def _paths(field: dict[str, Any], above: str) -> list[str]:
    """The paths of a field and of its parts, as schemas of Iceberg index them."""
    path, type = f"{above}{field['name']}", field["type"]
    found = [path]
    if isinstance(type, dict):
        inside = type.get("fields") or [
            {"name": name, "type": type[name]} for name in ("element", "key", "value") if name in type
        ]
        for part in inside:
            found += _paths(part, f"{path}.")
    return found
