"""Storage values as DuckDB computes them for Spark, in the types that ``types.native_type`` says: ``types.native`` does
the same in Spark."""

from __future__ import annotations

from collections.abc import Callable

from epoch_sql.render import Sql, fill, identifier, joined, literal
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.types import DataType, Field

Step = Callable[[Sql], Sql]

_CASTS = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "UUID": "VARCHAR",
    "TIME": "VARCHAR",
    "JSON": "VARCHAR",
}
_DECODED = {"HUGEINT": "DECIMAL(38,0)", "UHUGEINT": "DECIMAL(38,0)", "TIME WITH TIME ZONE": "VARCHAR"}
_NANOSECONDS = Sql(
    "CASE {{v}} WHEN 'infinity' THEN 9223372036854775807 WHEN '-infinity' THEN -9223372036854775807 "
    "ELSE epoch_ns({{v}}) END"
)


def native_value(value: Sql, type: DataType) -> Sql:
    """What a user gets of a storage value. Fails for a number with more than 38 digits."""
    if type.name in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        return fill(_NANOSECONDS, v=value)
    if type.name in _CASTS or type.name in _DECODED:
        target = Sql(_CASTS.get(type.name) or _DECODED[type.name])
        native = decode(value, type.text) if type.name in _DECODED else value
        return fill("CAST({{v}} AS {{t}})", v=native, t=target)
    return _with_parts(value, type) if type.fields and _changes(type) else value


def _changes(type: DataType) -> bool:
    changed = {*_CASTS, *_DECODED, "TIMESTAMP_NS", "TIMESTAMPTZ_NS"}
    return any(leaf.name in changed for leaf in type.leaves())


def _with_parts(value: Sql, type: DataType) -> Sql:
    if type.name in ("LIST", "ARRAY"):
        return _each(value, type, type.fields[0])
    if type.name == "MAP":
        parts = [
            _each(fill(f"map_{of}({{{{v}}}})", v=value), type, field)
            for field, of in zip(type.fields, ("keys", "values"), strict=True)
        ]
        return fill("CASE WHEN {{v}} IS NOT NULL THEN map({{parts}}) END", v=value, parts=parts)
    members = fill("struct_extract({{v}}, 'value')", v=value) if type.name == "UNION" else value
    fields = [
        fill("{{n}} := {{v}}", n=identifier(field.name), v=native_value(_part(members, field), field.type))
        for field in type.fields
    ]
    packed = fill("struct_pack({{fields}})", fields=joined(fields, ", "))
    if type.name == "UNION":
        packed = fill(
            "struct_pack(tag := struct_extract({{v}}, 'tag'), \"value\" := {{packed}})", v=value, packed=packed
        )
    return fill("CASE WHEN {{v}} IS NOT NULL THEN {{packed}} END", v=value, packed=packed)


def _each(value: Sql, type: DataType, item: Field) -> Sql:
    """Each element of a list. The height gives nested parameters different names."""
    parameter = fill("{{name}}", name=identifier(f"part{type.height}"))
    changed = native_value(parameter, item.type)
    return fill("list_transform({{v}}, lambda {{p}}: {{c}})", v=value, p=parameter, c=changed)


def _part(value: Sql, field: Field) -> Sql:
    return fill("struct_extract({{v}}, {{n}})", v=value, n=literal(field.name))
