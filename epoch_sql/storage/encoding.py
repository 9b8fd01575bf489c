"""Converts native values of any type to storage values, which Parquet carries and DuckDB compares exactly, and back.

Two storage values are equal only if the native values are the same, except that -0.0 equals 0.0 and NaN equals NaN.
NULL, and only NULL, is stored as NULL. Which conversions are exact was measured on DuckDB 1.4, 1.5 and 2.0.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from sqlglot import exp

from epoch_sql.errors import UnsupportedType
from epoch_sql.render import Sql, fill, to_sql, verbatim
from epoch_sql.storage.nested import encoding_of
from epoch_sql.storage.scalars import Encoding
from epoch_sql.storage.types import DataType, parse_type

__all__ = ["check_supported", "decode", "encode", "storage_type"]

_BINARY = Sql('({{value}}) COLLATE "binary"')
# Only a cast that changes the type removes a collation inside a struct or list, so a field is added and removed.
_BINARY_INSIDE = Sql(
    "struct_extract(CAST(struct_pack(kept := {{value}}) AS STRUCT(kept {{type}}, dropped BOOLEAN)), 'kept')"
)


def storage_type(type: str) -> Sql:
    """The DuckDB type of the stored column, which read_parquet gives back. Raises UnsupportedType if there is none."""
    return _encoding(type).storage


def encode(value: exp.Expression | Sql, type: str) -> Sql:
    """The storage value of a native value of a type. Raises UnsupportedType if there is none."""
    return _encoding(type).encode(_text(value))


def decode(value: exp.Expression | Sql, type: str) -> Sql:
    """The native value, of exactly this type, of a storage value. Raises UnsupportedType if the type cannot be
    stored."""
    return _encoding(type).decode(_text(value))


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


def _text(value: exp.Expression | Sql) -> Sql:
    return value if isinstance(value, Sql) else to_sql(value)
