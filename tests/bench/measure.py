"""Measurements: two ways of doing the same, timed in turns, the best of each counting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[], object]
Prepare = Callable[[int], object]


@dataclass(frozen=True)
class Bar:
    """What an operation may cost.

    ``ratio`` is to the baseline, ``extra`` seconds come on top of it; ``seconds`` is absolute; ``growth`` is to the
    same operation on a hundredth of the rows. None: no limit of that kind.
    """

    ratio: float | None = None
    extra: float = 0.0
    seconds: float | None = None
    growth: float | None = None

    def __str__(self) -> str:
        parts = [
            f"<= {self.ratio:g}x{f' + {self.extra * 1000:g} ms' if self.extra else ''}"
            if self.ratio is not None
            else "",
            f"< {duration(self.seconds)}" if self.seconds is not None else "",
            f"growth <= {self.growth:g}x" if self.growth is not None else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Measurement:
    """One operation: what it cost and what the baseline did, in ``unit`` (``s`` or ``bytes``)."""

    operation: str
    ours: float
    baseline: float | None
    bar: Bar
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None

    def missed(self, growth: float | None) -> bool:
        """Whether a limit is exceeded."""
        bar = self.bar
        too_much = (
            bar.ratio is not None and self.baseline is not None and self.ours > bar.ratio * self.baseline + bar.extra
        )
        too_slow = bar.seconds is not None and self.ours > bar.seconds
        too_steep = bar.growth is not None and growth is not None and growth > bar.growth
        return too_much or too_slow or too_steep


def best_of(rounds: int, action: Action, prepare: Prepare | None = None) -> float:
    """The shortest time of an action; ``prepare`` gets the number of the round and is not timed."""
    times = []
    for number in range(rounds):
        if prepare:
            prepare(number)
        times.append(_timed(action))
    return min(times)


def in_turns(rounds: int, ours: Action, baseline: Action, prepare: Prepare | None = None) -> tuple[float, float]:
    """The shortest times of two actions that take turns, so that a busy machine slows both."""
    pairs = []
    for number in range(rounds):
        if prepare:
            prepare(number)
        pairs.append((_timed(ours), _timed(baseline)))
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def duration(seconds: float) -> str:
    """A time for people."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _timed(action: Action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
