"""What the classes of the catalog's tables have in common: bulk inserts and typed reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import duckdb

from epoch_sql import render

_INSERT = render.Sql("INSERT INTO {{table}} ({{columns}}) SELECT {{values}}")
_SELECT = render.Sql("SELECT {{columns}} FROM {{table}}")


def run(
    cursor: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> duckdb.DuckDBPyConnection:
    """Execute a statement, whose ``{{epoch}}`` stands for the catalog's schema."""
    given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    return cursor.execute(render.fill(statement), given)


class Relation:
    """A catalog table: its name and its columns with their types, declared once."""

    name: ClassVar[str]
    columns: ClassVar[dict[str, str]]

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor

    def insert(self, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, given as values in the order of ``columns``, in one statement."""
        batch = [tuple(row) for row in rows]
        if not batch:
            return
        values = [
            render.fill(render.Sql("unnest(CAST(? AS {{type}}[]))"), type=render.verbatim(kind))
            for kind in self.columns.values()
        ]
        statement = render.fill(_INSERT, table=self._table(), columns=self._names(), values=values)
        kinds = self.columns.values()
        self.cursor.execute(
            statement, [_list(kind, c) for kind, c in zip(kinds, zip(*batch, strict=True), strict=True)]
        )

    def select(self, condition: str = "", parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows, as tuples in the order of ``columns``; ``condition`` is what follows FROM."""
        statement = render.fill(_SELECT, table=self._table(), columns=self._names())
        return self.cursor.execute(f"{statement} {render.fill(condition)}", list(parameters)).fetchall()

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        """Execute a statement, whose ``{{epoch}}`` stands for the catalog's schema."""
        return run(self.cursor, statement, parameters)

    def _table(self) -> render.Fragment:
        return render.catalog_table(self.name)

    def _names(self) -> list[Any]:
        return [render.column(name) for name in self.columns]


def _list(kind: str, values: Sequence[Any]) -> list[Any]:
    """Values as a list parameter; DuckDB 1.4 takes a list of large numbers for floating point, so those go as text."""
    return [None if v is None else str(v) for v in values] if kind == "HUGEINT" else list(values)
