"""DuckDB's types in Spark: how a storage value is read from a file, and the native value that a user gets of it.

Nothing loses a digit. What Spark has no type for is a text as DuckDB writes it, a number, or a struct of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pyspark.sql import functions as F

from epoch_sql.errors import UnsupportedType
from epoch_sql.storage.types import DataType

_READ = {
    "BOOLEAN": "boolean",
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "int",
    "INT": "int",
    "BIGINT": "bigint",
    "UTINYINT": "smallint",
    "USMALLINT": "int",
    "UINTEGER": "bigint",
    "UBIGINT": "decimal(20,0)",
    "HUGEINT": "decimal(38,0)",
    "UHUGEINT": "decimal(38,0)",
    "FLOAT": "float",
    "REAL": "float",
    "DOUBLE": "double",
    "VARCHAR": "string",
    "TEXT": "string",
    "JSON": "string",
    "BLOB": "binary",
    "UUID": "binary",
    "DATE": "date",
    "TIME": "bigint",
    "TIMESTAMP": "timestamp_ntz",
    "TIMESTAMP_NS": "bigint",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "TIMESTAMPTZ": "timestamp",
    "TIMESTAMPTZ_NS": "bigint",
}
"""The types in which Spark reads the types that are stored. Numbers of an unsigned type need the next greater one."""

_WORDS = 18_446_744_073_709_551_616
_MOST, _REST = divmod(10**38, _WORDS)
Value = Any
Step = Callable[[Value], Value]


def read_as(type: DataType, times: bool) -> str:
    """The type in which Spark reads a column of a storage type. ``times``: the engine has a type for TIME."""
    if times and type.name == "TIME":
        return "time"
    if type.name == "DECIMAL":
        return f"decimal({','.join(type.arguments)})"
    parts = [read_as(field.type, times) for field in type.fields]
    if type.name in ("LIST", "ARRAY"):
        return f"array<{parts[0]}>"
    if type.name == "MAP":
        return f"map<{parts[0]},{parts[1]}>"
    if type.fields:
        named = (f"{quoted(field.name)}:{part}" for field, part in zip(type.fields, parts, strict=True))
        return f"struct<{','.join(named)}>"
    if type.name not in _READ:
        raise UnsupportedType.of(type.text, type.text)
    return _READ[type.name]


def quoted(name: str) -> str:
    """A name in Spark's SQL."""
    return f"`{name.replace('`', '``')}`"


def native_type(type: DataType) -> str:
    """The type of what a user gets for a type of DuckDB's."""
    if not type.fields:
        return _NATIVE[type.name] if type.name in _NATIVE else read_as(type, times=False)
    parts = [native_type(field.type) for field in type.fields]
    if type.name in ("LIST", "ARRAY"):
        return f"array<{parts[0]}>"
    if type.name == "MAP":
        return f"map<{parts[0]},{parts[1]}>"
    named = (f"{quoted(field.name)}:{part}" for field, part in zip(type.fields, parts, strict=True))
    whole = f"struct<{','.join(named)}>"
    return f"struct<tag:string,value:{whole}>" if type.name == "UNION" else whole


def native(type: DataType, times: bool) -> Step | None:
    """The step from a storage value to what a user gets, or None if that is the same."""
    if type.name == "UNION":
        return _union(type, times)
    if not type.fields:
        made = _SCALARS.get(type.name)
        return made(times) if made else None
    steps = [native(field.type, times) for field in type.fields]
    if not any(steps):
        return None
    if type.name in ("LIST", "ARRAY"):
        item = steps[0]
        return lambda value: F.transform(value, item)
    return _map(steps) if type.name == "MAP" else _struct(type, steps)


def _map(steps: list[Step | None]) -> Step:
    def step(value: Value) -> Value:
        parts = [F.map_keys(value), F.map_values(value)]
        changed = [F.transform(part, each) if each else part for part, each in zip(parts, steps, strict=True)]
        return F.map_from_arrays(*changed)

    return step


def _struct(type: DataType, steps: list[Step | None]) -> Step:
    def step(value: Value) -> Value:
        parts = [
            (each(value.getField(field.name)) if each else value.getField(field.name)).alias(field.name)
            for field, each in zip(type.fields, steps, strict=True)
        ]
        return F.when(value.isNotNull(), F.struct(*parts))

    return step


def _union(type: DataType, times: bool) -> Step | None:
    """A union is a struct of its tag and all of its members."""
    members = native(DataType(type.text, "STRUCT", (), type.fields), times)
    if members is None:
        return None
    return lambda value: F.when(
        value.isNotNull(),
        F.struct(value.getField("tag").alias("tag"), members(value.getField("value")).alias("value")),
    )


