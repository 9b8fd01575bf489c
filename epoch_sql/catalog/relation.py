"""What the classes of the catalog's tables have in common: bulk inserts and typed reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import duckdb

from epoch_sql import render
from epoch_sql.model.schema import ObjectName

_INSERT = render.Sql("INSERT INTO {{table}} ({{columns}}) SELECT {{values}}")
_SELECT = render.Sql("SELECT {{columns}} FROM {{table}}")


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
        self.cursor.execute(statement, [list(column) for column in zip(*batch, strict=True)])

    def select(self, condition: str = "", parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows, as tuples in the order of ``columns``; ``condition`` is what follows FROM."""
        statement = render.fill(_SELECT, table=self._table(), columns=self._names())
        return self.cursor.execute(f"{statement} {condition}", list(parameters)).fetchall()

    def _table(self) -> render.Fragment:
        return render.table(ObjectName("epoch", self.name))

    def _names(self) -> list[Any]:
        return [render.column(name) for name in self.columns]
