"""The history of one table: what each commit did to it, and which commits made its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from epoch_sql import render
from epoch_sql.call import Call, no_table, require_trusted
from epoch_sql.model.graph import CommitGraph
from epoch_sql.model.schema import Table
from epoch_sql.versions.sides import crossing, storing, tree_side


@dataclass(frozen=True)
class Step:
    """What a commit did to the table, against its first parent. A version is None if the table did not exist."""

    commit_id: str
    position: int
    before: str | None
    after: str | None


class Lineage:
    """One table through the history of a reference, followed through renames by its identity.

    A commit's ``position`` counts from the newest commit, 0, to the oldest, children before their parents. A row
    belongs to a commit with one parent if it differs from the parent. A row belongs to a merge commit if it differs
    from the first parent, and no other side changed it to this since the sides parted. That is git's combined diff,
    with one exception: a row that a merge brings back (a side's row, unchanged since the sides parted) belongs to the
    merge.
    Raises EpochTableError if the reference has no such table.

    ``crossing`` are the columns, by id, that were computed at some time and stored at another. ``table`` is the
    definition there as if it stored them.
    """

    def __init__(self, call: Call, table_name: str, ref: str) -> None:
        self.head = call.resolve(ref)
        side = tree_side(call.contents, call.tree(self.head))
        found = side.named(table_name)
        if found is None:
            raise no_table(table_name, [str(s.table.name) for s in side.tables.values()], ref)
        self.call = call
        self.table_id = found[0]
        self.graph: CommitGraph = call.graph()
        self.commits = self.graph.topological(self.graph.ancestors(self.head))
        self.positions = {commit_id: position for position, commit_id in enumerate(self.commits)}
        rows = call.cursor.execute(render.render("history.table_versions"), [self.table_id]).fetchall()
        self.versions: dict[str, str] = {
            commit_id: version_id for commit_id, version_id in rows if commit_id in self.positions
        }
        call.contents.load(self.versions.values())
        own = found[1].table
        made = {self.table_of(version) for version in set(self.versions.values())}
        self.crossing = frozenset(i for table in made for i in crossing(own, table))
        self.table = storing(own, self.crossing)
        require_trusted(call, *(t for t in (own, *made) if storing(t, self.crossing) != t))

    def version(self, commit_id: str | None) -> str | None:
        """The table's version in a commit."""
        return self.versions.get(commit_id) if commit_id else None

    def table_of(self, version_id: str) -> Table:
        """The definition of a version."""
        return self.call.contents.table(version_id)

    def step(self, commit_id: str) -> Step | None:
        """What a commit did. None if its version has the same rows as that of its first parent."""
        parents = self.graph.parents(commit_id)
        before, after = self.version(parents[0] if parents else None), self.version(commit_id)
        if self._same(before, after):
            return None
        return Step(commit_id, self.positions[commit_id], before, after)

    def steps(self, commits: Sequence[str]) -> list[Step]:
        """The steps of the commits that changed the table."""
        return [step for step in map(self.step, commits) if step]

    @cached_property
    def merges(self) -> dict[str, list[list[str]]]:
        """The merge commits that may have changed rows themselves, with the commits that each side brought in."""
        found = {}
        for commit_id in self.commits:
            parents = self.graph.parents(commit_id)
            if len(parents) > 1 and self.step(commit_id) and self._taken_from(commit_id) is None:
                found[commit_id] = [self._side(parents[0], other) for other in parents[1:]]
        return found

    @cached_property
    def transparent(self) -> frozenset[str]:
        """The merge commits that only took over the rows of a side."""
        return frozenset(
            commit_id
            for commit_id in self.commits
            if len(self.graph.parents(commit_id)) > 1 and commit_id not in self.merges
        )

    def line(self, commit_id: str) -> list[str]:
        """The commits whose steps together give the table in a commit, newest first."""
        found = []
        current: str | None = commit_id
        while current is not None:
            found.append(current)
            current = self._next(current)
        return found

    def _next(self, commit_id: str) -> str | None:
        parents = self.graph.parents(commit_id)
        if len(parents) > 1 and self.step(commit_id):
            return self._taken_from(commit_id) or parents[0]
        return next(iter(parents), None)

    def _side(self, first: str, other: str) -> list[str]:
        """The line of another parent, down to the ancestors of the first parent."""
        own = self.graph.difference((other,), (first,))
        side = []
        current: str | None = other
        while current is not None and current in own:
            side.append(current)
            current = self._next(current)
        return side

    def _taken_from(self, commit_id: str) -> str | None:
        """The parent whose rows a merge commit took over unchanged, because the other side changed none."""
        if commit_id not in self._taken:
            self._taken[commit_id] = self._find_taken(commit_id)
        return self._taken[commit_id]

    @cached_property
    def _taken(self) -> dict[str, str | None]:
        return {}

    def _find_taken(self, commit_id: str) -> str | None:
        first, *others = self.graph.parents(commit_id)
        for other in others:
            if self._same(self.version(commit_id), self.version(other)) and self._unmoved(first, other):
                return other
        return None

    def _unmoved(self, first: str, other: str) -> bool:
        """Whether the first side has had the same rows ever since the sides parted."""
        start = self.version(first)
        own = self.graph.difference((first,), (other,))
        theirs = self.graph.difference((other,), (first,))
        current: str | None = other
        while current is not None and current in theirs:
            current = next(iter(self.graph.parents(current)), None)
        return self._same(self.version(current), start) and all(self._same(self.version(c), start) for c in own)

    def _same(self, left: str | None, right: str | None) -> bool:
        """Whether two versions have the same definition and rows. Two missing versions are the same."""
        if left is None or right is None or left == right:
            return left == right
        one, other = (self.call.contents.version(version_id) for version_id in (left, right))
        return (one.schema_id, one.fingerprint) == (other.schema_id, other.fingerprint)
