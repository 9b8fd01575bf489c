"""DuckLake: snapshots of tables. A branch is a table over the same files; changes between snapshots are merged by hand."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import duckdb
import duckdb_extension_ducklake
from peer import AGGREGATE, COLUMNS, POINT, STATE, Peer, serve

CHANGES = "ducklake_table_changes('lake', 'main', '{table}', {since} + 1, {until})"
CELLS = ", ".join(
    f"{column} = CASE WHEN a.{column} IS DISTINCT FROM b.{column} THEN a.{column} ELSE {{table}}.{column} END"
    for column in COLUMNS
)


class DuckLake(Peer):
    """A lake whose catalog is a DuckDB database."""

    version = f"DuckLake {version('duckdb-extension-ducklake')} (DuckDB {duckdb.__version__})"
    connection: duckdb.DuckDBPyConnection | None = None

    def __init__(self, folder: Path, source: Path, rows: int) -> None:
        super().__init__(folder, source, rows)
        self.since: dict[str, int] = {}

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement."""
        assert self.connection
        return self.connection.execute(statement).fetchall()

    @property
    def snapshot(self) -> int:
        """The number of the newest snapshot."""
        [[number]] = self.run("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")
        return int(str(number))

    def fork(self, name: str) -> None:
        """A table over the files of the first."""
        self.run("BEGIN")
        self.run(f"CREATE TABLE {name} AS FROM orders LIMIT 0")
        for (file,) in self.run("SELECT data_file FROM ducklake_list_files('lake', 'orders')"):
            self.run(f"CALL ducklake_add_data_files('lake', '{name}', '{file}')")
        self.run("COMMIT")
        self.since[name] = self.snapshot

    def before_load(self, _: int) -> None:
        """An empty lake."""
        if self.connection:
            self.connection.close()
        self.begin_anew()
        self.connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        extension = next(Path(duckdb_extension_ducklake.__file__).parent.rglob("*.duckdb_extension"))
        self.run(f"LOAD '{extension}'")
        self.run(f"ATTACH 'ducklake:{self.folder / 'catalog.ducklake'}' AS lake (DATA_PATH '{self.folder / 'data'}/')")
        self.run("USE lake")

    def load(self, _: int) -> None:
        """The table, as the first snapshot. DuckLake has no primary keys."""
        self.run(f"CREATE TABLE orders AS FROM read_parquet('{self.parquet}')")

    def branch(self, number: int) -> None:
        """A table over the same files."""
        self.fork(f"branch_{number}")

    def before_scattered(self, number: int) -> None:
        """A branch of its own for each round."""
        self.fork(f"scattered_{number}")

    def scattered(self, number: int) -> None:
        """1,000 rows, all over the table."""
        self.run(f"UPDATE scattered_{number} SET amount = amount + 1, note = 'changed' WHERE {self.keys(number)}")

    def before_range(self, number: int) -> None:
        """A branch of its own for each round."""
        self.fork(f"range_{number}")

    def range(self, number: int) -> None:
        """1 % of the rows, next to each other."""
        first, end = self.one_percent
        self.run(f"UPDATE range_{number} SET amount = amount + 1 WHERE id >= {first} AND id < {end}")

    def diff(self, _: int) -> int:
        """All rows that changed since the branch was made, before and after."""
        changes = CHANGES.format(table="scattered_0", since=self.since["scattered_0"], until=self.snapshot)
        return len(self.run(f"FROM {changes}")) // 2

    def scan(self, _: int) -> list[tuple[object, ...]]:
        """An aggregate of all rows."""
        return self.run(AGGREGATE.format(rows="range_0"))

    def point(self, _: int) -> list[tuple[object, ...]]:
        """One row."""
        return self.run(POINT.format(rows="range_0", key=self.key))

    def before_merge(self, number: int) -> None:
        """Theirs, once; a branch with the changes of ours to merge into."""
        if number == 0:
            self.fork("theirs")
            self.run(f"UPDATE theirs SET note = 'theirs' WHERE {self.keys(2, 3)}")
            self.until = self.snapshot
        self.fork(f"merged_{number}")
        self.run(f"UPDATE merged_{number} SET amount = amount + 1 WHERE {self.keys(1, 3)}")

    def merge(self, number: int) -> None:
        """Cell by cell, from the rows that theirs changed."""
        changes = CHANGES.format(table="theirs", since=self.since["theirs"], until=self.until)
        table = f"merged_{number}"
        self.run(f"CREATE OR REPLACE TEMP TABLE changes AS FROM {changes}")
        self.run(
            f"UPDATE {table} SET {CELLS.format(table=table)} FROM temp.changes AS a JOIN temp.changes AS b "
            "ON a.id = b.id AND a.change_type = 'update_postimage' AND b.change_type = 'update_preimage' "
            f"WHERE {table}.id = a.id"
        )

    def merged(self, number: int) -> list[tuple[object, ...]]:
        """What the merge made."""
        return self.run(STATE.format(rows=f"merged_{number}"))


if __name__ == "__main__":
    serve(DuckLake)
