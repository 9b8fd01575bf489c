"""Tables, differences and the history of a store in Spark: pruned, pinned to a commit, and refused in one line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Repo
from tests.remote.test_reading import build
from tests.spark.conftest import Engine

pytestmark = pytest.mark.slow


ADDED = [
    ("added_id", "UUID", "'00000000-0000-0000-0000-00000000000a'"),
    ("added_clock", "TIME", "'10:00:00.5'"),
    ("added_number", "HUGEINT", "123456789012345678901234567890"),
    ("added_day", "DATE", "'1500-02-28'"),
    ("added_bytes", "BLOB", "'ab'"),
    ("added_float", "FLOAT", "1.5"),
    ("added_moment", "TIMESTAMP", "'1500-03-01 00:00:01.5'"),
    ("added_word", "VARCHAR", "'it''s {braced}'"),
    ("added_nothing", "INTERVAL", "NULL"),
]
"""Columns that older files lack: their values are constants, which DuckDB computes for Spark."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """Branches that differ in rows and definitions, and views of which one is not Spark's."""
    repo = build(
        tmp_path_factory.mktemp("shop"),
        "CREATE VIEW dear AS SELECT id, amount FROM big WHERE amount > 100 ORDER BY id;"
        "CREATE VIEW per_month AS SELECT strftime(DATE '2020-01-01', '%m') AS month FROM orders;"
        "CREATE VIEW of_that AS FROM per_month",
    )
    repo("CREATE TABLE events (id INTEGER PRIMARY KEY, size DOUBLE, remark VARCHAR)")
    repo("INSERT INTO events SELECT i, i / 4, 'r' || i FROM range(5000) AS r(i)")
    repo.commit("events")
    for step in (1, 2):
        repo(f"UPDATE events SET remark = 'changed' WHERE id % 500 = {step}; DELETE FROM events WHERE id = {step * 7}")
        repo.commit("a few of them")
    for name, type, value in ADDED:
        repo(f"ALTER TABLE events ADD COLUMN {name} {type} DEFAULT {value}")
    repo("CREATE TABLE made (id INTEGER PRIMARY KEY, n HUGEINT, twice HUGEINT GENERATED ALWAYS AS (n + 1))")
    repo("INSERT INTO made VALUES (1, 1), (2, 100000000000000000000000000000000000000)")
    repo.commit("columns with defaults, a generated column, and a number of 39 digits")
    repo("SELECT * FROM epoch_push('origin', 'main')")
    repo("CALL epoch_branch('retyped', start := 'v1'); CALL epoch_checkout('retyped')")
    repo("ALTER TABLE orders ALTER amount TYPE DOUBLE; UPDATE orders SET amount = 1.25 WHERE id = 1")
    repo.commit("numbers")
    repo("SELECT * FROM epoch_push('origin', 'retyped')")
    yield repo
    repo.close()


@pytest.fixture
def url(shop: Repo) -> str:
    return str(shop.path.parent / "store")


def test_differences_and_history_are_those_of_duckdb(shop: Repo, url: str, engine: Engine) -> None:
    asked = (("v1", "staging", "orders"), ("staging", "v1", "log"), ("feature", "main", "orders"))
    # Spark plans each for seconds, and test_types.py has it compare, too.
    for before, after, name in asked if engine.name == "sail" else asked[:1]:
        query = "FROM epoch_diff(?, ?, table_name := ?)"
        columns, found = engine("diff", url, before, after, name, [])
        assert columns == [name for name, *_ in shop.con.execute(query, [before, after, name]).description]
        texts = ", ".join(f'CAST("{c}" AS VARCHAR)' for c in columns)
        rows = shop(f"SELECT {texts} {query}", before, after, name)
        assert found == sorted(map(list, rows), key=repr)
    columns, rows = engine("log", url, "main")
    told = shop("SELECT commit_id, message FROM epoch_log('main')")
    assert columns == ["commit_id", "parents", "author", "committed_at", "message", "refs"]
    assert [(row[0], row[4]) for row in rows] == told


