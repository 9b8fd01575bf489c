"""DoltLite: Dolt's semantics on SQLite."""

from __future__ import annotations

import doltlite  # isort: skip  # it has to come before sqlite3, which it replaces

import sqlite3
from importlib.metadata import version

from peer import AGGREGATE, POINT, STATE, Peer, serve

TABLE = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, status TEXT, amount REAL, updated_at TEXT, "
    "note TEXT)"
)


class DoltLite(Peer):
    """A SQLite database with branches."""

    version = f"DoltLite {version('doltlite')} (SQLite {sqlite3.sqlite_version})"
    connection: sqlite3.Connection | None = None

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement."""
        assert self.connection
        return self.connection.execute(statement).fetchall()

    def checkout(self, branch: str) -> None:
        """Check a branch out."""
        self.run(f"SELECT dolt_checkout('{branch}')")

    def commit(self, branch: str, statement: str) -> None:
        """Check a branch out, change rows there, commit."""
        self.checkout(branch)
        self.run(statement)
        self.run("SELECT dolt_commit('-A', '-m', 'a change')")

    def fork(self, branch: str, start: str = "main") -> None:
        """A branch."""
        self.run(f"SELECT dolt_branch('{branch}', '{start}')")

    def before_load(self, _: int) -> None:
        """An empty database."""
        if self.connection:
            self.connection.close()
        self.begin_anew()
        self.connection = sqlite3.connect(self.folder / "shop.db", isolation_level=None)
        self.run(f"ATTACH '{self.source / 'orders.sqlite'}' AS source")

    def load(self, _: int) -> None:
        """The table, and the first commit."""
        self.run(TABLE)
        self.run("INSERT INTO orders SELECT * FROM source.orders ORDER BY id")
        self.run("SELECT dolt_commit('-A', '-m', 'first')")

    def branch(self, number: int) -> None:
        """A branch."""
        self.fork(f"branch-{number}")

    def changed(self, change: str, *offsets: int) -> str:
        """An update of 1,000 rows for each of the offsets, by their keys: a row store finds them best so."""
        first = " UNION ALL ".join(f"SELECT {offset % self.step}" for offset in offsets)
        following = f"SELECT key + {self.step} FROM keys WHERE key + {self.step} < {self.rows}"
        keys = f"WITH RECURSIVE keys (key) AS ({first} UNION ALL {following}) SELECT key FROM keys"
        return f"UPDATE orders SET {change} WHERE id IN ({keys})"

    def before_scattered(self, number: int) -> None:
        """A branch of its own for each round."""
        self.fork(f"scattered-{number}")

    def scattered(self, number: int) -> None:
        """1,000 rows, all over the table."""
        self.commit(f"scattered-{number}", self.changed("amount = amount + 1, note = 'changed'", number))

    def before_range(self, number: int) -> None:
        """A branch of its own for each round."""
        self.fork(f"range-{number}")

    def range(self, number: int) -> None:
        """1 % of the rows, next to each other."""
        first, end = self.one_percent
        self.commit(f"range-{number}", f"UPDATE orders SET amount = amount + 1 WHERE id >= {first} AND id < {end}")

    def diff(self, _: int) -> int:
        """All rows that differ."""
        return len(self.run("SELECT * FROM dolt_diff_orders('main', 'scattered-0')"))

    def scan(self, _: int) -> list[tuple[object, ...]]:
        """An aggregate of all rows of a branch that is not checked out."""
        return self.run(AGGREGATE.format(rows="dolt_at_orders('range-0')"))

    def point(self, _: int) -> list[tuple[object, ...]]:
        """One row."""
        return self.run(POINT.format(rows="dolt_at_orders('range-0')", key=self.key))

    def before_merge(self, number: int) -> None:
        """Both sides, once; a branch of ours to merge into, checked out."""
        if number == 0:
            self.fork("ours")
            self.commit("ours", self.changed("amount = amount + 1", 1, 3))
            self.fork("theirs")
            self.commit("theirs", self.changed("note = 'theirs'", 2, 3))
        self.fork(f"merged-{number}", "ours")
        self.checkout(f"merged-{number}")

    def merge(self, _: int) -> None:
        """Cell by cell, into the branch that is checked out."""
        self.run("SELECT dolt_merge('theirs')")

    def merged(self, _: int) -> list[tuple[object, ...]]:
        """What the merge made."""
        return self.run(STATE.format(rows="orders"))


if __name__ == "__main__":
    assert doltlite.__version__
    serve(DoltLite)
