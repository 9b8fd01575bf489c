"""The rows that every system loads: as Parquet, and as a SQLite database for the system that reads that."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb

from tests.bench.workload import ROWS, TABLE

BATCH = 100_000


def make_source(folder: Path, rows: int) -> None:
    """Write ``orders.parquet`` and ``orders.sqlite``, in the order of the key."""
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "source.duckdb")) as connection:
        connection.execute(TABLE)
        connection.execute(ROWS.format(order="i"), [rows])
        connection.execute(f"COPY (FROM orders ORDER BY id) TO '{folder / 'orders.parquet'}' (COMPRESSION zstd)")
        plain = connection.execute(
            "SELECT id, customer_id, status, CAST(amount AS DOUBLE), CAST(updated_at AS VARCHAR), note FROM orders ORDER BY id"
        )
        sqlite = sqlite3.connect(folder / "orders.sqlite")
        sqlite.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, status TEXT, amount REAL, "
            "updated_at TEXT, note TEXT)"
        )
        while batch := plain.fetchmany(BATCH):
            sqlite.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", batch)
        sqlite.commit()
        sqlite.close()
    (folder / "source.duckdb").unlink()
