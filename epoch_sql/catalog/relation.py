"""The base class of the catalog's tables: bulk inserts and typed reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import duckdb

from epoch_sql import render

_INSERT = render.Sql("INSERT INTO {{table}} ({{columns}}) SELECT {{values}}")
_INSERT_MISSING = render.Sql(
    "INSERT INTO {{table}} ({{columns}}) SELECT {{columns}} FROM (SELECT {{values}}) AS added ({{columns}}) "
    "ANTI JOIN {{table}} AS stored USING ({{id}})"
)
_APPEND = render.Sql(
    "INSERT INTO {{table}} (sequence, {{columns}}) SELECT coalesce(max(sequence), 0) + 1, {{values}} FROM {{table}}"
)
_ONE = "CAST(? AS {{type}})"
_MANY = "unnest(CAST(? AS {{type}}[]))"
_SELECT = render.Sql("SELECT {{columns}} FROM {{table}}")


def run(
    cursor: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> duckdb.DuckDBPyConnection:
    """Execute a statement. ``{{epoch}}`` in it is the schema of the catalog."""
    given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    return cursor.execute(render.fill(statement), given)


class Relation:
    """A catalog table: its name and its columns with their types, declared once."""

    name: ClassVar[str]
    columns: ClassVar[dict[str, str]]

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor

    def insert(self, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows in one statement. Their values are in the order of ``columns``."""
        self._insert(_INSERT, [tuple(row) for row in rows])

    def insert_missing(self, rows: Iterable[Sequence[Any]]) -> None:
        """Insert the rows whose id (the first column) is not stored yet, as ``insert`` does."""
        self._insert(_INSERT_MISSING, [tuple(row) for row in rows])

    def append(self, values: Sequence[Any]) -> None:
        """Insert a row whose ``sequence`` follows the last one: ``values`` are those of the other columns, in order."""
        kinds = {name: kind for name, kind in self.columns.items() if name != "sequence"}
        statement = render.fill(
            _APPEND,
            table=self._table(),
            columns=[render.column(name) for name in kinds],
            values=_values(_ONE, [*kinds.values()]),
        )
        self.cursor.execute(statement, _parameters([*kinds.values()], values))

    def _insert(self, template: render.Sql, batch: list[tuple[Any, ...]]) -> None:
        if not batch:
            return
        names, kinds = self._names(), [*self.columns.values()]
        rows = [_parameters(kinds, row) for row in batch]
        # A single row is the most frequent case, and takes half the time without unnest.
        form, parameters = (_ONE, rows[0]) if len(rows) == 1 else (_MANY, [*map(list, zip(*rows, strict=True))])
        values = _values(form, kinds)
        self.cursor.execute(
            render.fill(template, table=self._table(), columns=names, values=values, id=names[0]), parameters
        )

    def select(self, condition: str = "", parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows, as tuples in the order of ``columns``. ``condition`` is the text after FROM."""
        statement = render.fill(_SELECT, table=self._table(), columns=self._names())
        return self.cursor.execute(f"{statement} {render.fill(condition)}", list(parameters)).fetchall()

    def with_ids(self, ids: Iterable[str]) -> list[tuple[Any, ...]]:
        """The rows with these ids (in the first column), as ``select`` gives them."""
        wanted = sorted(set(ids))
        if not wanted:
            return []
        # A single id is the most frequent case, and a comparison is planned faster than a join.
        condition = "WHERE {{id}} = ?" if len(wanted) == 1 else "WHERE {{id}} IN (SELECT unnest(?))"
        parameter = wanted[0] if len(wanted) == 1 else wanted
        return self.select(render.fill(condition, id=self._names()[0]), [parameter])

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        """Execute a statement. ``{{epoch}}`` in it is the schema of the catalog."""
        return run(self.cursor, statement, parameters)

    def _table(self) -> render.Fragment:
        return render.catalog_table(self.name)

    def _names(self) -> list[Any]:
        return [render.column(name) for name in self.columns]


def _values(form: str, kinds: Sequence[str]) -> list[render.Sql]:
    return [render.fill(form, type=render.verbatim(kind)) for kind in kinds]


def _parameters(kinds: Sequence[str], values: Sequence[Any]) -> list[Any]:
    """Values as parameters. DuckDB 1.4 reads large numbers as floating point, so they are passed as text."""
    return [
        str(value) if kind == "HUGEINT" and value is not None else value
        for kind, value in zip(kinds, values, strict=True)
    ]
