"""The catalog tables of merges in progress: what is merged, what was decided, and what is still in the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from epoch_sql import render
from epoch_sql.catalog.relation import Relation
from epoch_sql.model.origin import Resolution
from epoch_sql.render import Sql


@dataclass(frozen=True)
class MergeInProgress:
    """A merge (or revert, or cherry-pick: ``kind``) that stopped, by its target branch.

    The roots and commits say what is merged.
    """

    target: str
    kind: str
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
    """``epoch.merges``: the merges in progress, one for each target branch at most."""

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
        """Forget a merge, with its conflicts, violations and resolutions."""
        for statement in (
            "DELETE FROM {{epoch}}.merges WHERE target = ?",
            "DELETE FROM {{epoch}}.conflicts WHERE target = ?",
            "DELETE FROM {{epoch}}.violations WHERE target = ?",
            "DELETE FROM {{epoch}}.resolutions WHERE target = ?",
        ):
            self.run(statement, [target])

    def rename(self, old: str, new: str) -> None:
        """Keep the merge in progress of a branch, and all that belongs to it, under the branch's new name."""
        for statement in (
            "UPDATE {{epoch}}.merges SET target = ? WHERE target = ?",
            "UPDATE {{epoch}}.conflicts SET target = ? WHERE target = ?",
            "UPDATE {{epoch}}.violations SET target = ? WHERE target = ?",
            "UPDATE {{epoch}}.resolutions SET target = ? WHERE target = ?",
        ):
            self.run(statement, [new, old])

    def list_obstacles(self, target: str, conflicts: Sql, violations: Sql) -> None:
        """Replace what is in the way of a merge by the rows of two queries."""
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
    """``epoch.resolutions``: what was decided, in the order in which it was."""

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
    }

    def of(self, target: str) -> tuple[Resolution, ...]:
        """What was decided for a merge, earliest first."""
        return tuple(Resolution(*row[2:]) for row in self.select("WHERE target = ? ORDER BY sequence", [target]))

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
        """Store a resolution: of all conflicts, of a table, a row or a cell."""
        self.append((target, table, key, column, side, value, forced))
