"""The catalog tables of merges in progress: their sides, decisions, conflicts and violations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import Relation
from epoch_sql.model.commit import Resolution
from epoch_sql.render import Sql


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


@dataclass(frozen=True)
class Violating:
    """Chooses violations of a merge: by table, row (its key) and constraint. None means all."""

    target: str
    table_name: str | None = None
    key: str | None = None
    constraint_name: str | None = None


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

    def list_obstacles(self, target: str, conflicts: Sql, violations: Sql) -> None:
        """Replace the conflicts and violations of a merge by the rows of two queries."""
        self.run("DELETE FROM {{epoch}}.conflicts WHERE target = ?", [target])
        self.run("DELETE FROM {{epoch}}.violations WHERE target = ?", [target])
        columns = "table_name, key, column_name, kind, base, ours, theirs, resolved"
        self.cursor.execute(f"{self._into('conflicts')} SELECT ?, {columns} FROM ({conflicts}) AS conflicts", [target])
        self.cursor.execute(
            f"{self._into('violations')} SELECT ?, table_name, constraint_name, kind, key, detail "
            f"FROM ({violations}) AS violations",
            [target],
        )

    def open_obstacles(self, target: str) -> tuple[list[tuple[str, int]], int]:
        """(table, unresolved conflicts) for each table that has any, and the number of violations."""
        conflicts = self.run(
            "SELECT table_name, count(*) FROM {{epoch}}.conflicts WHERE target = ? AND NOT resolved "
            "GROUP BY ALL ORDER BY ALL",
            [target],
        ).fetchall()
        row = self.run("SELECT count(*) FROM {{epoch}}.violations WHERE target = ?", [target]).fetchone()
        assert row
        return conflicts, int(row[0])

    @staticmethod
    def _into(name: str) -> str:
        return render.fill(Sql("INSERT INTO {{t}}"), t=render.catalog_table(name))


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

    def add(
        self,
        target: str,
        table: str | None,
        key: str | None,
        column: str | None,
        side: str,
        value: str | None,
        forced: bool,
    ) -> None:
        """Store a decision for all conflicts, or for a table, a row or a cell."""
        self.append((target, table, key, column, side, value, forced, None, None))

    def drop_consequences(self, violating: Violating) -> list[str]:
        """Forget what follows from what is ``settled``, and what follows from that; the sides of what is forgotten."""
        target = render.literal(violating.target)
        dropping = render.fill(Sql(_DROP_CONSEQUENCES), target=target, causes=settled(violating))
        sides = [str(row[0]) for row in self.cursor.execute(dropping).fetchall()]
        uncaused = render.fill(Sql(_DROP_UNCAUSED), target=target)
        while sides and self.cursor.execute(uncaused).fetchall():
            pass
        return sides

    def last(self) -> int:
        """The sequence number of the last decision of any merge."""
        row = self.run("SELECT coalesce(max(sequence), 0) FROM {{epoch}}.resolutions").fetchone()
        assert row
        return int(row[0])

    def count_violating(self, violating: Violating) -> int:
        """The number of these violations."""
        row = self._violating("SELECT count(*) FROM ({{violating}}) AS violating", violating).fetchone()
        assert row
        return int(row[0])

    def tables_violating(self, violating: Violating) -> list[str]:
        """The names of the tables whose rows violate."""
        statement = "SELECT DISTINCT table_name FROM ({{violating}}) AS violating WHERE key IS NOT NULL ORDER BY ALL"
        return [str(row[0]) for row in self._violating(statement, violating).fetchall()]

    def violated_foreign_keys(self, violating: Violating) -> list[tuple[str, str]]:
        """(table, constraint) of foreign keys that rows violate."""
        statement = (
            "SELECT DISTINCT table_name, constraint_name FROM ({{violating}}) AS violating "
            "WHERE kind = 'foreign key' AND key IS NOT NULL ORDER BY ALL"
        )
        return self._violating(statement, violating).fetchall()

    def take_violating(self, violating: Violating, side: str, since: int) -> int:
        """Decide that violating rows, and what cannot be made, are as on a side, again also what did before it was
        decided; gives how many were not decided so after ``since``."""
        return self._take(_uncaused(settled(violating)), violating.target, side, since)

    def take_again(self, violating: Violating, side: str, since: int) -> int:
        """Decide again, for a side, what violated before its first decision."""
        return self._take(_uncaused(_settled_before(violating)), violating.target, side, since)

    def count_settled(self, violating: Violating) -> int:
        """The number of rows and objects that violate, or that did before they were decided."""
        row = self.cursor.execute(
            render.fill(Sql("SELECT count(*) FROM ({{settled}}) AS settled"), settled=settled(violating))
        ).fetchone()
        assert row
        return int(row[0])

    def take_rows(self, target: str, table_name: str, keys: Sql, cause: str, side: str, since: int) -> int:
        """Decide that rows of a table are as on a side, for rows of another one (``cause``) that refer to them.

        ``keys`` is a query for the keys of both: ``key``, ``cause_key``.
        """
        rows = render.fill(
            Sql("SELECT {{table}} AS table_name, key, {{cause}} AS cause_table, cause_key FROM ({{keys}}) AS keys"),
            table=render.literal(table_name),
            cause=render.literal(cause),
            keys=keys,
        )
        return self._take(rows, target, side, since)

    def take_definition(self, target: str, table_name: str, cause: str, side: str, since: int) -> int:
        """Decide that a table or another object is defined as on a side, for objects that cannot be created
        otherwise."""
        rows = render.fill(
            Sql(
                "SELECT {{table}} AS table_name, CAST(NULL AS VARCHAR) AS key, {{cause}} AS cause_table, "
                "CAST(NULL AS VARCHAR) AS cause_key"
            ),
            table=render.literal(table_name),
            cause=render.literal(cause),
        )
        return self._take(rows, target, side, since)

    def _violating(self, statement: str, violating: Violating) -> duckdb.DuckDBPyConnection:
        return self.cursor.execute(render.fill(Sql(statement), violating=violations(violating)))

    def _take(self, rows: Sql, target: str, side: str, since: int) -> int:
        statement = render.fill(Sql(_TAKE), rows=rows)
        values = {"target": target, "side": side, "since": since, "last": self.last()}
        row = self.cursor.execute(statement, values).fetchone()
        assert row
        return int(row[0])


def violations(violating: Violating) -> Sql:
    """A query for the chosen rows of ``epoch.violations``."""
    return _meant(
        "SELECT * FROM {{epoch}}.violations WHERE target = {{target}} "
        "AND ({{table}} IS NULL OR table_name = {{table}}) AND ({{key}} IS NULL OR key = {{key}}) "
        "AND ({{constraint}} IS NULL OR constraint_name = {{constraint}})",
        violating,
    )


def settled(violating: Violating) -> Sql:
    """(table_name, key) of rows that violate, and of those that did before they were decided. For one constraint,
    only the former."""
    return render.fill(
        Sql("SELECT table_name, key FROM ({{violating}}) AS violating UNION ({{before}})"),
        violating=violations(violating),
        before=_settled_before(violating),
    )


def _settled_before(violating: Violating) -> Sql:
    return _meant(
        "SELECT DISTINCT table_name, key FROM {{epoch}}.resolutions WHERE target = {{target}} AND forced "
        "AND column_name IS NULL AND ({{table}} IS NULL OR table_name = {{table}}) "
        "AND ({{key}} IS NULL OR key = {{key}}) AND {{constraint}} IS NULL",
        violating,
    )


def _uncaused(places: Sql) -> Sql:
    return render.fill(
        Sql(
            "SELECT *, CAST(NULL AS VARCHAR) AS cause_table, CAST(NULL AS VARCHAR) AS cause_key FROM ({{p}}) AS places"
        ),
        p=places,
    )


def _meant(query: str, violating: Violating) -> Sql:
    return render.fill(
        Sql(query),
        target=render.literal(violating.target),
        table=render.literal(violating.table_name),
        key=render.literal(violating.key),
        constraint=render.literal(violating.constraint_name),
    )


_TAKE = """
INSERT INTO {{epoch}}.resolutions (target, sequence, table_name, key, side, forced, cause_table, cause_key)
SELECT
    $target, $last + row_number() OVER (ORDER BY table_name, key, cause_table, cause_key),
    table_name, key, $side, true, cause_table, cause_key
