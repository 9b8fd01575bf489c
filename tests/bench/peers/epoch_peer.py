"""Epoch."""

from __future__ import annotations

from importlib.metadata import version

import duckdb
from by_hand import TABLE
from peer import AGGREGATE, POINT, STATE, Peer, serve

import epoch_sql


class Epoch(Peer):
    """A database with working tables, and its repository."""

    version = f"Epoch {version('epoch-sql')} (DuckDB {duckdb.__version__})"
    connection: duckdb.DuckDBPyConnection | None = None

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement."""
        assert self.connection
        return self.connection.execute(statement).fetchall()

    def commit(self, branch: str, statement: str) -> None:
        """Check a branch out, change rows there, commit."""
        self.run(f"CALL epoch_checkout('{branch}')")
        self.run(statement)
        self.run("CALL epoch_commit('a change')")

    def before_load(self, _: int) -> None:
        """An empty database."""
        if self.connection:
            self.connection.close()
        self.begin_anew()
        self.connection = epoch_sql.connect(self.folder / "shop.duckdb")

    def load(self, _: int) -> None:
        """The working table, and the first commit."""
        self.run(TABLE)
        self.run(f"INSERT INTO orders FROM read_parquet('{self.parquet}')")
        self.run("CALL epoch_init()")

    def branch(self, number: int) -> None:
        """A branch."""
        self.run(f"CALL epoch_branch('branch-{number}')")

    def before_scattered(self, number: int) -> None:
        """A branch of its own for each round."""
        self.run(f"CALL epoch_branch('scattered-{number}', 'main')")

    def scattered(self, number: int) -> None:
        """1,000 rows, all over the table."""
        self.commit(
            f"scattered-{number}",
            f"UPDATE orders SET amount = amount + 1, note = 'changed' WHERE {self.keys(number)}",
        )

    def before_range(self, number: int) -> None:
        """A branch of its own for each round."""
        self.run(f"CALL epoch_branch('range-{number}', 'main')")

    def range(self, number: int) -> None:
        """1 % of the rows, next to each other."""
        first, end = self.one_percent
        self.commit(f"range-{number}", f"UPDATE orders SET amount = amount + 1 WHERE id >= {first} AND id < {end}")

    def diff(self, _: int) -> int:
        """All rows that differ."""
        return len(self.run("FROM epoch_diff('main', 'scattered-0', table_name := 'orders')"))

    def scan(self, _: int) -> list[tuple[object, ...]]:
        """An aggregate of all rows of a branch that is not checked out."""
        return self.run(AGGREGATE.format(rows="epoch_at('range-0', 'orders')"))

    def point(self, _: int) -> list[tuple[object, ...]]:
        """One row."""
        return self.run(POINT.format(rows="epoch_at('range-0', 'orders')", key=self.key))

    def before_merge(self, number: int) -> None:
        """Both sides, once; a branch of ours to merge into, checked out."""
        if number == 0:
            for side, change in (
                ("ours", f"UPDATE orders SET amount = amount + 1 WHERE {self.keys(1, 3)}"),
                ("theirs", f"UPDATE orders SET note = 'theirs' WHERE {self.keys(2, 3)}"),
            ):
                self.run(f"CALL epoch_branch('{side}', 'main')")
                self.commit(side, change)
        self.run(f"CALL epoch_branch('merged-{number}', 'ours')")
        self.run(f"CALL epoch_checkout('merged-{number}')")

    def merge(self, _: int) -> None:
        """Cell by cell, into the branch that is checked out."""
        self.run("CALL epoch_merge('theirs')")

    def merged(self, _: int) -> list[tuple[object, ...]]:
        """What the merge made."""
        return self.run(STATE.format(rows="orders"))


if __name__ == "__main__":
    serve(Epoch)
