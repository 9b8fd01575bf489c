"""The first commit of a table, against COPY to sorted Parquet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import Workload, workload

BAR = Bar(ratio=1.3)


def first_commit(load: Workload, title: str = "initial commit") -> Iterator[Measurement]:
    """Make the repository, again in each round; the last one stays."""

    def forget(_: int) -> None:
        if load.call.exists():
            load.run("DROP SCHEMA epoch CASCADE")
            shutil.rmtree(load.call)

    ours, by_hand = in_turns(
        max(load.rounds - 1, 1),
        lambda: load.run("CALL epoch_init()"),
        lambda: load.write_parquet("orders", load.folder / "copied.parquet"),
        forget,
    )
    (load.folder / "copied.parquet").unlink()
    yield Measurement(title, ours, by_hand, BAR)


def shuffled_first_commit(folder: Path, rows: int, rounds: int, memory_limit: str) -> Iterator[Measurement]:
    """The same for a table whose rows do not lie in the order of its key."""
    with workload(folder, rows, rounds, memory_limit, order="hash(i + 9)") as load:
        yield from first_commit(load, "initial commit, rows inserted in random order")
    shutil.rmtree(folder)
