"""The commit graph in memory. It answers questions of descent, and walks only the history that the answer needs."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime

_EPOCH = datetime(1970, 1, 1)
_LEFT, _RIGHT, _STALE = 1, 2, 4
_BOTH = _LEFT | _RIGHT


@dataclass(frozen=True)
class Undo:
    """What a commit records about merges that it undoes; see ``epoch_sql.model.undo`` for how it is made and read.

    ``undoes``: the merge commits that no longer count as having happened. ``redoes``: the merge commits whose undo this
    commit makes void. ``restores``: the commit whose content a forward rollback took. All are ancestors of the commit
    that records them.
    """

    undoes: tuple[str, ...] = ()
    redoes: tuple[str, ...] = ()
    restores: str | None = None

    @property
    def commits(self) -> tuple[str, ...]:
        """Every commit that it names: none, for a commit that undoes nothing."""
        return self.undoes + self.redoes + ((self.restores,) if self.restores else ())


NO_UNDO = Undo()


@dataclass(frozen=True, slots=True)
class _Node:
    parents: tuple[str, ...]
    generation: int
    committed_at: datetime
    undo: Undo
    undoing: frozenset[str]
    line: int
    reverts: str | None = None


class CommitGraph:
    """Commits and their parents, append-only.

    Every commit has a generation number: 1 without parents, or else one more than the highest of its parents. So no
    walk looks below the generation of the commits that it searches (git's commit-graph, "topological level").

    A line is a run of commits each of which is the first that has the one before as its first parent. So the first
    parents of a commit are the beginnings of a few lines, however long the history is. ``_forks`` has, for each line,
    the commit at which it leaves another one, and ``_ends`` its last commit.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._forks: list[str | None] = []
        self._ends: list[str] = []

    def __contains__(self, commit: object) -> bool:
        return commit in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def add(
        self,
        commit: str,
        parents: Iterable[str] = (),
        committed_at: datetime = _EPOCH,
        undo: Undo = NO_UNDO,
        reverts: str | None = None,
    ) -> None:
        """Add one commit after its parents. Adding it again changes nothing.

        ``committed_at`` is UTC. ``reverts`` is the commit that it reverts, if any. Raises KeyError, which names a
        missing parent, and ValueError if the graph has the commit with other parents, or if it undoes a commit that is
        not in the graph.
        """
        parents = tuple(parents)
        known = self._nodes.get(commit)
        if known is not None:
            if known.parents != parents:
                raise ValueError(f"commit {commit} has parents {known.parents}, not {parents}")
            return
        for named in undo.commits:
            if named not in self._nodes:
                raise ValueError(f"commit {commit} undoes {named}, which is not one of its ancestors")
        generation = 1 + max((self._nodes[parent].generation for parent in parents), default=0)
        undoing = self._undoing(parents)
        reverted = reverts if reverts in undoing else None
        if undo.commits or reverted:
            undoing |= {commit}
        line = self._line(commit, next(iter(parents), None))
        self._nodes[commit] = _Node(parents, generation, committed_at, undo, undoing, line, reverted)

    def _line(self, commit: str, parent: str | None) -> int:
        """The line of a commit: that of its first parent if it is the first to go on from there, or a new one."""
        if parent is not None:
            line = self._nodes[parent].line
            if self._ends[line] == parent:
                self._ends[line] = commit
                return line
        self._forks.append(parent)
        self._ends.append(commit)
        return len(self._ends) - 1

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents, first parent first. Every walk of this class uses it. Raises KeyError for an unknown commit."""
        return self._nodes[commit].parents

    def generation(self, commit: str) -> int:
        """The length of the longest path from the commit to one without parents, counted in commits."""
        return self._nodes[commit].generation

    def committed_at(self, commit: str) -> datetime:
        """The time of the commit, in UTC without a time zone."""
        return self._nodes[commit].committed_at

    def undo(self, commit: str) -> Undo:
        """The merges that the commit undoes."""
        return self._nodes[commit].undo

    def reverted_undo(self, commit: str) -> str | None:
        """The commit that it reverts, if that is an ancestor that recorded an undo."""
        return self._nodes[commit].reverts

    def undoing(self, commit: str) -> frozenset[str]:
        """The ancestors of ``commit``, itself included, that recorded an undo or reverted such a commit."""
        return self._nodes[commit].undoing

    def is_ancestor(self, ancestor: str, commit: str) -> bool:
        """Whether ``commit`` descends from ``ancestor``. A commit descends from itself, as in git."""
        return self.reaches(commit, {ancestor})

    def reaches(self, commit: str, targets: Set[str], *, around: Set[str] = frozenset()) -> bool:
        """Whether ``commit`` is or descends from one of ``targets``, on a path that does not touch ``around``."""
        if commit in around or not targets:
            return False
        floor = min(self.generation(target) for target in targets)
        pending, visited = [commit], {commit, *around}
        while pending:
            current = pending.pop()
            if current in targets:
                return True
            for parent in self.parents(current):
                if parent not in visited and self.generation(parent) >= floor:
                    visited.add(parent)
                    pending.append(parent)
        return False

    def ancestors(self, commit: str) -> set[str]:
        """The commit and everything that it descends from."""
        return self.down_to((commit,), 1)

    def down_to(self, commits: Iterable[str], floor: int) -> set[str]:
        """``commits`` and their ancestors whose generation is ``floor`` or higher."""
        found = {commit for commit in commits if self.generation(commit) >= floor}
        pending = list(found)
        while pending:
            for parent in self.parents(pending.pop()):
                if parent not in found and self.generation(parent) >= floor:
                    found.add(parent)
                    pending.append(parent)
        return found

    def difference(self, include: Iterable[str], exclude: Iterable[str]) -> set[str]:
        """The ancestors of ``include``, themselves included, without those of ``exclude``: git's ``B..A``."""
        left, _ = self._sides(include, exclude, _LEFT)
        return left

    def ahead_behind(self, commit: str, other: str) -> tuple[int, int]:
        """How many commits ``commit`` has that ``other`` lacks, and the reverse."""
        left, right = self._sides((commit,), (other,), _BOTH)
        return len(left), len(right)

    def first_parents(self, commit: str) -> Iterator[str]:
        """The commit, its first parent, and so on to the first commit: the promotion log of a branch."""
        current: str | None = commit
        while current is not None:
            yield current
            current = next(iter(self.parents(current)), None)

    def has_first_parent(self, commit: str, ancestor: str) -> bool:
        """Whether ``ancestor`` is the commit, its first parent, or one of that one's first parents, and so on."""
        wanted, generation = self._nodes[ancestor].line, self.generation(ancestor)
        current: str | None = commit
        while current is not None and self.generation(current) >= generation:
            line = self._nodes[current].line
            if line == wanted:
                return True
            current = self._forks[line]
        return False

    def merge_bases(self, left: str, right: str, *, excluding: Container[str] = frozenset()) -> list[str]:
        """All best common ancestors: common ancestors that no other common ancestor descends from.

        Commits of ``excluding`` do not count as common ancestors, but their ancestors do. Newest first: by time, then
        id. The algorithm is git's ``paint_down_to_common``, ordered by generation, so that a commit's colours are final
        when it is popped. It stops as soon as one of the two sides has only commits below a base.
        """
        for older, newer in ((left, right), (right, left)):
            if older not in excluding and self.has_first_parent(newer, older):
                return [older]
        painted = _Frontier(self, {left: _LEFT, right: _RIGHT} if left != right else {left: _BOTH})
        bases = []
        while painted.waiting[_LEFT] and painted.waiting[_RIGHT]:
            commit, colours = painted.take()
            if colours == _BOTH and commit not in excluding:
                bases.append(commit)
                colours |= _STALE
            for parent in self.parents(commit):
                painted.paint(parent, colours)
        return sorted(bases, key=self._newest_first)

    def topological(self, commits: Iterable[str]) -> list[str]:
        """``commits``, each after its descendants, and otherwise newest first, then by id."""
        wanted = set(commits)
        floor = min((self.generation(commit) for commit in wanted), default=1)
        region = self.down_to(wanted, floor)
        children = dict.fromkeys(region, 0)
        for commit in region:
            for parent in self.parents(commit):
                if parent in region:
                    children[parent] += 1
        ready = [(self._newest_first(commit), commit) for commit, count in children.items() if not count]
        heapq.heapify(ready)
        ordered = []
        while ready:
            _, commit = heapq.heappop(ready)
            if commit in wanted:
                ordered.append(commit)
            for parent in self.parents(commit):
                if parent in region:
                    children[parent] -= 1
                    if not children[parent]:
                        heapq.heappush(ready, (self._newest_first(parent), parent))
        return ordered

    def newest_first(self, *tips: str) -> Iterator[str]:
        """Commits and their ancestors in the order of ``topological``, walking only as far as they are asked for.

        A commit comes when all of its children have come. They are known as soon as the parents of every commit of a
        higher generation are counted.
        """
        children = dict.fromkeys(tips, 0)
        uncounted = [(-self.generation(tip), tip) for tip in children]
        heapq.heapify(uncounted)

        def count(floor: int) -> None:
            while uncounted and -uncounted[0][0] > floor:
                for parent in self.parents(heapq.heappop(uncounted)[1]):
                    if parent not in children:
                        children[parent] = 0
                        heapq.heappush(uncounted, (-self.generation(parent), parent))
                    children[parent] += 1

        count(min(map(self.generation, tips), default=0))
        ready = [(self._newest_first(tip), tip) for tip in dict.fromkeys(tips) if not children[tip]]
        heapq.heapify(ready)
        while ready:
            _, current = heapq.heappop(ready)
            yield current
            parents = self.parents(current)
            count(min((self.generation(parent) for parent in parents), default=0))
            for parent in parents:
                children[parent] -= 1
                if not children[parent]:
                    heapq.heappush(ready, (self._newest_first(parent), parent))

    def _sides(self, left: Iterable[str], right: Iterable[str], wanted: int) -> tuple[set[str], set[str]]:
        """The commits that only one side reaches. Walks while a wanted side may still have some."""
        colours: dict[str, int] = {}
        for side, commits in ((_LEFT, left), (_RIGHT, right)):
            for commit in commits:
                colours[commit] = colours.get(commit, 0) | side
        painted = _Frontier(self, {c: both | _STALE if both == _BOTH else both for c, both in colours.items()})
        found: dict[int, set[str]] = {_LEFT: set(), _RIGHT: set()}
        while any(painted.waiting[side] for side in found if side & wanted):
            commit, side = painted.take()
            if not side & _STALE:
                found[side].add(commit)
            for parent in self.parents(commit):
                painted.paint(parent, side, stale_when_common=True)
        return found[_LEFT], found[_RIGHT]

    def _newest_first(self, commit: str) -> tuple[float, str]:
        return ((_EPOCH - self.committed_at(commit)).total_seconds(), commit)

    def _undoing(self, parents: tuple[str, ...]) -> frozenset[str]:
        """One shared set for all commits that descend from the same undoing commits, which saves memory."""
        inherited: frozenset[str] = frozenset()
        for parent in parents:
            theirs = self._nodes[parent].undoing
            if not theirs <= inherited:
                inherited = theirs if inherited <= theirs else inherited | theirs
        return inherited


class _Frontier:
    """Painted commits in order of generation, and the number of waiting commits of either colour that are not stale."""

    def __init__(self, graph: CommitGraph, start: dict[str, int]) -> None:
        self._graph = graph
        self._colours: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self.waiting = {_LEFT: 0, _RIGHT: 0}
        for commit, colours in start.items():
            self.paint(commit, colours)

    def paint(self, commit: str, colours: int, *, stale_when_common: bool = False) -> None:
        before = self._colours.get(commit)
        after = (before or 0) | colours
        if stale_when_common and after & _BOTH == _BOTH:
            after |= _STALE
        if before is None:
            heapq.heappush(self._queue, (-self._graph.generation(commit), commit))
        else:
            self._count(before, -1)
        self._colours[commit] = after
        self._count(after, 1)

    def take(self) -> tuple[str, int]:
        """The waiting commit of the highest generation. All of its descendants were popped before it."""
        _, commit = heapq.heappop(self._queue)
        colours = self._colours.pop(commit)
        self._count(colours, -1)
        return commit, colours

    def _count(self, colours: int, step: int) -> None:
        if not colours & _STALE:
            for side in self.waiting:
                if colours & side:
                    self.waiting[side] += step
