"""Whether operations stay within DuckDB's memory limit: each in a process of its own that has 1 GB."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Bar, Measurement

LIMIT = "1GB"

PROBE = """
import pathlib, resource, sys
import epoch_sql
path, limit, *statements = sys.argv[1:]
with epoch_sql.connect(path, config={"memory_limit": limit}) as connection:
    for statement in statements:
        connection.execute(statement).fetchall()
status = pathlib.Path("/proc/self/status")
if status.exists():
    # Not ru_maxrss: on Linux a process inherits that of the one that started it.
    print(next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(path: Path) -> Iterator[Measurement]:
    """Peak memory of each operation, against the limit; an operation that fails fails the benchmark.

    The database has branches ``main``, ``feature``, ``ours`` and ``theirs``, nothing uncommitted, and ``main`` checked out.
    """
    steps = (
        ("diff", ["FROM epoch_diff('main', 'feature', table_name := 'orders')"]),
        ("merge", ["CALL epoch_branch('merged', 'ours')", "CALL epoch_merge('theirs', target := 'merged')"]),
        ("checkout", ["CALL epoch_checkout('feature')"]),
        ("commit of 1,000 rows", ["UPDATE orders SET note = 'x' WHERE id % 10_007 = 1", "CALL epoch_commit('some')"]),
        ("commit of every row", ["UPDATE orders SET amount = amount + 1", "CALL epoch_commit('all')"]),
        ("checkout of every row", ["CALL epoch_checkout('main')"]),
        ("initial commit", ["DROP SCHEMA epoch CASCADE", "CALL epoch_init()"]),
    )
    for operation, statements in steps:
        ran = subprocess.run(
            [sys.executable, "-c", PROBE, path, LIMIT, *statements], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"{operation} with {LIMIT} failed: {ran.stderr.strip().splitlines()[-1]}")
        yield Measurement(
            f"peak memory, {operation}, limit {LIMIT}", float(ran.stdout.split()[-1]), 1e9, Bar(ratio=1.5), unit="bytes"
        )
