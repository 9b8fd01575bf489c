"""What version 1 wrote is read as it was (``make.py`` wrote it): by Epoch as it is now, with each version of DuckDB."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql
from tests.conftest import Repo
from tests.format.make import DATABASE, EXPECTED, STORE, STORED, facts, states

pytestmark = pytest.mark.core


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files, in a place that version 1 did not know."""
    with tarfile.open(STORED) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def kept(folder: Path) -> Iterator[Repo]:
    repo = Repo(folder / DATABASE)
    repo("UPDATE epoch.remotes SET url = ?", str(folder / STORE))
    yield repo
    repo.close()


def _expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def test_everything_is_said_as_it_was(kept: Repo) -> None:
    found = json.loads(json.dumps(facts(kept.con)))
    for name, expected in _expected().items():
        assert found[name] == expected, name
    assert kept("FROM epoch_fsck()") == []


@pytest.mark.slow
def test_work_goes_on(kept: Repo) -> None:
    assert kept("SELECT name FROM items WHERE id = 25") == [("not committed",)]
    kept("CALL epoch_checkout('work', new_branch := true)")
    kept.commit("goes on")
    kept("CALL epoch_stash_pop()")
    assert kept("SELECT name FROM items WHERE id = 29") == [("stashed",)]
    assert kept("SELECT table_name, change FROM epoch_status()") == [
        ("items", "modified"),
        ("log", "modified"),
        ("total", "stale"),
    ]
    kept.commit("popped")
    assert "EpochConflict" in kept.refused("CALL epoch_merge_continue(target := 'stopped')")
    kept("CALL epoch_resolve(side := 'ours', target := 'stopped')")
    kept("CALL epoch_merge_continue(target := 'stopped')")
    assert kept("SELECT CAST(price AS INTEGER) FROM epoch_at('stopped', 'items') WHERE id < 3 ORDER BY id") == [
        (2,),
        (1,),
        (1,),
    ]
    kept("CALL epoch_resolve(side := 'theirs', target := 'orphans')")
    kept("CALL epoch_merge_continue(target := 'orphans')")
    for ref in ("v1", "main"):
        kept("CALL epoch_checkout(?)", ref)
    kept("CALL epoch_publish(['main'])")
    with duckdb.connect(str(kept.path.parent / "published/main.duckdb"), read_only=True) as published:
        assert published.execute("SELECT count(*) FROM items").fetchall() == kept("SELECT count(*) FROM items")
    kept("CALL epoch_gc(grace := '0 seconds')")
    assert kept("FROM epoch_fsck()") == []


@pytest.mark.slow
@pytest.mark.older
def test_the_remote_is_cloned_and_fetched_from(kept: Repo, folder: Path) -> None:
    (folder / "clone").mkdir()
    with epoch_sql.connect(folder / "clone/shop.duckdb", author="Bo <bo@example.com>") as other:
        other.execute("CALL epoch_clone(?)", [str(folder / STORE)])
        assert other.execute("FROM epoch_fsck()").fetchall() == []
        expected = {ref: tables for ref, tables in _expected()["states"].items() if ref.startswith("origin/")}
        assert "origin/triggers" in expected
        assert json.loads(json.dumps(states(other, [*expected]))) == expected
        other.execute("CALL epoch_branch('new'); CALL epoch_checkout('new')")
        other.execute("INSERT INTO log VALUES ('new'); CALL epoch_commit('new'); CALL epoch_push()")
    kept("CALL epoch_fetch()")
    assert kept("SELECT count(*) FROM epoch_at('origin/new', 'log') WHERE line = 'new'") == [(1,)]
    assert kept("FROM epoch_fsck()") == []
