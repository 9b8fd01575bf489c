"""The catalog tables of merges in progress: their sides and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from epoch_sql import render
from epoch_sql.catalog.obstacles import Scope, Violating, violations
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
