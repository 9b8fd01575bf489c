"""Delta Lake through delta-rs: versions of one table, no branches."""

from __future__ import annotations

import duckdb
from deltalake import DeltaTable, QueryBuilder, __version__, write_deltalake
from peer import AGGREGATE, FULL_JOIN, POINT, Peer, serve


class Delta(Peer):
    """One Delta table. What others keep on branches is a version here; each round restores the one that was loaded."""

    version = f"delta-rs {__version__}"

    @property
    def path(self) -> str:
        """Where the table is."""
        return str(self.folder / "orders")

    def query(self, statement: str, **versions: int) -> list[tuple[object, ...]]:
        """The rows of a statement over versions of the table."""
        query = QueryBuilder()
        for name, version in versions.items():
            query.register(name, DeltaTable(self.path, version=version))
        found = query.execute(statement).read_all()
        columns = [column.to_pylist() for column in found.columns]
        return list(zip(*columns, strict=True))

    def update(self, condition: str, **changes: str) -> int:
        """Change rows; the number of the version that this made."""
        table = DeltaTable(self.path)
        table.update(predicate=condition, updates=changes)
        return int(table.version())

    def restore(self) -> None:
        """Make the newest version one with the rows that were loaded."""
        DeltaTable(self.path).restore(0)

    def before_load(self, _: int) -> None:
        """An empty folder."""
        self.begin_anew()

    def load(self, _: int) -> None:
        """The table, and its first version."""
        write_deltalake(self.path, duckdb.connect().sql(f"FROM read_parquet('{self.parquet}')").to_arrow_reader())

    def before_scattered(self, number: int) -> None:
        """The rows that were loaded."""
        if number:
            self.restore()

    def scattered(self, number: int) -> None:
        """1,000 rows, all over the table."""
        version = self.update(self.keys(number), amount="amount + 1", note="'changed'")
        self.scattered_version = version if number == 0 else self.scattered_version

    def before_range(self, _: int) -> None:
        """The rows that were loaded."""
        self.restore()

    def range(self, _: int) -> None:
        """1 % of the rows, next to each other."""
        first, end = self.one_percent
        self.range_version = self.update(f"id >= {first} AND id < {end}", amount="amount + 1")

    def diff(self, _: int) -> int:
        """All rows that differ."""
        return len(self.query(FULL_JOIN.format(a="before", b="after"), before=0, after=self.scattered_version))

    def scan(self, _: int) -> list[tuple[object, ...]]:
        """An aggregate of all rows."""
        return self.query(AGGREGATE.format(rows="orders"), orders=self.range_version)

    def point(self, _: int) -> list[tuple[object, ...]]:
        """One row."""
        return self.query(POINT.format(rows="orders", key=self.key), orders=self.range_version)


if __name__ == "__main__":
    serve(Delta)
