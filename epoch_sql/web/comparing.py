"""Differences of a table, each written once to a private file: a page of them then costs milliseconds.

A difference is named by what it is between, which never changes: two commits, or the commits that a merge would join.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Literal

import duckdb

from epoch_sql import render
from epoch_sql.diff.patterns import ChangePattern, ComparedColumn, patterns_in
from epoch_sql.library import Repository
from epoch_sql.model.names import ObjectName
from epoch_sql.render import Sql

ROWS = 50
"""The rows of a page."""

Kind = Literal["added", "modified", "removed"]
KINDS: tuple[Kind, ...] = ("added", "modified", "removed")

MOST_LISTS = 8
"""How many filters and orders of a difference are remembered."""

LONGEST = 400
"""The most characters of a value that a page shows."""

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_KEPT = "kept"
_LISTS = "lists"
_KEPT_TABLE = render.identifier(_KEPT)


@dataclass(frozen=True)
class Column:
    """A column, with its type on each side that has it. ``position`` numbers its values; ``cells`` changed."""

    name: str
    position: int
    old_type: str | None
    new_type: str | None
    key: bool
    cells: int = 0

    @property
    def before(self) -> bool:
        """Whether the older side has it."""
        return self.old_type is not None

    @property
    def after(self) -> bool:
        """Whether the newer side has it."""
        return self.new_type is not None

    @property
    def type(self) -> str:
        """Its type on the newer side that has it."""
        return self.new_type or self.old_type or ""

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers that can be subtracted."""
        return is_number(self.type)

    @property
    def old(self) -> Sql:
        """Its values before."""
        return render.identifier(f"f{self.position}")

    @property
    def new(self) -> Sql:
        """Its values after."""
        return render.identifier(f"t{self.position}")


@dataclass(frozen=True)
class Wanted:
    """Which rows of a difference are asked for, and in which order."""

    kind: str | None = None
    column: str | None = None
    text: str = ""
    largest_first: bool = False
    begin: int = 0


@dataclass(frozen=True)
class Rows:
    """A page of rows: number, kind, changed columns, and the texts of old and new values of all columns in turn."""

    total: int
    rows: list[tuple[Any, ...]]


