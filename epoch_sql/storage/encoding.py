"""Converts native values of any type to storage values, which Parquet carries and DuckDB compares exactly, and back.
Nested values are converted part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import duckdb

from epoch_sql.errors import UnsupportedType
from epoch_sql.render import Sql, fill, identifier, joined, literal, verbatim
from epoch_sql.storage.types import DataType, Field, parse_type

# COPY to Parquet loses digits of HUGEINT, the offset of TIME WITH TIME ZONE and microseconds of INTERVAL, and refuses
# infinite TIMESTAMP_S on 1.4 and 1.5. TIME WITH TIME ZONE cannot be stored as text, because 1.4 and 1.5 print some
# offsets wrongly. INTERVALs of 30 days and of a month compare as equal, and so do the VARIANTs 1::TINYINT and
# 1::INTEGER.

Step = Callable[[Sql], Sql]


@dataclass(frozen=True)
class Encoding:
    """The storage type of a type. ``encode`` and ``decode`` turn one SQL expression into another.

    ``decode`` gives ``decoded``: the native type, but with LIST for ARRAY, because CASE has no ARRAY on 1.4 and 1.5.
    ``casts`` says that a CAST in either direction has the same result. Then a type around this one can be cast as a
    whole, which is faster than part by part.
    """

    storage: Sql
    decoded: Sql
    encode: Step
    decode: Step
    casts: bool = False


def scalar(type: DataType) -> Encoding:
    """The encoding of a type without parts. Raises UnsupportedType if there is no exact one."""
    native = verbatim(type.text)
    if type.name in _CARRIED:
        return cast_encoding(native, native, native)
    if type.name in _CAST and (type.name != "ENUM" or type.arguments):
        return cast_encoding(native, _CAST[type.name], native)
    if type.name == "GEOMETRY" and _geometry_is_built_in():
        return _geometry(type)
    if type.name in _TAKEN_APART:
        storage, encode, decode = _TAKEN_APART[type.name]
        return Encoding(storage, native, _template(encode), _template(decode))
    raise UnsupportedType.of(type.text, type.text)


def cast_encoding(native: Sql, storage: Sql, decoded: Sql) -> Encoding:
    """The encoding by CAST, or without a cast if the types are equal."""
    return Encoding(storage, decoded, _cast(native, storage), _cast(storage, decoded), casts=True)


def _cast(source: Sql, target: Sql) -> Step:
    return _same if source == target else _template("CAST({{value}} AS {{type}})", type=target)


def _same(value: Sql) -> Sql:
    return value


def _template(text: str, **fragments: Sql) -> Step:
    return lambda value: fill(text, value=value, **fragments)


def _geometry_is_built_in() -> bool:
    """The GEOMETRY of the spatial extension for 1.4 is another type."""
    return tuple(map(int, duckdb.__version__.split(".")[:2])) >= (1, 5)


def _geometry(type: DataType) -> Encoding:
    """As WKB. A function sets the coordinate system, because DuckDB accepts EPSG:4326 in columns but not in a CAST."""
    encode = _template("CAST(ST_AsWKB({{value}}) AS BLOB)")
    decode = _template("ST_GeomFromWKB({{value}})")
    if type.arguments:
        system = literal(type.arguments[0])
        decode = _template("ST_SetCRS(ST_GeomFromWKB({{value}}), {{system}})", system=system)
    return Encoding(Sql("BLOB"), verbatim(type.text), encode, decode)


_CARRIED = frozenset(
    {
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
        *("FLOAT", "DOUBLE", "DECIMAL", "VARCHAR", "JSON", "BLOB", "UUID"),
        *("DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
    }
)

_CAST = {
    "BIT": Sql("VARCHAR"),
    "BIGNUM": Sql("VARCHAR"),
    "ENUM": Sql("VARCHAR"),
    "TIME_NS": Sql("VARCHAR"),
    "TIMESTAMP_S": Sql("TIMESTAMP"),
    "TIMESTAMP_MS": Sql("TIMESTAMP"),
}

# Order by (upper, lower) is the order of the numbers.
_HUGEINT = (
    Sql("STRUCT(upper BIGINT, lower UBIGINT)"),
    """CASE WHEN ({{value}}) IS NOT NULL THEN struct_pack(
            upper := CAST(({{value}}) >> 64 AS BIGINT),
            lower := CAST(({{value}}) & 18446744073709551615::HUGEINT AS UBIGINT)) END""",
    # The upper half is rounded towards zero first: the least HUGEINT has no multiple of 2^64 below it.
    """((CAST(struct_extract({{value}}, 'upper') AS HUGEINT)
                + CAST(struct_extract({{value}}, 'upper') < 0 AS INTEGER)) * 18446744073709551616::HUGEINT
            + (CAST(struct_extract({{value}}, 'lower') AS HUGEINT)
                - CAST(struct_extract({{value}}, 'upper') < 0 AS INTEGER) * 18446744073709551616::HUGEINT))""",
)

_UHUGEINT = (
    Sql("STRUCT(upper UBIGINT, lower UBIGINT)"),
    """CASE WHEN ({{value}}) IS NOT NULL THEN struct_pack(
            upper := CAST(({{value}}) >> 64 AS UBIGINT),
            lower := CAST(({{value}}) & 18446744073709551615::UHUGEINT AS UBIGINT)) END""",
    """(CAST(struct_extract({{value}}, 'upper') AS UHUGEINT) * 18446744073709551616::UHUGEINT
            + CAST(struct_extract({{value}}, 'lower') AS UHUGEINT))""",
)

_INTERVAL = (
    Sql('STRUCT("months" INTEGER, "days" INTEGER, micros BIGINT)'),
    """CASE WHEN ({{value}}) IS NOT NULL THEN struct_pack(
            "months" := CAST(year({{value}}) * 12 + month({{value}}) AS INTEGER),
            "days" := CAST(day({{value}}) AS INTEGER),
            micros := CAST(hour({{value}}) * 3600000000 + minute({{value}}) * 60000000
                + microsecond({{value}}) AS BIGINT)) END""",
    """(to_months(struct_extract({{value}}, 'months')) + to_days(struct_extract({{value}}, 'days'))
            + to_microseconds(struct_extract({{value}}, 'micros')))""",
)

_TIME_WITH_TIME_ZONE = (
    Sql("STRUCT(clock TIME, offset_seconds INTEGER)"),
    """CASE WHEN ({{value}}) IS NOT NULL THEN struct_pack(
            clock := CAST({{value}} AS TIME),
            offset_seconds := CAST(date_part('timezone', {{value}}) AS INTEGER)) END""",
    """CAST(format('{}{}{:02d}:{:02d}:{:02d}', struct_extract({{value}}, 'clock'),
            CASE WHEN struct_extract({{value}}, 'offset_seconds') < 0 THEN '-' ELSE '+' END,
            abs(struct_extract({{value}}, 'offset_seconds')) // 3600,
            abs(struct_extract({{value}}, 'offset_seconds')) // 60 % 60,
            abs(struct_extract({{value}}, 'offset_seconds')) % 60) AS TIME WITH TIME ZONE)""",
)

# Without fields, a value is NULL or not.
_EMPTY_STRUCT = (
    Sql("BOOLEAN"),
    "CASE WHEN ({{value}}) IS NOT NULL THEN true END",
    "CASE WHEN {{value}} THEN struct_pack() END",
)

_TAKEN_APART: dict[str, tuple[Sql, str, str]] = {
    "HUGEINT": _HUGEINT,
    "UHUGEINT": _UHUGEINT,
    "INTERVAL": _INTERVAL,
    "TIME WITH TIME ZONE": _TIME_WITH_TIME_ZONE,
    "STRUCT": _EMPTY_STRUCT,
}


# Parquet has no fixed ARRAY (stored as a LIST), no TUPLE (stored as a STRUCT) and no UNION. A UNION is stored as its
# tag and a STRUCT of all members, so that a NULL member keeps its tag, and differs from a NULL without a tag.

Extract = Callable[[Sql, Field], Sql]


def encoding_of(type: DataType) -> Encoding:
    """The encoding of a type, without collations. Raises UnsupportedType if a part of it has no exact encoding."""
    if not type.fields:
        return scalar(type)
    parts = [encoding_of(field.type) for field in type.fields]
    storage = _with_parts(_STORED_AS.get(type.name, type.name), type, [part.storage for part in parts])
    decoded = _with_parts(type.name, type, [part.decoded for part in parts])
    if type.name == "UNION":
        storage = fill('STRUCT(tag VARCHAR, "value" {{members}})', members=storage)
    elif all(part.casts for part in parts):
        return cast_encoding(verbatim(type.text), storage, decoded)
    encode, decode = _REBUILT[type.name](type, parts, decoded)
    return Encoding(storage, decoded, encode, decode)


def _with_parts(name: str, type: DataType, parts: Sequence[Sql]) -> Sql:
    """The text of a LIST (or ARRAY, without its size), MAP, TUPLE, STRUCT or UNION of the parts."""
    if name in ("LIST", "ARRAY"):
        return fill("{{item}}[]", item=parts[0])
    if name in ("STRUCT", "UNION"):
        named = zip(type.fields, parts, strict=True)
        parts = [fill("{{name}} {{part}}", name=verbatim(field.spelling), part=part) for field, part in named]
    return fill("{{name}}({{parts}})", name=Sql(name), parts=parts)


def _list(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    return _each(type, parts[0].encode), _each(type, parts[0].decode)


def _map(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    def rebuilt(key: Step, content: Step) -> Step:
        keys, contents = _each(type, key), _each(type, content)
        return lambda value: fill(
            "map({{keys}}, {{contents}})",
            keys=keys(fill("map_keys({{value}})", value=value)),
            contents=contents(fill("map_values({{value}})", value=value)),
        )

    return rebuilt(parts[0].encode, parts[1].encode), rebuilt(parts[0].decode, parts[1].decode)


def _struct(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    return (
        lambda value: _unless_null(value, _packed(type, [part.encode for part in parts], value, _extracted)),
        lambda value: _unless_null(value, _packed(type, [part.decode for part in parts], value, _extracted)),
    )


def _tuple(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    def decode(value: Sql) -> Sql:
        decoded = [part.decode(_extracted(value, field)) for field, part in zip(type.fields, parts, strict=True)]
        return _unless_null(value, fill("row({{parts}})", parts=decoded))

    def encode(value: Sql) -> Sql:
        return _unless_null(value, _packed(type, [part.encode for part in parts], value, _at_position))

    return encode, decode


def _union(type: DataType, parts: Sequence[Encoding], decoded: Sql) -> tuple[Step, Step]:
    def encode(value: Sql) -> Sql:
        packed = fill(
            'struct_pack(tag := CAST(union_tag({{value}}) AS VARCHAR), "value" := {{members}})',
            value=value,
            members=_packed(type, [part.encode for part in parts], value, _member),
        )
        return _unless_null(value, packed)

    def decode(value: Sql) -> Sql:
        members = fill("struct_extract({{value}}, 'value')", value=value)
        branches = [
            fill(
                "WHEN {{tag}} THEN CAST(union_value({{name}} := {{member}}) AS {{type}})",
                tag=literal(field.name),
                name=identifier(field.name),
                member=part.decode(_extracted(members, field)),
                type=decoded,
            )
            for field, part in zip(type.fields, parts, strict=True)
        ]
        whens = joined(branches, " ")
        return fill("CASE struct_extract({{value}}, 'tag') {{whens}} END", value=value, whens=whens)

    return encode, decode


def _each(type: DataType, step: Step) -> Step:
    """The step for each element of a list. The height gives nested parameters different names."""
    parameter = fill("{{name}}", name=identifier(f"part{type.height}"))
    changed = step(parameter)
    if changed == parameter:
        return lambda value: value
    return lambda value: fill(
        "list_transform({{list}}, lambda {{parameter}}: {{changed}})", list=value, parameter=parameter, changed=changed
    )


def _packed(type: DataType, steps: Sequence[Step], value: Sql, extract: Extract) -> Sql:
    """A STRUCT of the parts of a value, each after its step."""
    packed = [
        fill("{{name}} := {{part}}", name=identifier(field.name), part=step(extract(value, field)))
        for field, step in zip(type.fields, steps, strict=True)
    ]
    return fill("struct_pack({{packed}})", packed=packed)


def _extracted(value: Sql, field: Field) -> Sql:
    return fill("struct_extract({{value}}, {{name}})", value=value, name=literal(field.name))


def _member(value: Sql, field: Field) -> Sql:
    return fill("union_extract({{value}}, {{name}})", value=value, name=literal(field.name))


def _at_position(value: Sql, field: Field) -> Sql:
    position = int(field.name.removeprefix("element"))
    return fill("struct_extract_at({{value}}, {{position}})", value=value, position=literal(position))


def _unless_null(value: Sql, otherwise: Sql) -> Sql:
    return fill("CASE WHEN ({{value}}) IS NOT NULL THEN {{otherwise}} END", value=value, otherwise=otherwise)


_STORED_AS = {"ARRAY": "LIST", "TUPLE": "STRUCT", "UNION": "STRUCT"}

_REBUILT: dict[str, Callable[[DataType, Sequence[Encoding], Sql], tuple[Step, Step]]] = {
    "LIST": _list,
    "ARRAY": _list,
    "MAP": _map,
    "STRUCT": _struct,
    "TUPLE": _tuple,
    "UNION": _union,
}


# Two storage values are equal only if the native values are the same, except that -0.0 equals 0.0 and NaN equals NaN.
# NULL, and only NULL, is stored as NULL. Which conversions are exact was measured on DuckDB 1.4, 1.5 and 2.0.

_BINARY = Sql('({{value}}) COLLATE "binary"')
# Only a cast that changes the type removes a collation inside a struct or list, so a field is added and removed.
_BINARY_INSIDE = Sql(
    "struct_extract(CAST(struct_pack(kept := {{value}}) AS STRUCT(kept {{type}}, dropped BOOLEAN)), 'kept')"
)


def storage_type(type: str) -> Sql:
    """The DuckDB type of the stored column, which read_parquet gives back. Raises UnsupportedType if there is none."""
    return _encoding(type).storage


def encode(value: Sql, type: str) -> Sql:
    """The storage value of a native value of a type. Raises UnsupportedType if there is none."""
    return _encoding(type).encode(value)


def decode(value: Sql, type: str) -> Sql:
    """The native value, of exactly this type, of a storage value. Raises UnsupportedType if the type cannot be
    stored."""
    return _encoding(type).decode(value)


def check_supported(type: str) -> None:
    """Raises UnsupportedType, with the type and the unsupported part, if its values cannot be stored exactly."""
    _encoding(type)


@cache
def _encoding(text: str) -> Encoding:
    type = parse_type(text)
    try:
        found = encoding_of(type)
    except UnsupportedType as refusal:
        raise UnsupportedType.of(text, refusal.part) from None
    return _without_collation(type, _with_arrays(type, found))


def _with_arrays(type: DataType, encoding: Encoding) -> Encoding:
    """The encoding, with decoded values that have the ARRAY types of the native type."""
    native, inner = verbatim(type.text), encoding.decode
    if encoding.decoded == native:
        return encoding
    cast = Sql("CAST({{value}} AS {{type}})")
    return replace(encoding, decoded=native, decode=lambda value: fill(cast, value=inner(value), type=native))


def _without_collation(type: DataType, encoding: Encoding) -> Encoding:
    """The encoding, with strings that compare by their bytes, whatever the collation of the column."""
    if all(leaf.name != "VARCHAR" for leaf in type.leaves()):
        return encoding
    if type.name == "VARCHAR":
        return replace(encoding, encode=lambda value: fill(_BINARY, value=value))
    if encoding.casts and encoding.storage != type.text:
        return encoding
    storage, inner = encoding.storage, encoding.encode
    return replace(encoding, encode=lambda value: fill(_BINARY_INSIDE, value=inner(value), type=storage))
