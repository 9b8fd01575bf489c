"""The page of conflicts: settled cell by cell, or all of a table from one side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from epoch_sql.catalog.merging import Conflict
from epoch_sql.library import Repository
from epoch_sql.web.page import Page, Query

SIDES = ("ours", "theirs")


@dataclass(frozen=True)
class Clash:
    """A conflict as the page shows it: the row by the values of its key, and the values of the sides."""

    conflict: Conflict
    row: str
    base: Any
    ours: Any
    theirs: Any

    @property
    def differing(self) -> list[str]:
        """For a whole row, the columns in which a side differs from the base."""
        sides = [side for side in (self.ours, self.theirs) if isinstance(side, dict)]
        if not isinstance(self.base, dict):
            return sorted({name for side in sides for name in side})
        return [name for name in self.base if any(side.get(name) != self.base[name] for side in sides)]


def conflicts(repository: Repository, query: Query) -> Page:
    """The conflicts and violations of a merge in progress."""
    merges = {merge.target: merge for merge in repository.merges()}
    into = query.get("into") or next(iter(merges), None)
    merge = merges.get(into) if into else None
    tables: dict[str, list[Clash]] = {}
    if merge:
        for conflict in repository.conflicts(into=merge.target):
            tables.setdefault(conflict.table, []).append(_clash(conflict))
    every = [clash.conflict for clashes in tables.values() for clash in clashes]
    values = {
        "merge": merge,
        "merges": list(merges.values()),
        "tables": tables,
        "violations": repository.violations(into=merge.target) if merge else [],
        "total": len(every),
        "left": sum(not conflict.resolved for conflict in every),
        "sides": {"ours": merge.target, "theirs": merge.source} if merge else {},
    }
    return Page("conflicts.html", values)


def _clash(conflict: Conflict) -> Clash:
    key = json.loads(conflict.key) if conflict.key else {}
    sides = [None if value is None else json.loads(value) for value in (conflict.base, conflict.ours, conflict.theirs)]
    return Clash(conflict, ", ".join(str(value) for value in key.values()), *sides)
