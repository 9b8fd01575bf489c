"""The benchmark's command line."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb

from tests.bench.commits import commits, unchanged
from tests.bench.first_commit import first_commit, shuffled_first_commit
from tests.bench.keyless import keyless
from tests.bench.measure import Measurement
from tests.bench.memory import memory
from tests.bench.merges import merges
from tests.bench.moves import checkouts
from tests.bench.programs import many_tables, programs
from tests.bench.reads import diffs, scans
from tests.bench.references import references
from tests.bench.report import table
from tests.bench.workload import Workload, workload

STAGES: Sequence[Callable[[Workload], Iterator[Measurement]]] = (
    first_commit,
    references,
    unchanged,
    commits,
    diffs,
    merges,
    scans,
    checkouts,
)
"""What is measured on one workload, in order: each stage finds the branches that those before it made."""


def main() -> None:
    """Measure, and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="epoch-bench-", dir=options.folder) as name:
        folder = Path(name)
        smaller = list(_on_workload(folder / "smaller", options.rows // 100, options)) if options.growth else []
        measured: list[Measurement] = []
        try:
            measured.extend(_on_workload(folder / "full", options.rows, options))
            measured.extend(_others(folder, options))
        finally:
            print(f"\nDuckDB {duckdb.__version__}, {options.rows:,} rows, best of {options.rounds} rounds or more\n")
            print(table(measured, {measurement.operation: measurement for measurement in smaller}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Epoch against DuckDB SQL written by hand."
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the table (default: %(default)s)")
    parser.add_argument("--tables", type=int, default=1_000, help="many small tables (default: %(default)s)")
    parser.add_argument("--growth", action="store_true", help="also on a hundredth of the rows, to see what grows")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often each operation is timed (default: %(default)s)"
    )
    parser.add_argument("--memory-limit", default="4GB", help="of each DuckDB database (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to put scratch files (default: the system's)")
    return parser.parse_args()


def _on_workload(folder: Path, rows: int, options: argparse.Namespace) -> Iterator[Measurement]:
    with workload(folder, rows, options.rounds, options.memory_limit) as load:
        for stage in STAGES:
            yield from _announced(stage(load))


def _others(folder: Path, options: argparse.Namespace) -> Iterator[Measurement]:
    yield from _announced(memory(folder / "full" / "shop.duckdb"))
    shuffled = folder / "shuffled"
    yield from _announced(shuffled_first_commit(shuffled, options.rows, options.rounds, options.memory_limit))
    yield from _announced(keyless(folder / "keyless", options.rows, options.rounds, options.memory_limit))
    yield from _announced(programs(folder / "programs", options.rounds))
    yield from _announced(many_tables(folder / "many", options.rounds, options.tables))


def _announced(measurements: Iterator[Measurement]) -> Iterator[Measurement]:
    """The same, each told when it is there: the whole takes minutes."""
    for measurement in measurements:
        print(f"{measurement.operation}: {measurement.ours:.4g} {measurement.unit}", flush=True)
        yield measurement


if __name__ == "__main__":
    main()