def _uuid(value: Value) -> Value:
    groups, parts = F.lower(F.hex(value)), ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return F.when(value.isNotNull(), F.concat_ws("-", *(F.substring(groups, *part) for part in parts)))


def _time_text(times: bool) -> Step:
    """A time of day as a text. One that is read as such is counted first, since 24:00:00 has no text everywhere."""
    if not times:
        return _clock
    start = F.lit("00:00:00").cast("time")
    return lambda value: _clock(F.call_function("time_diff", F.lit("MICROSECOND"), start, value))


def _clock(micros: Value) -> Value:
    """Microseconds of a day as a text like DuckDB's: without zeros at the end of a fraction."""
    whole, fraction = F.floor(micros / F.lit(1_000_000)).cast("bigint"), micros % F.lit(1_000_000)
    digits = F.regexp_replace(_padded(fraction, 6), "0+$", "")
    return F.concat(
        _padded(F.floor(whole / F.lit(3600)), 2),
        F.lit(":"),
        _padded(F.floor(whole / F.lit(60)) % F.lit(60), 2),
        F.lit(":"),
        _padded(whole % F.lit(60), 2),
        F.when(fraction == F.lit(0), F.lit("")).otherwise(F.concat(F.lit("."), digits)),
    )


def _zoned_clock(times: bool) -> Step:
    clock = _time_text(times)

    def step(value: Value) -> Value:
        offset = value.getField("offset_seconds")
        size = F.abs(offset)
        parts = [F.floor(size / F.lit(3600)), F.floor(size / F.lit(60)) % F.lit(60), size % F.lit(60)]
        hours, minutes, seconds = (_padded(part, 2) for part in parts)
        rest = (
            F.when(parts[2] != F.lit(0), F.concat(F.lit(":"), minutes, F.lit(":"), seconds))
            .when(parts[1] != F.lit(0), F.concat(F.lit(":"), minutes))
            .otherwise(F.lit(""))
        )
        sign = F.when(offset < F.lit(0), F.lit("-")).otherwise(F.lit("+"))
        # The parts of a struct that is NULL are not NULL in every engine.
        return F.when(value.isNotNull(), F.concat(clock(value.getField("clock")), sign, hours, rest))

    return step


def _padded(number: Value, digits: int) -> Value:
    return F.lpad(number.cast("bigint").cast("string"), digits, "0")


def _number(value: Value) -> Value:
    """A number of 128 bits. One with more than 38 digits fails when it is read, because Spark has no type for it."""
    upper, lower = (value.getField(name).cast("decimal(20,0)") for name in ("upper", "lower"))
    fits = (
        ((upper > _lit(-_MOST - 1)) & (upper < _lit(_MOST)))
        | ((upper == _lit(_MOST)) & (lower < _lit(_REST)))
        | ((upper == _lit(-_MOST - 1)) & (lower > _lit(_WORDS - _REST)))
    )
    # The upper half is rounded towards zero, so that no product has more digits than the number.
    negative = F.when(upper < _lit(0), _lit(1)).otherwise(_lit(0)).cast("decimal(1,0)")
    high, low = (upper + negative).cast("decimal(19,0)"), (lower - negative * _lit(_WORDS)).cast("decimal(21,0)")
    number = ((high * _lit(_WORDS)).cast("decimal(38,0)") + low).cast("decimal(38,0)")
    failed = F.raise_error(F.lit("a number has more than 38 digits, which Spark's DECIMAL cannot hold"))
    return F.when(value.isNotNull() & fits, number).when(value.isNotNull(), failed.cast("decimal(38,0)"))


def _lit(number: int) -> Value:
    return F.lit(Decimal(number)).cast("decimal(20,0)")


_SCALARS: dict[str, Callable[[bool], Step]] = {
    "UUID": lambda _: _uuid,
    "HUGEINT": lambda _: _number,
    "UHUGEINT": lambda _: _number,
    "TIME": _time_text,
    "TIME WITH TIME ZONE": _zoned_clock,
}
_TEXTS = ("ENUM", "BIT", "BIGNUM", "UUID", "TIME", "TIME_NS", "TIME WITH TIME ZONE")
_NATIVE = {
    **dict.fromkeys(_TEXTS, "string"),
    **dict.fromkeys(("TIMESTAMP_S", "TIMESTAMP_MS"), "timestamp_ntz"),
    "INTERVAL": "struct<months:int,days:int,micros:bigint>",
    "GEOMETRY": "binary",
    "STRUCT": "boolean",
}
