"""The lines of history that ``epoch log --graph`` draws to the left of the commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .output import Line, Span

_STYLES = ("red", "green", "yellow", "blue", "magenta", "cyan")
_ENDED = ""


class Graph:
    """Draws commits one after the other, children before parents.

    Each lane waits for one commit, the parent of one drawn before. A commit takes the first lane that waits for it;
    other lanes that wait for it end there; a merge opens a lane for each further parent that no lane waits for.
    """

    def __init__(self) -> None:
        self._lanes: list[str] = []

    def commit(self, commit_id: str, parents: Sequence[str], entry: Sequence[Line]) -> Iterator[Line]:
        """The lines of one commit: its text, and the joins and forks of lanes around it."""
        if commit_id not in self._lanes:
            self._lanes.append(commit_id)
        lane = self._lanes.index(commit_id)
        while self._lanes.count(commit_id) > 1:
            other = self._lanes.index(commit_id, lane + 1)
            yield self._joined(lane, other)
            del self._lanes[other]
        marks = "".join("* " if i == lane else "| " for i in range(len(self._lanes)))
        yield [*_coloured(marks), *_spans(entry[0])]
        self._lanes[lane] = parents[0] if parents else _ENDED
        for parent in parents[1:]:
            known = parent in self._lanes
            if not known:
                self._lanes.append(parent)
            yield self._linked(lane, self._lanes.index(parent), known)
        for line in entry[1:]:
            yield [*_coloured("".join(self._straight())), *_spans(line)]
        self._lanes = [waits for waits in self._lanes if waits != _ENDED]

    def _joined(self, lane: int, other: int) -> Line:
        """A row in which ``other`` ends in ``lane`` to its left, and the lanes to its right move up."""
        row = self._straight()
        for i in range(other, len(self._lanes)):
            row[2 * i - 1 : 2 * i + 1] = "/ "
        _fill(row, 2 * lane + 1, 2 * other - 1)
        return _coloured("".join(row))

    def _linked(self, lane: int, other: int, known: bool) -> Line:
        """A row in which a line leaves ``lane`` for ``other``, which begins there unless it is ``known``."""
        row = self._straight()
        if not known:
            row[2 * other] = " "
        if other > lane:
            row[2 * other - 1] = "\\"
            _fill(row, 2 * lane + 1, 2 * other - 1)
        elif other < lane:
            row[2 * other + 1] = "/"
            _fill(row, 2 * other + 2, 2 * lane)
        return _coloured("".join(row))

    def _straight(self) -> list[str]:
        return list("".join("  " if waits == _ENDED else "| " for waits in self._lanes))


def _fill(row: list[str], start: int, end: int) -> None:
    for position in range(start, end):
        if row[position] == " ":
            row[position] = "_"


def _coloured(row: str) -> list[Span]:
    return [(row[i : i + 2], _STYLES[i // 2 % len(_STYLES)]) for i in range(0, len(row), 2)]


def _spans(line: Line) -> list[Span]:
    return [(line, "")] if isinstance(line, str) else list(line)
