"""The catalog tables of what stops merges in progress: conflicts and violations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import Relation
from epoch_sql.render import Sql


@dataclass(frozen=True)
class Scope:
    """What a decision is about: a table, a row (its key as canonical JSON) and a column. None means all."""

    table_name: str | None
    key: str | None
    column_name: str | None


class Obstacles(Relation):
    """A catalog table of what stops merges, each row of one merge (its target)."""

    @classmethod
    def none(cls) -> Sql:
        """No obstacle, with the columns of the table but the target."""
        return render.no_rows((name, Sql(kind)) for name, kind in cls.columns.items() if name != "target")

    def list(self, target: str, rows: Sql) -> None:
        """Replace the obstacles of a merge by the rows of a query, in the columns of ``none``."""
        self.run(f"DELETE FROM {self._table()} WHERE target = ?", [target])
        columns = [render.column(name) for name in self.columns if name != "target"]
        statement = render.render("obstacles.list", table=self._table(), columns=columns, rows=rows)
        self.cursor.execute(statement, {"target": target})

    def _count(self, query: str, parameters: dict[str, Any]) -> tuple[int, ...]:
        row = self.cursor.execute(render.render(query), parameters).fetchone()
        assert row
        return tuple(int(count) for count in row)


class Conflicts(Obstacles):
    """``epoch.conflicts``: the cells, rows, numbers of copies and definitions in conflict."""

    name = "conflicts"
    columns = {
        "target": "VARCHAR",
        "table_name": "VARCHAR",
        "key": "VARCHAR",
        "column_name": "VARCHAR",
        "kind": "VARCHAR",
        "base": "VARCHAR",
        "ours": "VARCHAR",
        "theirs": "VARCHAR",
        "resolved": "BOOLEAN",
    }

    def open(self, target: str) -> list[tuple[str, int]]:
        """(table, unresolved conflicts) for each table that has any."""
        return self.cursor.execute(render.render("obstacles.open"), {"target": target}).fetchall()

    def table_names(self, target: str) -> list[str]:
        """The tables that are listed, also for violations, and those that were decided."""
        rows = self.cursor.execute(render.render("obstacles.table_names"), {"target": target}).fetchall()
        return [str(row[0]) for row in rows]

    def key_text(self, target: str, table_name: str, key: str) -> str | None:
        """The listed text of a key that is given as that text or as JSON."""
        given = {"target": target, "table": table_name, "key": key}
        row = self.cursor.execute(render.render("obstacles.key_text"), given).fetchone()
        return str(row[0]) if row else None

    def near(self, target: str, scope: Scope) -> tuple[int, ...]:
        """The number of conflicts in a scope or in its rows, and how many of them are open."""
        return self._count("obstacles.conflicts_near", _parameters(target, scope))

    def kinds(self, target: str, scope: Scope) -> set[str]:
        """The kinds of the conflicts in a scope."""
        rows = self.cursor.execute(render.render("obstacles.kinds"), _parameters(target, scope)).fetchall()
        return {str(row[0]) for row in rows}

    def mark_resolved(self, target: str, scope: Scope, side: str) -> None:
        """Mark what the choice of a side resolves in a scope, if all values fit."""
        self.cursor.execute(render.render("obstacles.mark_resolved"), {**_parameters(target, scope), "side": side})


class Violations(Obstacles):
    """``epoch.violations``: rows that would break constraints, and definitions that cannot be created."""

    name = "violations"
    columns = {
        "target": "VARCHAR",
        "table_name": "VARCHAR",
        "constraint_name": "VARCHAR",
        "kind": "VARCHAR",
        "key": "VARCHAR",
        "detail": "VARCHAR",
    }

    def count(self, violating: Violating) -> int:
        """How many there are."""
        row = self._chosen("SELECT count(*) FROM ({{violating}}) AS violating", violating).fetchone()
        assert row
        return int(row[0])

    def of_definitions(self, violating: Violating) -> int:
        """How many of them are about a whole table or object."""
        statement = "SELECT count(*) FROM ({{violating}}) AS violating WHERE key IS NULL"
        row = self._chosen(statement, violating).fetchone()
        assert row
        return int(row[0])

    def tables(self, violating: Violating) -> list[str]:
        """The names of the tables whose rows violate."""
        statement = "SELECT DISTINCT table_name FROM ({{violating}}) AS violating WHERE key IS NOT NULL ORDER BY ALL"
        return [str(row[0]) for row in self._chosen(statement, violating).fetchall()]

    def referring(self, violating: Violating) -> set[str]:
        """The names of the tables that violate foreign keys."""
        statement = "SELECT DISTINCT table_name FROM ({{violating}}) AS violating WHERE kind = 'foreign key'"
        return {str(row[0]) for row in self._chosen(statement, violating).fetchall()}

    def foreign_keys(self, violating: Violating) -> list[tuple[str, str]]:
        """(table, constraint) of foreign keys that rows violate."""
        return self._chosen(render.load("obstacles.violated_foreign_keys"), violating).fetchall()

    def _chosen(self, statement: str, violating: Violating) -> duckdb.DuckDBPyConnection:
        return self.cursor.execute(render.fill(statement, violating=violations(violating)))


@dataclass(frozen=True)
class Violating:
    """Chooses violations of a merge: by table, row (its key) and constraint. None means all."""

    target: str
    table_name: str | None = None
    key: str | None = None
    constraint_name: str | None = None

    def fill(self, query: str) -> Sql:
        """A query for what is chosen."""
        return render.render(
            query,
            target=render.literal(self.target),
            table=render.literal(self.table_name),
            key=render.literal(self.key),
            constraint=render.literal(self.constraint_name),
        )


def violations(violating: Violating) -> Sql:
    """A query for the chosen rows of ``epoch.violations``."""
    return violating.fill("obstacles.violations")


def _parameters(target: str, scope: Scope) -> dict[str, Any]:
    return {"target": target, "table": scope.table_name, "key": scope.key, "column": scope.column_name}
