"""The catalog tables of merges in progress: sides, decisions, and what stops them: conflicts and violations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import Relation
from epoch_sql.model.commit import Resolution
from epoch_sql.render import Sql
from epoch_sql.verb import Json


@dataclass(frozen=True)
class MergeInProgress:
    """A merge, revert or cherry-pick (``kind``) that stopped, by its target branch.

    The roots and commits say what is merged.
    """

    target: str
    kind: Literal["merge", "revert", "cherry-pick"]
    ours_commit: str
    theirs_commit: str
    base_root: str
    theirs_root: str
    source: str
    message: str
    author: str
    squash: bool
    strategy: str
    keep_undone: bool
    started_at: datetime


class Merges(Relation):
    """``epoch.merges``: the merges in progress, at most one for each target branch."""

    name = "merges"
    columns = {
        "target": "VARCHAR",
        "kind": "VARCHAR",
        "ours_commit": "VARCHAR",
        "theirs_commit": "VARCHAR",
        "base_root": "VARCHAR",
        "theirs_root": "VARCHAR",
        "source": "VARCHAR",
        "message": "VARCHAR",
        "author": "VARCHAR",
        "squash": "BOOLEAN",
        "strategy": "VARCHAR",
        "keep_undone": "BOOLEAN",
        "started_at": "TIMESTAMP",
    }

    def get(self, target: str) -> MergeInProgress | None:
        """The merge in progress into a branch, if there is one."""
        rows = self.select("WHERE target = ?", [target])
        return MergeInProgress(*rows[0]) if rows else None

    def remove(self, target: str) -> None:
        """Delete a merge, with its conflicts, violations and resolutions."""
        for statement in (
            "DELETE FROM {{epoch}}.merges WHERE target = ?",
            "DELETE FROM {{epoch}}.conflicts WHERE target = ?",
            "DELETE FROM {{epoch}}.violations WHERE target = ?",
            "DELETE FROM {{epoch}}.resolutions WHERE target = ?",
        ):
            self.run(statement, [target])

    def rename(self, old: str, new: str) -> None:
        """Move the merge in progress of a branch to the branch's new name."""
        for statement in (
            "UPDATE {{epoch}}.merges SET target = ? WHERE target = ?",
            "UPDATE {{epoch}}.conflicts SET target = ? WHERE target = ?",
            "UPDATE {{epoch}}.violations SET target = ? WHERE target = ?",
            "UPDATE {{epoch}}.resolutions SET target = ? WHERE target = ?",
        ):
            self.run(statement, [new, old])


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

    def list(self, target: str, rows: Sql) -> bool:
        """Replace the obstacles of a merge by the rows of a query, in the columns of ``none``. Whether there may be
        any: the query of ``none`` is not run."""
        self.run(f"DELETE FROM {self._table()} WHERE target = ?", [target])
        if rows == self.none():
            return False
        columns = [render.column(name) for name in self.columns if name != "target"]
        statement = render.render("obstacles.list", table=self._table(), columns=columns, rows=rows)
        self.cursor.execute(statement, {"target": target})
        return True

    def _count(self, query: str, parameters: dict[str, Any]) -> tuple[int, ...]:
        row = self.cursor.execute(render.render(query), parameters).fetchone()
        assert row
        return tuple(int(count) for count in row)


@dataclass(frozen=True)
class Conflict:
    """What both sides of a merge changed: a cell, a row, copies of a row, or (without a key) a definition.

    One that is resolved has the ``side`` that it was resolved to, and the ``value`` if that was given.
    """

    table: str
    key: Json | None
    column: str | None
    kind: Literal["modify/modify", "modify/delete", "delete/modify", "add/add", "copies", "schema"]
    base: Json | None
    ours: Json | None
    theirs: Json | None
    resolved: bool
    side: Literal["ours", "theirs", "base", "both", "value"] | None
    value: str | None


def listed_conflicts(rows: Sql, target: str | None, strategy: str | None, table: str | None) -> Sql:
    """The rows of ``epoch_conflicts`` for conflicts with JSON as text, with what was decided for them: by the decisions
    that are kept for a target (None: by none), or else by a strategy."""
    return render.render(
        "obstacles.listed",
        conflicts=rows,
        target=render.literal(target),
        strategy=render.literal(strategy if strategy in ("ours", "theirs") else None),
        table_name=render.literal(table),
    )


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