FROM ({{rows}}) AS taken
WHERE NOT EXISTS (
    FROM {{epoch}}.resolutions AS r
    WHERE r.target = $target AND r.table_name = taken.table_name AND r.key IS NOT DISTINCT FROM taken.key
      AND r.column_name IS NULL AND r.side = $side AND r.forced AND r.sequence > $since
      AND (taken.cause_table IS NULL OR (
          r.cause_table = taken.cause_table AND r.cause_key IS NOT DISTINCT FROM taken.cause_key))
)
"""
_DROP_CONSEQUENCES = """
DELETE FROM {{epoch}}.resolutions AS r
WHERE target = {{target}} AND cause_table IS NOT NULL AND EXISTS (
    FROM ({{causes}}) AS cause WHERE cause.table_name = r.cause_table AND cause.key IS NOT DISTINCT FROM r.cause_key
)
RETURNING side
"""
_DROP_UNCAUSED = """
DELETE FROM {{epoch}}.resolutions AS r
WHERE target = {{target}} AND cause_table IS NOT NULL AND NOT EXISTS (
    FROM {{epoch}}.resolutions AS cause
    WHERE cause.target = {{target}} AND cause.table_name = r.cause_table AND cause.key IS NOT DISTINCT FROM r.cause_key
)
RETURNING side
"""
