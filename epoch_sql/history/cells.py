"""``epoch_blame_cells``: for each cell of a row, the commit that gave it the value that it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from epoch_sql.call import Call
from epoch_sql.errors import EpochTableError
from epoch_sql.history.lineage import Lineage
from epoch_sql.history.rows import row_at, versions_of
from epoch_sql.model.graph import CommitGraph
from epoch_sql.verb import reading

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class CellBlame:
    """A cell of a row, its value as text, and the commit that gave it that."""

    column: str
    value: str | None
    commit: str
    author: str
    committed_at: datetime
    message: str


@reading("epoch_blame_cells")
def blame_cells(call: Call, table: str, key: str, *, ref: str = "HEAD") -> list[CellBlame]:
    """For each cell of a row, the commit that gave it the value that it has at a reference.

    As in git, a commit that found the value there has not set it: a merge is named only for a value that no side had.
    Raises EpochTableError for an unknown table, and if there is no such row.

    Args:
        table: `orders` or `schema.orders`
        key: the row: JSON (`{"id": 42}`) or the value of a one-column key
        ref: the reference whose row it is
    """
    lineage = Lineage(call, table, ref)
    now = row_at(lineage, key)
    if now is None:
        raise EpochTableError(f"there is no row {key} of {table} in {ref}", table=table)
    versions = versions_of(lineage, key)
    line = _Line(lineage.graph, {lineage.commits[p]: row if op != "removed" else None for p, op, row in versions})
    set_by = [line.setter(lineage.head, now, number) for number in range(len(now))]
    commits = call.commits.load(set_by)
    return [
        CellBlame(column.name, value, made, commits[made].author, commits[made].committed_at, commits[made].message)
        for column, value, made in zip(lineage.table.columns, now, set_by, strict=True)
    ]


class _Line:
    """The versions of a row in the commit graph. None is one in which it was removed."""

    def __init__(self, graph: CommitGraph, versions: Mapping[str, Values | None]) -> None:
        self._graph = graph
        self._versions = versions
        self._known: dict[str, list[str]] = {}

    def setter(self, commit: str, now: Values, number: int) -> str:
        """The commit that gave a cell its value."""
        # The row may be there by a commit before this one.
        before = self._before(commit)
        found = commit if commit in self._versions else next((b for b in before if self._versions[b] == now), before[0])
        while True:
            rows = ((before, self._versions[before]) for before in self._before(found))
            same = [before for before, row in rows if row and row[number] == now[number]]
            if not same:
                return found
            found = same[0]

    def _before(self, commit: str) -> list[str]:
        """The last commits before one that set the row, on each line that leads to it."""
        if commit not in self._known:
            found = [*self._reached(commit)]
            self._known[commit] = [
                one for one in found if not any(one != other and self._graph.is_ancestor(one, other) for other in found)
            ]
        return self._known[commit]

    def _reached(self, commit: str) -> Iterator[str]:
        seen: set[str] = set()
        waiting = [*self._graph.parents(commit)]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                if one in self._versions:
                    yield one
                else:
                    waiting.extend(self._graph.parents(one))
