"""A store of many rows beside one of few: what a bare clone of it takes, and a diff and a merge of 10,000 changed rows.

``python -m tests.bench.scale`` makes both stores and prints the table of docs/scale.md. At 100 million rows it takes about
half an hour and 20 GB of disk. Base files are moved away while diff and merge run: so they read none.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

import epoch_sql
from epoch_sql.storage import writing
from epoch_sql.storage.remote.base import file_path
from tests.bench.measure import duration
from tests.bench.workload import ROWS, TABLE

CHANGED = 10_000
FILES = 16
BRANCHES = {"ours": "amount = amount + 1", "theirs": "note = 'theirs'"}


@dataclass
class Scale:
    """A repository of ``rows`` rows, its store, and what was measured, in the order in which it was."""

    folder: Path
    rows: int
    memory_limit: str
    measured: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.folder / "store"

    @contextmanager
    def timed(self, operation: str) -> Iterator[None]:
        """Notes the wall and processor time of an operation."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.measured[operation] = (time.perf_counter() - wall, time.process_time() - processor)
        print(f"{self.rows:,} rows: {operation}: {self.measured[operation][0]:.3f} s", file=sys.stderr, flush=True)

    def make(self) -> None:
        """Commit the table, and a change of 10,000 rows all over it on each of two branches; push them."""
        with self._open(self.folder / "shop.duckdb") as con:
            con.execute(TABLE)
            con.execute(ROWS.format(order="i"), [self.rows])
            con.execute("CHECKPOINT")
            with self.timed("first commit"):
                con.execute("CALL epoch_init()")
            con.execute("CALL epoch_remote_add('origin', ?)", [str(self.store)])
            with self.timed("first push"):
                con.execute("CALL epoch_push('origin', 'main')")
            for number, (branch, change) in enumerate(BRANCHES.items()):
                con.execute("CALL epoch_checkout('main')")
                con.execute("CALL epoch_checkout(?, new_branch := true)", [branch])
                step = self.rows // CHANGED
                con.execute(f"UPDATE orders SET {change} WHERE id % {step} = {number % step}")
                with self.timed(f"commit of 10,000 changed rows ({branch})"):
                    con.execute("CALL epoch_commit(?)", [branch])
                with self.timed(f"push of it ({branch})"):
                    con.execute("CALL epoch_push('origin', ?)", [branch])

    def work(self) -> None:
        """Diff and merge in a bare clone, without the base files."""
        bare = self.folder / "bare"
        with self._open(bare / "shop.duckdb") as con:
            with self.timed("bare clone"):
                con.execute("CALL epoch_clone(?, bare := true)", [str(self.store)])
            with self._without_bases():
                with self.timed("diff of two branches"):
                    diff = "SELECT count(*) FROM epoch_diff('ours', 'theirs', table_name := 'orders')"
                    found = con.execute(diff).fetchall()
                    assert found == [(2 * CHANGED,)], found
                with self.timed("merge"):
                    con.execute("CALL epoch_merge('theirs', target := 'ours')")
            with self.timed("push of the merge"):
                con.execute("CALL epoch_push('origin', 'ours')")
            with self.timed("point read at a branch"):
                con.execute("FROM epoch_at('ours', 'orders') WHERE id = ?", [self.rows // 3]).fetchall()
            with self.timed("scan of one column at a branch"):
                con.execute("SELECT sum(amount) FROM epoch_at('ours', 'orders')").fetchall()

    def bases(self) -> list[Path]:
        """The base files of the store."""
        levels = [json.loads(path.read_bytes()) for path in self.store.glob("levels/*.json")]
        ids = {file["file_id"] for level in levels for file in level["files"]}
        return sorted(self.store / file_path(file_id) for file_id in ids)

    @contextmanager
    def _without_bases(self) -> Iterator[None]:
        bases = self.bases()
        assert len(bases) == FILES, bases
        for path in bases:
            path.rename(path.with_suffix(".away"))
        try:
            yield
        finally:
            for path in bases:
                path.with_suffix(".away").rename(path)

    @contextmanager
    def _open(self, database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        database.parent.mkdir(exist_ok=True)
        with epoch_sql.connect(database, config={"memory_limit": self.memory_limit}) as con:
            yield con


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 100_000_000])
    parser.add_argument("--memory-limit", default="4GB")
    parser.add_argument("--folder", type=Path, help="where to put the stores (default: a scratch folder)")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="epoch-scale-", dir=options.folder) as name:
        for rows in options.rows:
            writing.FILE_ROWS = rows // FILES
            scale = Scale(Path(name) / str(rows), rows, options.memory_limit)
            scale.folder.mkdir()
            scale.make()
            scale.work()
            found.append(scale)
    print(f"DuckDB {duckdb.__version__}, {FILES} base files, peak {_peak():,} MB\n")
    print("| operation | " + " | ".join(f"{scale.rows:,} rows" for scale in found) + " |")
    print("| --- |" + " --- |" * len(found))
    for operation in found[0].measured:
        cells = [" / ".join(map(duration, scale.measured[operation])) for scale in found]
        print(f"| {operation} | " + " | ".join(cells) + " |")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
