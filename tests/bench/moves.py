"""Moving the working tables between branches, against copying a table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import Workload


def checkouts(load: Workload) -> Iterator[Measurement]:
    """Back and forth between two branches 1,000 rows apart."""
    branches = cycle(("main", "feature"))
    seconds, by_hand = in_turns(
        2 * max(load.rounds // 2, 1),
        lambda: load.run("CALL epoch_checkout(?)", next(branches)),
        lambda: load.run_by_hand("CREATE OR REPLACE TABLE orders_copy AS FROM orders"),
    )
    load.run_by_hand("DROP TABLE orders_copy")
    yield Measurement("checkout of a branch 1,000 rows apart", seconds, by_hand, Bar(ratio=0.3))
