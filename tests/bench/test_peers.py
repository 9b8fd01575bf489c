"""The page of benchmarks says who is ahead, and answers that differ are no measurement. (.ci/run runs the whole.)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.peers.page import write_page
from tests.bench.peers.race import OPERATIONS, SYSTEMS, Disagreement, Operation, Result, compare, race
from tests.bench.peers.source import make_source

VERSIONS = {"by_hand": "DuckDB 2.0", "epoch": "Epoch 1", "delta": "delta-rs 1"}


def test_each_row_of_the_page_names_who_is_ahead_whoever_that_is(tmp_path: Path) -> None:
    results = [
        Result(1_000, "diff", "by_hand", 0.5),
        Result(1_000, "diff", "epoch", 0.05),
        Result(1_000, "scan", "by_hand", 0.01),
        Result(1_000, "scan", "epoch", 0.02),
        Result(1_000, "scan", "delta", 0.15),
    ]
    write_page(tmp_path / "page.md", results, VERSIONS, 3, ["--rounds", "3"])
    page = (tmp_path / "page.md").read_text()
    assert "\n    make bench-peers ARGS='--rounds 3'\n" in page
    assert "| systems | DuckDB 2.0, Epoch 1, delta-rs 1 |" in page
    assert "| difference of two branches, 1,000 rows | 500 ms | **50 ms (0.1 x)** |  | Epoch |" in page
    assert (
        "| aggregate of a branch after the change of 1 % | **10 ms** | 20 ms (2 x) | 150 ms (15 x) | DuckDB by hand |"
        in page
    )


def test_answers_that_differ_are_refused() -> None:
    with pytest.raises(Disagreement, match=r"number of rows, 10 rows: .*'Epoch': 3"):
        compare(Operation("diff", "number of rows"), 10, {"DuckDB by hand": 2, "Epoch": 3})


@pytest.mark.slow
def test_epoch_does_each_operation_and_finds_what_duckdb_finds(tmp_path: Path) -> None:
    make_source(tmp_path / "source", 4_000)
    here = [system for system in SYSTEMS if system.environment is None]
    results, versions = race(here, tmp_path, tmp_path, 4_000, 2)
    assert sorted(versions) == ["by_hand", "epoch"]
    measured = [operation.name for operation in OPERATIONS if operation.unit]
    assert [(r.operation, r.system) for r in results] == [(name, s.name) for name in measured for s in here]
    assert all(result.amount > 0 for result in results)
