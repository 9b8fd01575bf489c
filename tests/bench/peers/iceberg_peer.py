"""Apache Iceberg through pyiceberg: branches, no merge. DuckDB joins and aggregates what pyiceberg reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyiceberg
from peer import AGGREGATE, FULL_JOIN, Peer, serve
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan


class Iceberg(Peer):
    """One Iceberg table in a catalog of SQLite."""

    version = f"pyiceberg {pyiceberg.__version__}"
    catalog: SqlCatalog
    changed: Any

    def __init__(self, folder: Path, source: Path, rows: int) -> None:
        super().__init__(folder, source, rows)
        self.engine = duckdb.connect()

    def read(self, query: str, **tables: Any) -> Any:
        """A query as an Arrow table."""
        for name, rows in tables.items():
            self.engine.register(name, rows)
        return self.engine.sql(query).to_arrow_table()

    def fork(self, branch: str) -> None:
        """A branch of the state that was loaded."""
        with self.table.manage_snapshots() as snapshots:
            snapshots.create_branch(snapshot_id=self.first, branch_name=branch)

    def rows_of(self, branch: str, **options: Any) -> Any:
        """The rows of a branch as an Arrow table."""
        return self.table.scan(**options).use_ref(branch).to_arrow()

    def before_load(self, _: int) -> None:
        """An empty catalog."""
        self.begin_anew()
        self.catalog = SqlCatalog(
            "shop", uri=f"sqlite:///{self.folder / 'catalog.db'}", warehouse=f"file://{self.folder}"
        )
        self.catalog.create_namespace("shop")

    def load(self, _: int) -> None:
        """The table, and its first snapshot."""
        rows = self.read(f"FROM read_parquet('{self.parquet}')")
        self.table = self.catalog.create_table("shop.orders", schema=rows.schema)
        self.table.append(rows)
        self.first = self.table.current_snapshot().snapshot_id

    def branch(self, number: int) -> None:
        """A branch."""
        self.fork(f"branch-{number}")

    def before_scattered(self, number: int) -> None:
        """A branch of its own for each round, and the new rows."""
        self.fork(f"scattered-{number}")
        self.changed = self.read(
            "SELECT * REPLACE (CAST(amount + 1 AS DECIMAL(12, 2)) AS amount, 'changed' AS note) "
            f"FROM read_parquet('{self.parquet}') WHERE {self.keys(number)}"
        )

    def scattered(self, number: int) -> None:
        """1,000 rows, all over the table."""
        self.table.upsert(self.changed, join_cols=["id"], branch=f"scattered-{number}")

    def before_range(self, number: int) -> None:
        """A branch of its own for each round, and the new rows."""
        first, end = self.one_percent
        self.fork(f"range-{number}")
        self.changed = self.read(
            "SELECT * REPLACE (CAST(amount + 1 AS DECIMAL(12, 2)) AS amount) "
            f"FROM read_parquet('{self.parquet}') WHERE id >= {first} AND id < {end}"
        )

    def range(self, number: int) -> None:
        """1 % of the rows, next to each other."""
        first, end = self.one_percent
        self.table.overwrite(
            self.changed,
            overwrite_filter=And(GreaterThanOrEqual("id", first), LessThan("id", end)),
            branch=f"range-{number}",
        )

    def diff(self, _: int) -> int:
        """All rows that differ."""
        found = self.read(
            FULL_JOIN.format(a="main_rows", b="branch_rows"),
            main_rows=self.rows_of("main"),
            branch_rows=self.rows_of("scattered-0"),
        )
        return int(found.num_rows)

    def scan(self, _: int) -> list[tuple[object, ...]]:
        """An aggregate of all rows."""
        rows = self.rows_of("range-0", selected_fields=("status", "amount"))
        self.engine.register("range_rows", rows)
        return self.engine.execute(AGGREGATE.format(rows="range_rows")).fetchall()

    def point(self, _: int) -> list[tuple[object, ...]]:
        """One row."""
        found = self.rows_of("range-0", row_filter=EqualTo("id", self.key), selected_fields=("id", "amount", "note"))
        return [tuple(row.values()) for row in found.to_pylist()]


if __name__ == "__main__":
    serve(Iceberg)
