"""The program ``epoch`` from start to end, and a database of many small tables."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import epoch_sql
from tests.bench.measure import Bar, Measurement, best_of

PROGRAM = "from epoch_sql.cli.main import main; main()"


def programs(folder: Path, rounds: int) -> Iterator[Measurement]:
    """``epoch --version``, and ``epoch status`` of a database of three small tables."""
    folder.mkdir(parents=True)
    _make_tables(folder / "small.duckdb", 3)
    for arguments, most in ((["--version"], 0.15), (["--db", str(folder / "small.duckdb"), "status"], 0.5)):
        yield Measurement(
            f"epoch {arguments[-1]}", best_of(2 * rounds, partial(_epoch, arguments)), None, Bar(seconds=most)
        )


def many_tables(folder: Path, rounds: int, tables: int) -> Iterator[Measurement]:
    """Status of a database with many small tables, nothing changed."""
    folder.mkdir(parents=True)
    path = folder / "many.duckdb"
    _make_tables(path, tables)
    with epoch_sql.connect(path) as connection:
        seconds = best_of(rounds, lambda: connection.execute("FROM epoch_status()").fetchall())
    yield Measurement(f"status of {tables:,} small tables, nothing changed", seconds, None, Bar(seconds=2.0))


def _make_tables(path: Path, tables: int) -> None:
    with epoch_sql.connect(path) as connection:
        connection.execute("BEGIN")
        for number in range(tables):
            connection.execute(
                f"CREATE TABLE table_{number} "
                "(id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, price DECIMAL(10, 2) DEFAULT 0)"
            )
            connection.execute(f"INSERT INTO table_{number} SELECT i, 'name ' || i, i FROM range(10) AS numbers (i)")
        connection.execute("COMMIT")
        connection.execute("CALL epoch_init()")


def _epoch(arguments: list[str]) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)
