"""``spark.read.format("epoch")``: found by its package, exact, one task for each range of keys, with filters pushed."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from epoch_sql.storage import writing
from tests.conftest import Repo
from tests.spark.conftest import ROOT, Engine

EVENTS = 6000


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A table in several base files, with a delta that reaches two of them, and one without a key."""
    folder = tmp_path_factory.mktemp("events")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "FILE_ROWS", EVENTS // 4)
        repo = Repo(folder / "events.duckdb")
        repo(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, name VARCHAR, day DATE, size HUGEINT, extra STRUCT(clock TIME)[])"
        )
        repo(
            "INSERT INTO events SELECT i, 'n' || i, DATE '1500-01-01' + i::INTEGER, i::HUGEINT - 5, [{clock: TIME '10:00:00.5'}, NULL] "
            f"FROM range({EVENTS}) AS r(i)"
        )
        repo("CREATE TABLE bag AS SELECT name, day FROM events WHERE id < 10 UNION ALL SELECT 'n1', NULL")
        repo("CALL epoch_init()")
        repo("UPDATE events SET name = 'changed' WHERE id BETWEEN 1490 AND 1510; DELETE FROM events WHERE id = 3")
        repo("INSERT INTO bag VALUES ('n1', NULL)")
        repo.commit("a few")
    repo("CALL epoch_remote_add('origin', ?)", str(folder / "store"))
    repo("SELECT * FROM epoch_push()")
    yield repo
    repo.close()


def rows(events: Repo, query: str) -> list[list[Any]]:
    return sorted(map(list, events(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({query})")), key=repr)


@pytest.mark.slow
def test_it_reads_what_duckdb_reads(events: Repo, engine: Engine) -> None:
    store = str(events.path.parent / "store")
    for table, columns in (("events", "id,name,day,size,extra"), ("bag", "name,day")):
        tasks, found = engine("source", {"path": store, "table": table, "ref": "main"}, None)
        assert found == rows(events, f"SELECT {columns} FROM epoch_at('main', '{table}')")
        assert tasks == (
            events.one("SELECT count(*) FROM epoch.files WHERE old_schema_id IS NULL") - 1 if table == "events" else 1
        )
    # The name of the branch that a clone checks out may be left out.
    _, found = engine(
        "source", {"path": store, "table": "main.EVENTS", "columns": "NAME, id"}, "id BETWEEN 1480 AND 1500"
    )
    assert found == rows(events, "SELECT name, id FROM epoch_at('main', 'events') WHERE id BETWEEN 1480 AND 1500")


@pytest.mark.slow
def test_filters_are_pushed_where_spark_pushes_them(events: Repo, engines: Any) -> None:
    store, condition = str(events.path.parent / "store"), "id >= 1495 AND day IS NOT NULL AND name IN ('changed', 'n9')"
    options = {"path": store, "table": "events", "columns": "id,name,day", "pushFilters": "true"}
    _, found = engines("spark")("source", options, condition)
    assert found == rows(events, f"SELECT id, name, day FROM epoch_at('main', 'events') WHERE {condition}")


@pytest.mark.slow
def test_errors_name_the_option(events: Repo, engine: Engine) -> None:
    store = str(events.path.parent / "store")
    for options, said in (
        ({"path": store}, "option table is missing"),
        ({"table": "events"}, "option path is missing"),
        ({"path": store, "table": "event"}, "there is no table event in main (hint: did you mean events?)"),
        ({"path": store, "table": "events", "columns": "nam"}, "table events has no column nam that stores values"),
        ({"path": store, "table": "events", "ref": "gone"}, "unknown reference 'gone'"),
    ):
        assert said in engine("source_fails", options)


def test_it_is_installed_where_spark_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that begins with pyspark_, beside epoch_sql, and only there."""
    told: dict[str, Any] = {}
    found = SimpleNamespace(find_packages=lambda where, exclude=(): ["spark"], setup=lambda **given: told.update(given))
    monkeypatch.setitem(sys.modules, "setuptools", found)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    assert "pyspark_epoch" in told["packages"]
    package = Path(told["package_dir"]["pyspark_epoch"]) / "__init__.py"
    if not package.exists():
        # The tests stand where the sources are not, so epoch-sql is installed as users have it.
        installed = find_spec("pyspark_epoch")
        assert installed and installed.origin
        package = Path(installed.origin)
    assert "DefaultSource" in package.read_text()
