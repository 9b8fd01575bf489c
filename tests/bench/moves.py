"""Moving the working tables between branches, against copying a table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import Workload


def checkouts(load: Workload) -> Iterator[Measurement]:
    """Back and forth between two branches 1,000 rows apart; then also with the checkpoint that each calls for.

    DuckDB rewrites whole columns of the touched row groups at a checkpoint, whoever changed some of their rows.
    """
    branches = cycle(("feature", "main"))

    def copy() -> None:
        load.run_by_hand("CREATE OR REPLACE TABLE orders_copy AS FROM orders")

    def checkout() -> None:
        load.run("CALL epoch_checkout(?)", next(branches))

    def checkout_to_disk() -> None:
        checkout()
        load.run("CHECKPOINT")

    load.run("CALL epoch_checkout('main')")
    load.run("CHECKPOINT")
    rounds = 2 * max(load.rounds // 2, 1)
    seconds, by_hand = in_turns(rounds, checkout, copy, lambda _: load.run("CHECKPOINT"))
    yield Measurement("checkout of a branch 1,000 rows apart", seconds, by_hand, Bar(ratio=0.3))
    load.run("CHECKPOINT")
    seconds, by_hand = in_turns(rounds, checkout_to_disk, copy)
    yield Measurement("the same, and CHECKPOINT", seconds, by_hand, Bar())
    load.run_by_hand("DROP TABLE orders_copy")
