"""Reading: the difference of two branches, and a branch as a table."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import CHANGED, FULL_JOIN, Workload

AGGREGATE = (
    "SELECT status, count(*), sum(amount), max(updated_at), avg(customer_id), max(note) FROM {rows} GROUP BY status"
)
POINT = "FROM {rows} WHERE id = {key}"


def diffs(load: Workload) -> Iterator[Measurement]:
    """Two branches 1,000 rows apart, all rows fetched."""

    def ours() -> None:
        found = load.run("FROM epoch_diff('main', 'feature', table_name := 'orders')")
        assert len(found) == min(CHANGED, load.rows), f"{len(found)} rows differ"

    seconds, by_hand = in_turns(load.rounds, ours, lambda: load.run_by_hand(FULL_JOIN))
    yield Measurement("diff of branches 1,000 rows apart", seconds, by_hand, Bar(ratio=0.05, growth=3.0))


def scans(load: Workload) -> Iterator[Measurement]:
    """All rows, and one row, of a branch that is one base level, and of one with a delta on it."""
    plain = f"read_parquet('{load.parquet}')"
    sides = (("main", "after compaction", 1.2), ("feature", "with a fresh delta", 3.0))
    for branch, state, most in sides:
        rows = f"epoch_at('{branch}', 'orders')"
        seconds, by_hand = in_turns(
            2 * load.rounds,
            lambda rows=rows: load.run(AGGREGATE.format(rows=rows)),  # type: ignore[misc]
            lambda: load.run_by_hand(AGGREGATE.format(rows=plain)),
        )
        yield Measurement(f"full-scan aggregate, {state}", seconds, by_hand, Bar(ratio=most))
    key = load.rows * 2 // 3
    for branch, state, _ in sides:
        rows = f"epoch_at('{branch}', 'orders')"
        seconds, by_hand = in_turns(
            4 * load.rounds,
            lambda rows=rows: load.run(POINT.format(rows=rows, key=key)),  # type: ignore[misc]
            lambda: load.run_by_hand(POINT.format(rows=plain, key=key)),
        )
        yield Measurement(f"point read by key, {state}", seconds, by_hand, Bar(ratio=2.0, extra=0.01))