def test_filters_and_columns_reach_base_and_deltas(shop: Repo, url: str, engine: Engine) -> None:
    plan = engine("plan", url, "main", "events", "id = 12", ["remark"])
    plan = plan.partition("== Physical Plan ==")[2]
    scans = [line for line in plan.splitlines() if re.search(r"FileScan|DataSourceExec", line)]
    assert len(scans) >= 2, plan
    for scan in scans:
        assert re.search(r"EqualTo\(\w+,12\)|predicate=.*@\d+ = 12", scan), scan
        assert "size" not in scan.split("ReadSchema")[-1].split("projection=")[-1], scan


def test_errors_say_what_is_wrong(shop: Repo, url: str, tmp_path: Path, engine: Engine) -> None:
    def refused(*arguments: Any) -> tuple[str, str, str, dict[str, Any]]:
        return tuple(engine("refused", *arguments))

    kind, message, hint, facts = refused("table", url, "main", "order", [])
    assert (kind, message, facts["suggestions"]) == ("TableNotFound", "there is no table order in main", ["orders"])
    assert hint == "did you mean orders?"
    kind, message, hint, _ = refused("table", url, "nowhere", "orders", [])
    assert (kind, message) == ("ReferenceNotFound", "unknown reference 'nowhere'")
    assert "repo.branches()" in hint
    kind, message, *_ = refused("table", str(tmp_path / "none"), "main", "orders", [])
    assert kind == "EpochRemoteError" and message.startswith("there is no Epoch store at")
    copy = shutil.copytree(url, tmp_path / "copy")
    for file in copy.glob("objects/*/*.parquet"):
        file.unlink()
    kind, message, *_ = refused("table", str(copy), "main", "orders", [])
    assert kind == "EpochStorageError" and "is missing" in message and "\n" not in message
    kind, message, hint, _ = refused("diff", url, "v1", "retyped", "orders", [])
    assert (kind, message) == (
        "UnsupportedType",
        "column amount of table orders was DECIMAL(9,2) and is DOUBLE, which Spark converts otherwise than DuckDB",
    )
    assert hint == "compare them in DuckDB, in a clone"
    kind, message, hint, facts = refused("escaped", url)
    assert (kind, facts["key"]) == ("EpochConfigError", "spark.sql.parser.escapedStringLiterals")


def test_columns_that_files_lack_have_their_default(shop: Repo, url: str, engine: Engine) -> None:
    columns = ", ".join(f"CAST({name} AS VARCHAR)" for name in ("id", "size", "remark", *(n for n, *_ in ADDED)))
    found, rows = engine("table", url, "main", "events", [])
    assert found == ["id", "size", "remark", *(name for name, *_ in ADDED)]
    assert rows == sorted(map(list, shop(f"SELECT {columns} FROM epoch_at('main', 'events')")), key=repr)


def test_what_spark_cannot_hold_is_not_guessed(shop: Repo, url: str, engine: Engine) -> None:
    """A generated column is left out, and named; a number of 39 digits fails when it is read."""
    columns, told, rows, failure = engine("left_out", url, "main", "made", "n")
    assert columns == ["id", "n"]
    assert told == ["column twice of table made left out: generated, and Spark does not compute it"]
    assert rows == [["1"]] and "more than 38 digits" in failure


def test_a_data_frame_stays_where_its_reference_was(url: str, tmp_path: Path, engine: Engine) -> None:
    copy = str(shutil.copytree(url, tmp_path / "copy"))
    before, after, again = engine("moved", copy, "staging", "v1", "orders")
    assert (before, after, again) == (91, 91, 100)


def test_views_are_made_as_far_as_spark_has_them(shop: Repo, url: str, engine: Engine) -> None:
    made, left_out, rows = engine("views", url, "main", "SELECT * FROM dear")
    assert sorted(made) == ["big", "dear", "events", "log", "made", "orders"]
    assert set(left_out) == {"per_month", "of_that"}
    assert "strftime" in left_out["per_month"].lower() and "per_month" in left_out["of_that"]
    told = shop("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM epoch_at('main', 'dear')")
    assert rows == sorted(map(list, told), key=repr)
