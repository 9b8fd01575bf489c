"""Rows of a data frame as rows of a table: which columns are whose, and how values become those of the table.

Every value stays what it is: what another type would round or cut is refused, with the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.advice import did_you_mean
from epoch_sql.errors import ColumnNotFound, EpochTableError
from epoch_sql.model.names import suggest
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode, encode, storage_type
from epoch_sql.storage.shape import aliased
from epoch_sql.storage.types import DataType, parse_type

GONE = "__epoch_gone"
"""The column that says whether a row is a key to delete."""
ZONE = "__epoch_zone"
"""The column with the number of the range of keys that a row belongs to."""

_INTEGERS = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)
_NUMBERS = _INTEGERS | {"FLOAT", "DOUBLE", "DECIMAL"}
_AS_TEXT = frozenset(
    {
        *("VARCHAR", "JSON", "UUID", "ENUM", "BIT", "BIGNUM", "HUGEINT", "UHUGEINT", "INTERVAL"),
        *("TIME", "TIME_NS", "TIME WITH TIME ZONE", "TIMESTAMP_NS"),
    }
)
"""Types that Spark lacks, whose values are texts there."""
_MOMENT = """CASE {{v}} WHEN 9223372036854775807 THEN CAST('infinity' AS TIMESTAMP_NS)
    WHEN -9223372036854775807 THEN CAST('-infinity' AS TIMESTAMP_NS) ELSE make_timestamp_ns({{v}}) END"""
"""The time of a number of nanoseconds. DuckDB makes no infinite time of one."""
_MOMENTS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})


@dataclass(frozen=True)
class Incoming:
    """The columns of a data frame, by their names there, with DuckDB's types. ``what`` names it in messages."""

    types: Mapping[str, str]
    what: str

    def name_of(self, column: Column, table: Table) -> str:
        """The name there of a column of a table. Raises ColumnNotFound if it is missing."""
        found = next((name for name in self.types if name.lower() == column.name.lower()), None)
        if found is None:
            near = suggest(column.name, self.types)
            raise ColumnNotFound(
                f"{self.what} has no column {column.name}, which table {table.name} has",
                did_you_mean(near) or f"it has {', '.join(self.types)}",
                table=str(table.name),
                column=column.name,
                suggestions=tuple(near),
            )
        return found

    def require_known(self, table: Table, columns: Sequence[Column]) -> None:
        """Raises ColumnNotFound for a column that the table does not have, or that is not among ``columns``."""
        names = {column.name.lower() for column in columns}
        for name in self.types:
            if name.lower() not in names:
                near = suggest(name, [column.name for column in columns])
                raise ColumnNotFound(
                    f"{self.what} has the column {name}, which is not among those of table {table.name}",
                    did_you_mean(near) or f"drop it; there are {', '.join(column.name for column in columns)}",
                    table=str(table.name),
                    column=name,
                    suggestions=tuple(near),
                )

    def require_fitting(self, table: Table, columns: Sequence[Column]) -> None:
        """Raises EpochTableError for a column of a type whose values need a cast that the user has to choose."""
        for column in columns:
            name = self.name_of(column, table)
            if not _fits(parse_type(self.types[name]), parse_type(column.type)):
                there = f"{self.types[name]} in {self.what}"
                raise EpochTableError(
                    f"column {column.name} is {column.type} in table {table.name}, and {there}",
                    "cast it in the data frame",
                    table=str(table.name),
                    column=column.name,
                )

    def values(self, table: Table, columns: Sequence[Column]) -> list[Sql]:
        """The storage values ``c<id>`` of columns of the table."""
        return [aliased(encode(self._native(column, table), column.type), f"c{column.id}") for column in columns]

    def misfits(self, table: Table, columns: Sequence[Column]) -> list[tuple[Column, Sql]]:
        """For each column whose values may not fit its type, the text of a value that does not, or NULL."""
        found = []
        for column in columns:
            name = self.name_of(column, table)
            there = parse_type(self.types[name])
            if there.text == column.type:
                continue
            value, native = render.column(name), self._native(column, table)
            wanted, back = parse_type(column.type), Sql("false")
            if there.name != "VARCHAR" and not _is_stored(there, wanted) and not _is_number(there, wanted):
                back = render.fill(
                    "TRY_CAST({{native}} AS {{type}}) IS DISTINCT FROM {{value}}",
                    native=native,
                    type=render.verbatim(there.text),
                    value=value,
                )
            misfit = render.fill(
                "CASE WHEN {{value}} IS NOT NULL AND ({{native}} IS NULL OR {{back}}) "
                "THEN CAST({{value}} AS VARCHAR) END",
                value=value,
                native=native,
                back=back,
            )
            found.append((column, misfit))
        return found

    def _native(self, column: Column, table: Table) -> Sql:
        name = self.name_of(column, table)
        there, wanted = parse_type(self.types[name]), parse_type(column.type)
        value = render.column(name)
        if there.text == wanted.text:
            return value
        if _is_stored(there, wanted):
            return decode(value, column.type)
        if _is_number(there, wanted):
            moment = render.fill(_MOMENT, v=value)
            return render.fill("CAST({{v}} AS {{type}})", v=moment, type=render.verbatim(wanted.text))
        return render.fill("TRY_CAST({{v}} AS {{type}})", v=value, type=render.verbatim(column.type))


def _is_stored(there: DataType, wanted: DataType) -> bool:
    """Whether values are given as Epoch stores them: an INTERVAL by its parts, for example."""
    return there.text == storage_type(wanted.text) and there.name not in ("VARCHAR", *_NUMBERS, *_MOMENTS)


def _is_number(there: DataType, wanted: DataType) -> bool:
    """Whether times of nanoseconds are given as their number."""
    return wanted.name in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS") and there.name == "BIGINT"


def _fits(there: DataType, wanted: DataType) -> bool:
    """Whether each value of one type is a value of the other, or is found not to be one."""
    return _is_stored(there, wanted) or _is_number(there, wanted) or _casts(there, wanted)


def _casts(there: DataType, wanted: DataType) -> bool:
    """Whether a cast is all that it takes."""
    if there.text == wanted.text:
        return True
    if there.name in ("LIST", "ARRAY") and wanted.name in ("LIST", "ARRAY"):
        return _casts(there.fields[0].type, wanted.fields[0].type)
    if there.name == wanted.name and there.fields:
        pairs = {field.name: field.type for field in wanted.fields}
        return [f.name for f in there.fields] == [*pairs] and all(_casts(f.type, pairs[f.name]) for f in there.fields)
    if there.fields or wanted.fields:
        return False
    if there.name == "VARCHAR":
        return wanted.name in _AS_TEXT
    if there.name in _NUMBERS:
        return wanted.name in _NUMBERS
    return there.name in ("DATE", *_MOMENTS) and wanted.name in _MOMENTS
