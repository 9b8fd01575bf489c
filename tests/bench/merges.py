"""A three-way merge, against joining three copies of the table by hand."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import Workload

OURS = "UPDATE {table} SET amount = amount + 1 WHERE id % {step} IN (1 % {step}, 3 % {step})"
THEIRS = "UPDATE {table} SET note = 'theirs' WHERE id % {step} IN (2 % {step}, 3 % {step})"

THREE_TABLES = """
SELECT
    coalesce(o.id, t.id) AS id,
    CASE WHEN t.customer_id IS DISTINCT FROM b.customer_id THEN t.customer_id ELSE o.customer_id END AS customer_id,
    CASE WHEN t.status IS DISTINCT FROM b.status THEN t.status ELSE o.status END AS status,
    CASE WHEN t.amount IS DISTINCT FROM b.amount THEN t.amount ELSE o.amount END AS amount,
    CASE WHEN t.updated_at IS DISTINCT FROM b.updated_at THEN t.updated_at ELSE o.updated_at END AS updated_at,
    CASE WHEN t.note IS DISTINCT FROM b.note THEN t.note ELSE o.note END AS note
FROM orders AS b
FULL JOIN orders_ours AS o ON o.id = b.id
FULL JOIN orders_theirs AS t ON t.id = coalesce(b.id, o.id)
WHERE t.customer_id IS DISTINCT FROM b.customer_id OR t.status IS DISTINCT FROM b.status
   OR t.amount IS DISTINCT FROM b.amount OR t.updated_at IS DISTINCT FROM b.updated_at
   OR t.note IS DISTINCT FROM b.note
"""


def merges(load: Workload) -> Iterator[Measurement]:
    """1,000 rows changed on ours, 1,000 on theirs, 1,000 on both in different columns; merged into a new branch each time.

    Leaves ``main`` checked out.
    """
    for branch, change in (("ours", OURS), ("theirs", THEIRS)):
        load.run("CALL epoch_checkout('main')")
        load.run("CALL epoch_checkout(?, new_branch := true)", branch)
        load.run(change.format(table="orders", step=load.step))
        load.run("CALL epoch_commit(?)", f"change of {branch}")
        load.run_by_hand(f"CREATE TABLE orders_{branch} AS FROM orders")
        load.run_by_hand(change.format(table=f"orders_{branch}", step=load.step))
    load.run("CALL epoch_checkout('main')")
    merged = iter(f"merged-{number}" for number in range(load.rounds))
    targets: list[str] = []

    def prepare(_: int) -> None:
        targets.append(next(merged))
        load.run("CALL epoch_branch(?, 'ours')", targets[-1])

    seconds, by_hand = in_turns(
        load.rounds,
        lambda: load.run("CALL epoch_merge('theirs', target := ?)", targets[-1]),
        lambda: load.run_by_hand(THREE_TABLES),
        prepare,
    )
    load.run_by_hand("DROP TABLE orders_ours")
    load.run_by_hand("DROP TABLE orders_theirs")
    yield Measurement("merge, 1,000 + 1,000 + 1,000 changes", seconds, by_hand, Bar(ratio=0.1, growth=3.0))
