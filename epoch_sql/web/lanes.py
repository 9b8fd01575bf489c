"""The graph of commits as lanes: one for each line of history, those of the environments first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """The lanes at one commit: its own, those that arrive there, those that pass, and those of its parents."""

    lane: int
    arriving: tuple[int, ...]
    passing: tuple[int, ...]
    leaving: tuple[int, ...]

    @property
    def width(self) -> int:
        """How many lanes it takes."""
        return 1 + max(self.lane, *self.arriving, *self.passing, *self.leaving)


class Lanes:
    """Gives lanes to commits, newest first. ``first`` are commits, each of which has a lane kept for it."""

    def __init__(self, first: Sequence[str] = ()) -> None:
        self._kept = len(dict.fromkeys(first))
        self._waiting: list[str | None] = list(dict.fromkeys(first))
        """The commit that each lane waits for; None: the lane is free."""
        self._drawn: set[int] = set()

    def add(self, commit: str, parents: Sequence[str]) -> Row:
        """The row of the next commit."""
        lane = self._lane_of(commit)
        above = {place: waits for place, waits in enumerate(self._waiting) if waits and place in self._drawn}
        for place, waits in enumerate(self._waiting):
            if waits == commit:
                self._waiting[place] = None
                self._drawn.discard(place)
        leaving = tuple(self._go_on(lane, parent, position == 0) for position, parent in enumerate(parents))
        while len(self._waiting) > self._kept and self._waiting[-1] is None:
            self._waiting.pop()
        arriving = tuple(place for place, waits in above.items() if waits == commit)
        passing = tuple(place for place, waits in above.items() if waits != commit)
        return Row(lane, arriving, passing, leaving)

    def _lane_of(self, commit: str) -> int:
        if commit in self._waiting:
            return self._waiting.index(commit)
        lane = self._free()
        self._waiting[lane] = commit
        return lane

    def _go_on(self, lane: int, parent: str, first: bool) -> int:
        """The lane that a parent is awaited in. A first parent goes on in the same lane, but for that of another
        environment."""
        known = self._waiting.index(parent) if parent in self._waiting else None
        if first:
            place = known if known is not None and known < self._kept <= lane else lane
        else:
            place = known if known is not None else self._free(but=lane)
        self._waiting[place] = parent
        self._drawn.add(place)
        return place

    def _free(self, but: int | None = None) -> int:
        """A lane that nobody waits in, after those that are kept."""
        for place in range(self._kept, len(self._waiting)):
            if self._waiting[place] is None and place != but:
                return place
        self._waiting.append(None)
        return len(self._waiting) - 1
