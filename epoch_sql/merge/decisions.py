"""What was decided for the conflicts of a merge, by a strategy or by ``epoch_resolve``; values that are typed in, and
the keys of rows that were decided one by one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.model.commit import Resolution
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


SIDES = ("ours", "theirs", "base")
NULL = "null"
BOTH = "both"
"""The choice for copies of a row in a table without a key: the changes of both sides count."""

_CHOICE = Sql("STRUCT(side VARCHAR, forced BOOLEAN, value VARCHAR)")


@dataclass(frozen=True)
class RowDecisions:
    """The decisions for rows of one table, earliest first, and the side that a strategy gives them."""

    resolutions: tuple[Resolution, ...] = ()
    strategy: str | None = None

    def relation(self, idle: Collection[str]) -> Sql:
        """The decisions by key, as in sql/merge.sql, without those for a side of ``idle``."""
        return render.render(
            "merge.decisions",
            resolutions=[
                {
                    **{name: render.literal(value) for name, value in vars(resolution).items()},
                    "number": render.literal(number),
                    "of_table": render.literal(resolution.table_name is not None),
                }
                for number, resolution in enumerate(self.resolutions)
                if resolution.side not in idle
            ],
        )

    def default(self, side: str | None) -> Sql:
        """The choice without a decision."""
        return render.fill(
            Sql("(CAST({{c}} AS {{t}}))"),
            c=render.fill(Sql("{'side': {{s}}, 'forced': false, 'value': NULL}"), s=render.literal(side))
            if side
            else Sql("NULL"),
            t=_CHOICE,
        )

    @property
    def has_keys(self) -> bool:
        """Whether there are decisions for single rows."""
        return any(r.key is not None for r in self.resolutions)

    def of_cells(self, column: Column) -> bool:
        """Whether there are decisions for cells of the column."""
        return any(r.column_name == column.name for r in self.resolutions)

    def keys(self, columns: Sequence[Column]) -> list[list[str | None]]:
        """The rows with decisions of their own, as the texts of their key values in the order of the columns."""
        found = []
        for text in dict.fromkeys(r.key for r in self.resolutions if r.key is not None):
            given = key_fields(text)
            if given is not None and given.keys() == {column.name for column in columns}:
                found.append([given[column.name] for column in columns])
        return found


@dataclass(frozen=True)
class Decisions:
    """Resolutions, and the side that a strategy gives conflicting cells.

    If several resolutions cover a conflict, the most specific one counts, and of equally specific ones the last. So a
    resolution of everything resolves what is still open. ``copies`` is the choice for copies of rows if it differs from
    the strategy.
    """

    resolutions: tuple[Resolution, ...] = ()
    strategy: str | None = None
    copies: str | None = None

    def for_definition(self, table_name: str, column_name: str | None) -> str | None:
        """The side chosen for a schema conflict. Strategies resolve cells only, and a virtual base resolves
        everything."""
        for resolution in _by_weight(self.resolutions):
            if resolution.key is not None or resolution.side not in SIDES:
                continue
            about_table = resolution.table_name in (None, table_name)
            if about_table and resolution.column_name in (None, column_name):
                return resolution.side
        return self.strategy if self.strategy == "base" else None

    def forced(self, *names: str) -> str | None:
        """The side chosen for the definition of a table or object without a conflict, because it or another one
        could not be created otherwise. It may have several names."""
        sides = [r.side for r in self.resolutions if r.table_name in names and r.of_definition]
        return sides[-1] if sides else None

    def for_table(self, keyless: bool, names: Iterable[str]) -> RowDecisions:
        """The decisions for rows of a table."""
        known = set(names)
        own = (r for r in self.resolutions if r.table_name is None or r.table_name in known)
        strategy = self.copies if keyless and self.copies else self.strategy
        return RowDecisions(tuple(r for r in own if not r.of_definition), strategy)


def key_fields(text: str) -> dict[str, str | None] | None:
    """The values of a key in JSON, each as text that can be cast. None if it is not a JSON object."""
    try:
        parsed = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in parsed.items()
    }


def _by_weight(resolutions: Sequence[Resolution]) -> list[Resolution]:
    """The most specific resolutions first, later ones before earlier ones."""

    def weight(resolution: Resolution) -> int:
        return (
            4 * (resolution.key is not None)
            + 2 * (resolution.column_name is not None)
            + (resolution.table_name is not None)
        )

    return sorted(resolutions, key=weight)[::-1]
