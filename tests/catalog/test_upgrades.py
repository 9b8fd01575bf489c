"""The catalog is brought up to date by numbered scripts when an older repository is opened."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql import render
from epoch_sql.catalog import relation
from epoch_sql.extension import install


def _version(database: Path) -> tuple[int, bool]:
    with duckdb.connect(str(database)) as connection:
        row = connection.execute("SELECT catalog_version FROM epoch.state").fetchone()
        noted = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'second'").fetchone()
    assert row and noted
    return row[0], bool(noted[0])


def test_an_older_catalog_is_upgraded_once_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "shop.duckdb"
    with epoch_sql.connect(database) as connection:
        connection.execute("CALL epoch_init()")
    assert _version(database) == (relation.CATALOG_VERSION, False)

    newer = relation.CATALOG_VERSION + 1
    monkeypatch.setattr(relation, "UPGRADES", (*relation.UPGRADES, "catalog/upgrade_next"))
    monkeypatch.setattr(install, "CATALOG_VERSION", newer)
    monkeypatch.setattr("epoch_sql.call.CATALOG_VERSION", newer)
    loaded = render.load
    script = render.Sql("CREATE TABLE {{epoch}}.second (n INTEGER)")
    monkeypatch.setattr(render, "load", lambda name: script if name == "catalog/upgrade_next" else loaded(name))
    for _ in range(2):
        with epoch_sql.connect(database) as connection:
            assert connection.execute("FROM epoch_status()").fetchall() == []
    assert _version(database) == (newer, True)
    monkeypatch.undo()

    with epoch_sql.connect(database) as connection, pytest.raises(duckdb.Error, match="newer Epoch"):
        connection.execute("FROM epoch_status()")
