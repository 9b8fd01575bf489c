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
    for before, after, name in asked:
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
    assert "repo.compact" in hint


def test_views_are_made_as_far_as_spark_has_them(shop: Repo, url: str, engine: Engine) -> None:
    made, left_out, rows = engine("views", url, "main", "SELECT * FROM dear")
    assert sorted(made) == ["big", "dear", "events", "log", "orders"]
    assert set(left_out) == {"per_month", "of_that"}
    assert "strftime" in left_out["per_month"].lower() and "per_month" in left_out["of_that"]
    told = shop("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM epoch_at('main', 'dear')")
    assert rows == sorted(map(list, told), key=repr)
