"""The lines of history that ``epoch log --graph`` draws to the left of the commits, as git does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from .output import Line, Span

_STYLES = ("red", "green", "yellow", "blue", "magenta", "cyan")
Edges = Mapping[int, int]
"""Where lines are in a row, each with the lane that it leads to. Lane n is at position 2n."""


@dataclass
class _Rows:
    """The rows below a commit. The last one moves the lanes right of ``shifted`` to the right, or lanes to the left
    into their places (``arrived``)."""

    drawn: list[str] = field(default_factory=list)
    opens: bool = False
    leaving: frozenset[int] = frozenset()
    shifted: int | None = None
    arrived: frozenset[int] = frozenset()


class Graph:
    """Draws commits one after the other, children before parents.

    Each lane waits for one commit, a parent of one drawn before, and no two for the same. A merge opens a lane to its
    right for its second parent. Lines that lead to the same commit join to the left as soon as they can.
    """

    def __init__(self) -> None:
        self._lanes: list[str] = []
        self._above = _Rows()

    def commit(self, commit_id: str, parents: Sequence[str], entry: Sequence[Line]) -> Iterator[Line]:
        """The rows of one commit: the lines of its text, and beside and below them what its lanes do."""
        if commit_id not in self._lanes:
            self._lanes.append(commit_id)
        before, lane = self._lanes, self._lanes.index(commit_id)
        self._lanes = list(dict.fromkeys(chain(before[:lane], parents, before[lane + 1 :])))
        to = [self._lanes.index(parent) for parent in parents]
        right = [self._lanes.index(waits) for waits in before[lane + 1 :]]
        below = _rows_below(lane, to, right)
        rows = [self._marks(lane, len(right), below), *below.drawn]
        self._above = below
        width = max(map(len, rows[:2]))
        rest: Iterator[str] = repeat("| " * len(self._lanes))
        for text in entry:
            drawn = rows.pop(0) if rows else next(rest)
            yield [*_coloured(drawn.ljust(width)), *_spans(text)]
        yield from (_coloured(drawn) for drawn in rows)

    def _marks(self, lane: int, lanes: int, below: _Rows) -> str:
        """The row of a commit. A lane that moves in the rows above and below, in one direction, goes on doing so."""
        above, marks = self._above, "| " * lane + "* "
        for number in range(lane + 1, lane + 1 + lanes):
            if below.opens:
                marks += "\\ " if above.shifted is not None and number > above.shifted else "| "
            else:
                marks += "/ " if number in above.arrived & below.leaving else "| "
        return marks


def topological(
    rows: Sequence[Mapping[str, Any]], everything: Sequence[Mapping[str, Any]], first_parent: bool = False
) -> list[dict[str, Any]]:
    """Commits with all children before their parents, and the lines of history one after the other.

    ``drawn`` of each are its parents; in place of one that is not among them, its nearest ancestor on its first-parent
    line, as in git. ``everything`` are all commits, newest first.
    """
    shown = {row["commit_id"]: row for row in rows}
    nearest: dict[str, str | None] = {}
    for row in reversed(everything):
        commit_id, parents = row["commit_id"], row["parents"]
        nearest[commit_id] = commit_id if commit_id in shown else nearest.get(parents[0]) if parents else None
    drawn = {
        commit_id: list(dict.fromkeys(filter(None, map(nearest.get, row["parents"][: 1 if first_parent else None]))))
        for commit_id, row in shown.items()
    }
    children = Counter(chain.from_iterable(drawn.values()))
    ready = [commit_id for commit_id in reversed(shown) if not children[commit_id]]
    ordered = []
    while ready:
        commit_id = ready.pop()
        ordered.append({**shown[commit_id], "drawn": drawn[commit_id]})
        for parent in drawn[commit_id]:
            children[parent] -= 1
            if not children[parent]:
                ready.append(parent)
    return ordered


def _rows_below(lane: int, to: Sequence[int], right: Sequence[int]) -> _Rows:
    """The rows in which the lines of a commit in a lane part and join: ``to`` the lanes of its parents, and from the
    lanes to its right to those that ``right`` names."""
    left = {2 * i: i for i in range(lane)}
    below = _Rows()
    following = 1
    if len(to) < 2:
        edges = {**left, **dict(zip([2 * lane], to, strict=False))}
    elif to[0] < lane:
        # The line to the first parent goes to the left, and the line to the second straight down.
        between = "| " + "|_" * (lane - to[0] - 2) if lane - to[0] > 1 else ""
        below.drawn.append("| " * to[0] + between + "|/" + "| " * (1 + len(right)))
        edges = {**left, 2 * lane: to[1]}
        if to[0] < lane - 1:
            edges[2 * to[0] + 3] = to[0]
    elif right and right[0] == to[1]:
        below.drawn.append("| " * lane + "|\\" + "| " * len(right))
        edges = {**left, 2 * lane: to[0]}
    else:
        below.drawn.append("| " * lane + "|\\" + " \\" * len(right) + "  ")
        edges = {**left, 2 * lane: to[0], 2 * lane + 2: to[1]}
        below.opens, below.shifted, following = True, lane, 2
    edges |= {2 * (lane + following + i): target for i, target in enumerate(right)}
    below.leaving = frozenset(position // 2 for position, target in edges.items() if 2 * target < position)
    # A line right beside its lane has been drawn to it.
    while any(position - 2 * target > 1 for position, target in edges.items()):
        drawn, edges = _joined(edges)
        below.drawn.append(drawn)
        below.shifted = None
        below.arrived = frozenset(target for position, target in edges.items() if position == 2 * target + 1)
    return below


def _joined(edges: Edges) -> tuple[str, dict[int, int]]:
    """A row in which the lines that are not in their lanes move to the left, and where they are after it.

    Each moves by one position, or two across a line. The first goes along the ground all the way to its lane.
    """
    moved: dict[int, int] = {}
    ground: range | None = None
    slope = 0
    for position, target in sorted(edges.items()):
        if position == 2 * target:
            moved[position] = target
        elif moved.get(position - 1) != target:
            step = position - 2 if position - 1 in moved else position - 1
            moved[step] = target
            if ground is None:
                ground, slope = range(2 * target + 3, step - 1, 2), step
                moved |= dict.fromkeys(ground, target)
    drawn = [" "] * (max(moved) + 1)
    for position, target in moved.items():
        flat = ground is not None and position in ground and position != slope
        drawn[position] = "|" if position == 2 * target else "_" if flat else "/"
    if ground:
        for position in (*ground[1:], slope):
            moved.pop(position, None)
    return "".join(drawn).ljust(2 * len(edges)), moved


def _coloured(row: str) -> list[Span]:
    return [(row[i : i + 2], _STYLES[i // 2 % len(_STYLES)]) for i in range(0, len(row), 2)]


def _spans(line: Line) -> list[Span]:
    return [(line, "")] if isinstance(line, str) else list(line)