@dataclass
class Kept:
    """A difference of one table, in a file of its own."""

    table: str
    columns: tuple[Column, ...]
    counts: dict[str, int]
    connection: duckdb.DuckDBPyConnection = field(repr=False)
    _lists: dict[tuple[Any, ...], tuple[Sql, int]] = field(default_factory=dict, repr=False)
    _numbers: Iterator[int] = field(default_factory=count, repr=False)
    _listing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def total(self) -> int:
        """How many rows differ."""
        return sum(self.counts.values())

    @property
    def changed(self) -> list[Column]:
        """The columns with changed cells."""
        return [column for column in self.columns if column.cells]

    @cached_property
    def patterns(self) -> list[ChangePattern]:
        """What its rows have in common."""
        compared = [
            ComparedColumn(
                c.name,
                c.old,
                c.new,
                render.fill("list_contains(changed, {{name}})", name=render.literal(c.name)),
                c.old_type,
                c.new_type,
            )
            for c in self.columns
        ]
        query = patterns_in(self.table, render.fill("SELECT kind AS op, * FROM {{kept}}", kept=_KEPT_TABLE), compared)
        return [ChangePattern(*row) for row in self._run(query)]

    def named(self, name: str | None) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def page(self, wanted: Wanted) -> Rows:
        """The rows that are asked for."""
        texts = [beginning(value) for column in self.columns for value in (column.old, column.new)]
        conditions, values = self._conditions(wanted)
        column = self.named(wanted.column)
        by_size = wanted.largest_first and column and column.numeric and column.before and column.after
        begin, end = render.literal(wanted.begin), render.literal(wanted.begin + ROWS)
        if not conditions and not by_size:
            page = render.render("web.first_page", texts=texts, kept=_KEPT_TABLE, begin=begin, end=end)
            return Rows(self.total, self._run(page))
        order = [Sql("rowid")]
        if by_size and column:
            # As floating-point numbers, because a difference of integers may be too large.
            size = "abs(CAST({{new}} AS DOUBLE) - CAST({{old}} AS DOUBLE)) DESC NULLS LAST"
            order = [render.fill(size, new=column.new, old=column.old), *order]
        with self._listing:
            listed, total = self._list(render.joined(conditions or [Sql("true")], " AND "), values, order)
            page = render.render("web.listed_page", texts=texts, kept=_KEPT_TABLE, listed=listed, begin=begin, end=end)
            return Rows(total, self._run(page))

    def _list(self, condition: Sql, values: Sequence[Any], order: Sequence[Sql]) -> tuple[Sql, int]:
        """The table with the numbers of the rows that match, in their order, and how many: made once."""
        asked = (condition, *values, *order)
        found = self._lists.pop(asked, None)
        if found is None:
            name = render.table(ObjectName("main", f"listed_{next(self._numbers)}"), _LISTS)
            self._run(
                render.render("web.list", listed=name, kept=_KEPT_TABLE, condition=condition, order=order), values
            )
            [[total]] = self._run(render.render("web.listed", listed=name))
            found = name, total
        self._lists[asked] = found
        while len(self._lists) > MOST_LISTS:
            dropped, _ = self._lists.pop(next(iter(self._lists)))
            self._run(render.fill("DROP TABLE {{listed}}", listed=dropped))
        return found

    def record(self, number: int) -> tuple[Any, ...] | None:
        """One row: kind, changed columns, and the whole texts of old and new values of all columns in turn."""
        texts = [_text(value) for column in self.columns for value in (column.old, column.new)]
        kept, wanted = _KEPT_TABLE, render.literal(number)
        return next(iter(self._run(render.render("web.record", texts=texts, kept=kept, number=wanted))), None)

    def _conditions(self, wanted: Wanted) -> tuple[list[Sql], list[Any]]:
        conditions: list[Sql] = []
        values: list[Any] = []
        if wanted.kind in KINDS:
            conditions.append(Sql("kind = ?"))
            values.append(wanted.kind)
        if self.named(wanted.column):
            conditions.append(Sql("list_contains(changed, ?)"))
            values.append(wanted.column)
        if wanted.text:
            searched = [c for c in self.columns if c.key or c.cells or c.type == "VARCHAR"] or list(self.columns)
            found = [
                render.fill("contains(lower({{text}}), ?)", text=_text(value))
                for column in searched
                for value in (column.old, column.new)
            ]
            conditions.append(render.fill("({{found}})", found=render.joined(found, " OR ")))
            values.extend([wanted.text.lower()] * len(found))
        return conditions, values

    def _run(self, statement: Sql, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            return cursor.execute(statement, list(values)).fetchall()


class Comparisons:
    """The differences that were asked for since the start, in a private folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[tuple[str, ...], Kept] = {}
        self._making = threading.Lock()

    def made(self, between: Sequence[str], table: str) -> bool:
        """Whether a difference is there already."""
        return (*between, table) in self._kept

    def of(self, repository: Repository, rows: Sql, between: Sequence[str], table: str, key: Sequence[str]) -> Kept:
        """The difference of a table. ``rows`` is the call of a function that gives it, with the columns of
        ``epoch_diff``, and ``between`` names what the difference is of."""
        with self._making:
            name = (*between, table)
            found = self._kept.get(name)
            if found is None:
                found = self._kept[name] = self._make(repository, rows, name, key)
            return found

    def close(self) -> None:
        """Close the files. Their folder is the lease's."""
        for kept in self._kept.values():
            kept.connection.close()
        self._kept.clear()

    def _make(self, repository: Repository, rows: Sql, name: Sequence[str], key: Sequence[str]) -> Kept:
        alias = f"difference_{hashlib.sha256(repr(name).encode()).hexdigest()[:16]}"
        path = self._folder / f"{alias}.duckdb"
        with repository.connection.cursor() as cursor:
            columns = _columns(cursor, rows, key)
            file, database = render.literal(str(path)), render.identifier(alias)
            cursor.execute(render.fill("ATTACH {{file}} AS {{database}} (READ_WRITE)", file=file, database=database))
            try:
                cursor.execute(
                    render.render(
                        "web.keep",
                        kept=render.table(ObjectName("main", _KEPT), alias),
                        columns=[_value(column, side) for column in columns for side in ("from", "to")],
                        rows=rows,
                        order=[_either(column) for column in columns if column.key] or [Sql("ALL")],
                    )
                )
            finally:
                cursor.execute(render.fill("DETACH {{database}}", database=database))
        connection = duckdb.connect(str(path), read_only=True)
        connection.execute(render.fill("ATTACH ':memory:' AS {{lists}} (READ_WRITE)", lists=render.identifier(_LISTS)))
        kept = _KEPT_TABLE
        counts: dict[str, int] = {
            **dict.fromkeys(KINDS, 0),
            **dict(connection.execute(render.render("web.counts", kept=kept)).fetchall()),
        }
        cells = dict(connection.execute(render.render("web.changed_cells", kept=kept)).fetchall())
        known = tuple(replace(column, cells=cells.get(column.name, 0)) for column in columns)
        return Kept(name[-1], known, counts, connection)


def _columns(cursor: duckdb.DuckDBPyConnection, rows: Sql, key: Sequence[str]) -> list[Column]:
    """The columns of both sides, in the order in which the function has them."""
    described = cursor.execute(render.fill("DESCRIBE FROM {{rows}}", rows=rows)).fetchall()
    types: dict[str, dict[str, str]] = {}
    for name, kind, *_ in described[2:]:
        side, _, column = name.partition("_")
        types.setdefault(column, {})[side] = kind
    return [
        Column(name, position, sides.get("from"), sides.get("to"), name in key)
        for position, (name, sides) in enumerate(types.items())
    ]


def _value(column: Column, side: Literal["from", "to"]) -> Sql:
    there = column.before if side == "from" else column.after
    value = render.identifier(f"{side}_{column.name}") if there else Sql("NULL")
    return render.fill("{{value}} AS {{name}}", value=value, name=column.old if side == "from" else column.new)


def _either(column: Column) -> Sql:
    """The value of a key column on the side that has the row."""
    sides = [
        *([render.identifier(f"to_{column.name}")] if column.after else []),
        *([render.identifier(f"from_{column.name}")] if column.before else []),
    ]
    return render.fill("coalesce({{sides}})", sides=sides) if len(sides) > 1 else sides[0]


def is_number(type_: str) -> bool:
    """Whether the values of a type are numbers."""
    return type_.removeprefix("U").split("(")[0] in _NUMBERS


def beginning(value: Sql) -> Sql:
    """As much of a value as a page shows, as text."""
    return render.fill("left({{text}}, {{longest}})", text=_text(value), longest=render.literal(LONGEST))


def _text(value: Sql) -> Sql:
    return render.fill("CAST({{value}} AS VARCHAR)", value=value)
