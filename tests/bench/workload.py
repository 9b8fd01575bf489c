"""The data of the benchmark: one table of orders in a versioned database, and the same by hand in a plain one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

import epoch_sql

CHANGED = 1_000
COLUMNS = "id, customer_id, status, amount, updated_at, note"

TABLE = """
CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    customer_id INTEGER,
    status VARCHAR,
    amount DECIMAL(12, 2),
    updated_at TIMESTAMP,
    note VARCHAR
)
"""

ROWS = """
INSERT INTO orders
SELECT
    i,
    CAST(hash(i) % 500_000 AS INTEGER),
    ['new', 'paid', 'shipped', 'returned'][1 + CAST(hash(i + 1) % 4 AS INTEGER)],
    CAST(CAST(hash(i + 2) % 1_000_000 AS INTEGER) / 100 AS DECIMAL(12, 2)),
    TIMESTAMP '2025-01-01' + to_seconds(CAST(hash(i + 3) % 31_000_000 AS BIGINT)),
    left(md5(CAST(i AS VARCHAR)), 20)
FROM range(?) AS numbers (i)
ORDER BY {order}
"""

CHANGE = (
    "UPDATE {table} SET amount = amount + 1, note = 'changed in round ' || {number} "
    "WHERE id % {step} = {number} % {step}"
)

FULL_JOIN = """
SELECT b.*, a.*
FROM orders AS b
FULL JOIN orders_branch AS a ON a.id = b.id
WHERE a.id IS NULL OR b.id IS NULL
   OR a.customer_id IS DISTINCT FROM b.customer_id OR a.status IS DISTINCT FROM b.status
   OR a.amount IS DISTINCT FROM b.amount OR a.updated_at IS DISTINCT FROM b.updated_at
   OR a.note IS DISTINCT FROM b.note
"""

FINGERPRINT = f"SELECT count(*), bit_xor(hash({COLUMNS})), sum(hash({COLUMNS})) FROM orders"


@dataclass(frozen=True)
class Workload:
    """Two databases with the same rows: ``ours`` versioned, ``by_hand`` with a copy of the table for each branch."""

    folder: Path
    rows: int
    rounds: int
    ours: duckdb.DuckDBPyConnection
    by_hand: duckdb.DuckDBPyConnection

    @property
    def parquet(self) -> Path:
        """The table as one plain Parquet file, sorted by key."""
        return self.folder / "orders.parquet"

    @property
    def call(self) -> Path:
        """The repository's folder; it is there once ``epoch_init`` was called."""
        return self.folder / ".epoch"

    @property
    def step(self) -> int:
        """Every how many rows one is changed."""
        return max(self.rows // CHANGED, 1)

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement on the versioned database."""
        return self.ours.execute(statement, list(values)).fetchall()

    def run_by_hand(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement on the plain database."""
        return self.by_hand.execute(statement, list(values)).fetchall()

    def change(self, number: int) -> None:
        """Change 1,000 rows, all over the versioned table."""
        self.run(CHANGE.format(table="orders", number=number, step=self.step))

    def write_parquet(self, table: str, path: Path) -> None:
        """Write a table of the plain database as sorted Parquet."""
        self.run_by_hand(
            f"COPY (FROM {table} ORDER BY id) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        )

    def stored_bytes(self) -> int:
        """The size of all files of the repository."""
        return sum(path.stat().st_size for path in self.call.rglob("*") if path.is_file())


@contextmanager
def workload(
    folder: Path, rows: int, rounds: int, memory_limit: str, order: str = "i", definition: str = TABLE
) -> Iterator[Workload]:
    """A workload in an empty folder, its rows inserted in the given order into a table of a definition.

    Nothing is committed yet; the branch by hand has 1,000 changed rows.
    """
    folder.mkdir(parents=True)
    config = {"memory_limit": memory_limit}
    with (
        epoch_sql.connect(folder / "shop.duckdb", config=config) as ours,
        duckdb.connect(str(folder / "by_hand.duckdb"), config=config) as by_hand,
    ):
        load = Workload(folder, rows, rounds, ours, by_hand)
        for connection in (ours, by_hand):
            connection.execute(definition)
            connection.execute(ROWS.format(order=order), [rows])
        by_hand.execute("CREATE TABLE orders_branch AS FROM orders")
        by_hand.execute(CHANGE.format(table="orders_branch", number=0, step=load.step))
        for connection in (ours, by_hand):
            connection.execute("CHECKPOINT")
        load.write_parquet("orders", load.parquet)
        yield load
