"""The benchmark runs: every operation has a row in its table. (How fast they are is no test.)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OPERATIONS = (
    "initial commit",
    "branch create",
    "tag",
    "log",
    "branches",
    "status, nothing changed",
    "commit, nothing changed",
    "commit of 1,000 rows",
    "bytes added by that commit",
    "diff of branches 1,000 rows apart",
    "merge, 1,000 + 1,000 + 1,000 changes",
    "full-scan aggregate, after compaction",
    "full-scan aggregate, with a fresh delta",
    "point read by key, after compaction",
    "point read by key, with a fresh delta",
    "checkout of a branch 1,000 rows apart",
    "the same, and CHECKPOINT",
    "peak memory, diff, limit 1GB",
    "peak memory, merge, limit 1GB",
    "peak memory, checkout, limit 1GB",
    "peak memory, commit of 1,000 rows, limit 1GB",
    "peak memory, commit of every row, limit 1GB",
    "peak memory, checkout of every row, limit 1GB",
    "peak memory, initial commit, limit 1GB",
    "initial commit, rows inserted in random order",
    *(
        f"{operation}, {which}"
        for which in ("keyed", "no key")
        for operation in (
            "commit of 1,000 rows",
            "commit of 1 % appended",
            "commit of a range of 1 %",
            "diff of a range of 1 %",
            "merge of 1,000 + 1,000 changes",
        )
    ),
    "epoch --version",
    "epoch status",
    "status of 5 small tables, nothing changed",
)


@pytest.mark.slow
def test_the_table_has_every_operation(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--rows", "1000", "--tables", "5", "--rounds", "1", "--growth"]
    ran = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    rows = [line.split("|")[1:-1] for line in ran.stdout.splitlines() if line.startswith("| ")]
    assert [row[0].strip() for row in rows[2:]] == list(OPERATIONS)
    assert all(row[1].strip() for row in rows)
    assert not list(tmp_path.iterdir())