class Resolutions(Relation):
    """``epoch.resolutions``: decisions, in their order.

    A decision for a row or definition may have consequences, such as one for the row that it refers to. A consequence
    names its cause, and is deleted when that is decided again.
    """

    name = "resolutions"
    columns = {
        "target": "VARCHAR",
        "sequence": "BIGINT",
        "table_name": "VARCHAR",
        "key": "VARCHAR",
        "column_name": "VARCHAR",
        "side": "VARCHAR",
        "value": "VARCHAR",
        "forced": "BOOLEAN",
        "cause_table": "VARCHAR",
        "cause_key": "VARCHAR",
    }

    def of(self, target: str) -> tuple[Resolution, ...]:
        """The decisions for a merge, earliest first. A repeated decision has the place of its last repetition."""
        rows = self.select("WHERE target = ? ORDER BY sequence DESC", [target])
        return tuple(dict.fromkeys(Resolution(*row[2:8]) for row in rows))[::-1]

    def add(self, target: str, scope: Scope, side: str, value: str | None, forced: bool) -> None:
        """Store a decision for what is in a scope."""
        self.append((target, scope.table_name, scope.key, scope.column_name, side, value, forced, None, None))

    def has_forced(self, target: str) -> bool:
        """Whether there are decisions for violations."""
        return bool(self.select("WHERE target = ? AND forced LIMIT 1", [target]))

    def was_forced(self, target: str, table_name: str | None, key: str | None) -> bool:
        """Whether a violation of a row, table or object was decided, or a value in the row was given."""
        given = {"target": target, "table": table_name, "key": key}
        row = self.cursor.execute(render.render("obstacles.was_forced"), given).fetchone()
        return bool(row and row[0])

    def drop_consequences(self, violating: Violating) -> list[str]:
        """Forget what follows from what is ``settled``, and what follows from that; the sides of what is forgotten."""
        target = render.literal(violating.target)
        dropping = render.render("obstacles.drop_consequences", target=target, causes=_settled(violating))
        sides = [str(row[0]) for row in self.cursor.execute(dropping).fetchall()]
        uncaused = render.render("obstacles.drop_uncaused", target=target)
        while sides and self.cursor.execute(uncaused).fetchall():
            pass
        return sides

    def last(self) -> int:
        """The sequence number of the last decision of any merge."""
        row = self.run("SELECT coalesce(max(sequence), 0) FROM {{epoch}}.resolutions").fetchone()
        assert row
        return int(row[0])

    def take_violating(self, violating: Violating, side: str, since: int) -> int:
        """Decide that violating rows, and what cannot be made, are as on a side, again also what did before it was
        decided; gives how many were not decided so after ``since``."""
        return self._take(_uncaused(_settled(violating)), violating.target, side, since)

    def take_again(self, violating: Violating, side: str, since: int) -> int:
        """Decide again, for a side, what violated before its first decision."""
        return self._take(_uncaused(violating.fill("obstacles.settled_before")), violating.target, side, since)

    def count_settled(self, violating: Violating) -> int:
        """The number of rows and objects that violate, or that did before they were decided."""
        statement = "SELECT count(*) FROM ({{settled}}) AS settled"
        row = self.cursor.execute(render.fill(statement, settled=_settled(violating))).fetchone()
        assert row
        return int(row[0])

    def take_rows(self, target: str, table_name: str, keys: Sql, cause: str, side: str, since: int) -> int:
        """Decide that rows of a table are as on a side, for rows of another one (``cause``) that refer to them.

        ``keys`` is a query for the keys of both: ``key``, ``cause_key``.
        """
        table, causing = render.literal(table_name), render.literal(cause)
        rows = render.render("obstacles.because_of_rows", table=table, cause=causing, keys=keys)
        return self._take(rows, target, side, since)

    def take_definition(self, target: str, table_name: str, cause: str, side: str, since: int) -> int:
        """Decide that a table or another object is defined as on a side, for objects that cannot be created
        otherwise."""
        table, causing = render.literal(table_name), render.literal(cause)
        rows = render.render("obstacles.because_of_definition", table=table, cause=causing)
        return self._take(rows, target, side, since)

    def _take(self, rows: Sql, target: str, side: str, since: int) -> int:
        values = {"target": target, "side": side, "since": since, "last": self.last()}
        row = self.cursor.execute(render.render("obstacles.take", rows=rows), values).fetchone()
        assert row
        return int(row[0])


def _settled(violating: Violating) -> Sql:
    """(table_name, key) of rows that violate, and of those that did before they were decided. For one constraint,
    only the former."""
    before = violating.fill("obstacles.settled_before")
    return render.render("obstacles.settled", violating=violations(violating), before=before)


def _uncaused(rows: Sql) -> Sql:
    return render.render("obstacles.uncaused", rows=rows)
