"""References: branches and tags made and listed, the log read."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.measure import Bar, Measurement, best_of
from tests.bench.workload import Workload

BAR = Bar(seconds=0.02, growth=2.0)


def references(load: Workload) -> Iterator[Measurement]:
    """What should cost the same for any number of rows."""
    names = iter(f"name-{number}" for number in range(10_000))
    rounds = 5 * load.rounds
    yield _timed("branch create", rounds, load, "CALL epoch_branch(?)", names)
    yield _timed("tag", rounds, load, "CALL epoch_tag(?)", names)
    yield Measurement("log", best_of(rounds, lambda: load.run("FROM epoch_log()")), None, BAR)
    yield Measurement("branches", best_of(rounds, lambda: load.run("FROM epoch_branches()")), None, BAR)


def _timed(operation: str, rounds: int, load: Workload, call: str, names: Iterator[str]) -> Measurement:
    return Measurement(operation, best_of(rounds, lambda: load.run(call, next(names))), None, BAR)
