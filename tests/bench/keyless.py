"""A table without a key, beside the same rows with one: commits, a diff and a merge, against one scan that hashes every
row."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import COLUMNS, FINGERPRINT, TABLE, Workload, workload

KEYLESS = TABLE.replace(" PRIMARY KEY", "")
CHANGES = {
    "commit of 1,000 rows": (
        "UPDATE orders SET amount = amount + 1, note = 'changed' WHERE id % {step} = {number} % {step}"
    ),
    "commit of 1 % appended": (
        "INSERT INTO orders ({columns}) SELECT id + ({number} + 1) * {rows}, * EXCLUDE (id) FROM orders"
        " WHERE id < {rows} // 100"
    ),
    "commit of a range of 1 %": (
        "UPDATE orders SET amount = amount + 1 WHERE id BETWEEN {rows} // 3 AND {rows} // 3 + {rows} // 100"
    ),
}


def keyless(folder: Path, rows: int, rounds: int, memory_limit: str) -> Iterator[Measurement]:
    """The operations on a table with a primary key, then on one without."""
    for number, (definition, which, more) in enumerate(((TABLE, "keyed", 1.0), (KEYLESS, "no key", 1.5))):
        place = folder / str(number)
        with workload(place, rows, rounds, memory_limit, definition=definition) as load:
            load.run("CALL epoch_init()")
            yield from _of(load, which, more)
        shutil.rmtree(place)
    folder.rmdir()


def _of(load: Workload, which: str, more: float) -> Iterator[Measurement]:
    bars = (Bar(ratio=2.8 * more, extra=0.1), Bar(ratio=2.0 * more, extra=0.1), Bar(ratio=2.2 * more, extra=0.1))

    def change(sql: str, number: int) -> None:
        load.run(sql.format(columns=COLUMNS, rows=load.rows, step=load.step, number=number))

    for (name, sql), bar in zip(CHANGES.items(), bars, strict=True):
        seconds, by_hand = in_turns(
            load.rounds,
            lambda name=name: load.run("CALL epoch_commit(?)", name),  # type: ignore[misc]
            lambda: load.run_by_hand(FINGERPRINT),
            lambda number, sql=sql: change(sql, number),  # type: ignore[misc]
        )
        yield Measurement(f"{name}, {which}", seconds, by_hand, bar)
    seconds, by_hand = in_turns(
        load.rounds,
        lambda: load.run("SELECT count(*) FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'orders')"),
        lambda: load.run_by_hand(FINGERPRINT),
    )
    yield Measurement(f"diff of a range of 1 %, {which}", seconds, by_hand, Bar(ratio=0.5 * more, extra=0.05))
    for branch, number in (("theirs", 1), ("ours", 2)):
        load.run("CALL epoch_checkout('main')")
        load.run("CALL epoch_checkout(?, new_branch := true)", branch)
        change(CHANGES["commit of 1,000 rows"], number + load.rounds)
        load.run("CALL epoch_commit(?)", branch)

    def prepare(number: int) -> None:
        load.run("CALL epoch_branch(?, 'ours')", f"merged-{number}")
        load.run("CALL epoch_checkout(?)", f"merged-{number}")

    seconds, by_hand = in_turns(
        load.rounds, lambda: load.run("CALL epoch_merge('theirs')"), lambda: load.run_by_hand(FINGERPRINT), prepare
    )
    yield Measurement(f"merge of 1,000 + 1,000 changes, {which}", seconds, by_hand, Bar(ratio=2.0 * more, extra=0.1))
