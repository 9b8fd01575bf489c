"""Storage of types without parts.

COPY to Parquet loses digits of HUGEINT, the offset of TIME WITH TIME ZONE and microseconds of INTERVAL, and refuses
infinite TIMESTAMP_S on 1.4 and 1.5. TIME WITH TIME ZONE cannot be stored as text, because 1.4 and 1.5 print some
offsets wrongly. INTERVALs of 30 days and of a month compare as equal, and so do the VARIANTs 1::TINYINT and 1::INTEGER.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from epoch_sql.errors import UnsupportedType
from epoch_sql.render import Sql, fill, literal, to_sql, verbatim
from epoch_sql.storage.types import DataType

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
        system = to_sql(literal(type.arguments[0]))
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
