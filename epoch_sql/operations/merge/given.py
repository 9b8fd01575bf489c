"""Values that users give to ``epoch_resolve``, as texts. They count only if the column's type has exactly that
value."""

from __future__ import annotations

from dataclasses import replace

from epoch_sql import render
from epoch_sql.model.schema import Column
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import encode
from epoch_sql.storage.types import DataType, parse_type

_ROUNDED = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "DOUBLE"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "DECIMAL"), "DOUBLE"),
    **dict.fromkeys(("DATE", "TIMESTAMP_S", "TIMESTAMP_MS"), "TIMESTAMP"),
}
"""Types whose cast from text rounds or truncates, and types that show the difference."""


def given(text: Sql, column: Column) -> Sql:
    """The storage value of a text, or NULL if the type has no such value."""
    return encode(_cast(text, column.type), column.type)


def given_misfits(text: Sql, column: Column) -> Sql:
    """The condition that a text is not a value of a column's type, or would be rounded. A NULL text is the value
    NULL."""
    value = _cast(text, column.type)
    wide = _wide(parse_type(column.type)).text
    rounded = Sql("false")
    if wide != column.type:
        as_wide = _cast(text, wide)
        back = render.fill(Sql("TRY_CAST({{v}} AS {{w}})"), v=value, w=render.verbatim(wide))
        rounded = render.fill(Sql("({{w}} IS NOT NULL AND {{w}} IS DISTINCT FROM {{b}})"), w=as_wide, b=back)
    return render.fill(Sql("({{t}} IS NOT NULL AND ({{v}} IS NULL OR {{r}}))"), t=text, v=value, r=rounded)


def _cast(text: Sql, type: str) -> Sql:
    """A strict cast. TRY_CAST would make NULL of a value inside a list or struct that does not fit."""
    return render.fill(Sql("TRY(CAST({{t}} AS {{type}}))"), t=text, type=render.verbatim(type))


def _wide(type: DataType) -> DataType:
    """A type of the same structure that rounds nothing."""
    if not type.fields:
        name = _ROUNDED.get(type.name)
        return DataType(name, name) if name else type
    fields = tuple(replace(field, type=_wide(field.type)) for field in type.fields)
    if fields == type.fields:
        return type
    return DataType(_text(type, [field.type.text for field in fields]), type.name, type.arguments, fields)


def _text(type: DataType, parts: list[str]) -> str:
    if type.name in ("LIST", "ARRAY"):
        return f"{parts[0]}[{''.join(type.arguments)}]"
    if type.name in ("STRUCT", "UNION"):
        parts = [f"{field.spelling} {part}" for field, part in zip(type.fields, parts, strict=True)]
    return f"{type.name}({', '.join(parts)})"
