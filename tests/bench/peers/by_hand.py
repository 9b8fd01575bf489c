"""DuckDB as one would use it by hand: a copy of the table for each branch, joins for what differs."""

from __future__ import annotations

import duckdb
from peer import AGGREGATE, COLUMNS, DIFFERENT, FULL_JOIN, POINT, STATE, Peer, serve

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
MERGED_CELLS = ", ".join(
    f"{column} = CASE WHEN a.{column} IS DISTINCT FROM b.{column} THEN a.{column} ELSE merged.{column} END"
    for column in COLUMNS
)
MERGE = (
    f"UPDATE merged SET {MERGED_CELLS} FROM theirs AS a JOIN orders AS b ON a.id = b.id "
    f"WHERE merged.id = a.id AND ({DIFFERENT})"
)


class ByHand(Peer):
    """A DuckDB database with a table for each branch."""

    version = f"DuckDB {duckdb.__version__}"
    connection: duckdb.DuckDBPyConnection | None = None

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement."""
        assert self.connection
        return self.connection.execute(statement).fetchall()

    def copy(self, name: str, rows: str = "orders") -> None:
        """A branch."""
        self.run(f"CREATE OR REPLACE TABLE {name} AS FROM {rows}")

    def before_load(self, _: int) -> None:
        """An empty database."""
        if self.connection:
            self.connection.close()
        self.begin_anew()
        self.connection = duckdb.connect(str(self.folder / "by_hand.duckdb"))

    def load(self, _: int) -> None:
        """The table, on disk."""
        self.run(TABLE)
        self.run(f"INSERT INTO orders FROM read_parquet('{self.parquet}')")
        self.run("CHECKPOINT")

    def branch(self, number: int) -> None:
        """A copy of the table."""
        self.copy("branch")

    def before_scattered(self, number: int) -> None:
        """A branch of its own for each round; the first stays, to be compared."""
        self.copy("scattered" if number == 0 else "busy")

    def scattered(self, number: int) -> None:
        """1,000 rows, all over the table."""
        table = "scattered" if number == 0 else "busy"
        self.run(f"UPDATE {table} SET amount = amount + 1, note = 'changed' WHERE {self.keys(number)}")

    def before_range(self, _: int) -> None:
        """A branch of its own for each round."""
        self.copy("range")

    def range(self, _: int) -> None:
        """1 % of the rows, next to each other."""
        first, end = self.one_percent
        self.run(f"UPDATE range SET amount = amount + 1 WHERE id >= {first} AND id < {end}")

    def diff(self, _: int) -> int:
        """All rows that differ."""
        return len(self.run(FULL_JOIN.format(a="orders", b="scattered")))

    def scan(self, _: int) -> list[tuple[object, ...]]:
        """An aggregate of all rows."""
        return self.run(AGGREGATE.format(rows="range"))

    def point(self, _: int) -> list[tuple[object, ...]]:
        """One row."""
        return self.run(POINT.format(rows="range", key=self.key))

    def before_merge(self, number: int) -> None:
        """Both sides, once; a copy of ours to merge into."""
        if number == 0:
            self.copy("ours")
            self.run(f"UPDATE ours SET amount = amount + 1 WHERE {self.keys(1, 3)}")
            self.copy("theirs")
            self.run(f"UPDATE theirs SET note = 'theirs' WHERE {self.keys(2, 3)}")
        self.copy("merged", "ours")

    def merge(self, _: int) -> None:
        """Cell by cell."""
        self.run(MERGE)

    def merged(self, _: int) -> list[tuple[object, ...]]:
        """What the merge made."""
        return self.run(STATE.format(rows="merged"))


if __name__ == "__main__":
    serve(ByHand)
