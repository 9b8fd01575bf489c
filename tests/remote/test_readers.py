"""A store for Spark's readers gets files in encodings that they take, from every clone that pushes to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import epoch_sql
from epoch_sql import config
from epoch_sql.model.remote import seal
from tests.conftest import MakeRepo, Repo

TABLE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, x DOUBLE, words VARCHAR);
INSERT INTO t SELECT i, i / 7, 'word ' || hash(i) FROM range(50000) AS r(i)
"""
CHANGE = "UPDATE t SET x = x / 3, words = words || id WHERE id < 2000"


def encodings(con: Repo, folder: Path) -> set[str]:
    """The encodings in all files of a folder."""
    files = [str(path) for path in folder.rglob("*.parquet")]
    rows = con("SELECT DISTINCT unnest(string_split(encodings, ', ')) FROM parquet_metadata($1)", files)
    return {row[0] for row in rows}


def packs(con: Repo, folder: Path) -> bool:
    found = encodings(con, folder)
    assert found
    return any("DELTA_" in one or "BYTE_STREAM" in one for one in found)


def stated(url: str) -> object:
    return json.loads((Path(url) / "epoch.json").read_bytes())["content"]["readers"]


def test_every_clone_writes_for_the_readers_of_the_store(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo, url = make_repo(TABLE, init=False), str(tmp_path / "store")
    repo("CALL epoch_init()")
    repo("CALL epoch_remote_add('origin', ?, readers := 'spark')", url)
    assert repo("SELECT name, readers FROM epoch_remotes()") == [("origin", "spark")]
    # What was written before is for DuckDB until it is written again.
    assert packs(repo, repo.path.parent / ".epoch/objects")
    repo("CALL epoch_compact(); CALL epoch_gc(grace := '0 seconds')")
    repo(CHANGE)
    repo.commit()
    repo("CALL epoch_push()")
    assert stated(url) == "spark"
    assert not packs(repo, Path(url))
    clone = make_repo(name="clone.duckdb", init=False)
    clone("CALL epoch_clone(?)", url)
    assert clone("SELECT name, readers FROM epoch_remotes()") == [("origin", "spark")]
    clone(CHANGE.replace("2000", "1000"))
    clone.commit()
    clone("CALL epoch_push()")
    assert not packs(repo, Path(url))
    assert clone.tree() != repo.tree()
    repo("CALL epoch_pull()")
    assert (clone.tree(), clone.at("HEAD", "t")) == (repo.tree(), repo.at("HEAD", "t"))
    assert not packs(repo, repo.path.parent / ".epoch/objects")
    repo("CALL epoch_worktree_add(?)", str(tmp_path / "linked"))
    with epoch_sql.connect(tmp_path / "linked" / repo.path.name) as linked:
        linked.execute(CHANGE.replace("2000", "500"))
        linked.execute("CALL epoch_commit('in a worktree')")
    assert not packs(repo, repo.path.parent / ".epoch/objects")
    assert repo("FROM epoch_fsck()") == []


def test_a_store_that_others_use_already(make_repo: MakeRepo, tmp_path: Path) -> None:
    """The store is for these readers from the next push on, and others learn it when they use it again."""
    repo, url = make_repo(TABLE), str(tmp_path / "store")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    assert (stated(url), packs(repo, Path(url))) == (None, True)
    clone = make_repo(name="clone.duckdb", init=False)
    clone("CALL epoch_clone(?)", url)
    before = clone.tree()
    clone("CALL epoch_remote_add('spark', ?, readers := 'spark')", url)
    clone("CALL epoch_push('spark')")
    assert stated(url) == "spark"
    # The same rows in other files, so nothing that a commit names changes.
    ((_, _, rows, *_),) = clone("CALL epoch_compact()")
    assert (rows, clone.tree()) == (50_000, before)
    assert clone("CALL epoch_compact()") == []
    clone("CALL epoch_gc(grace := '0 seconds')")
    assert not packs(clone, clone.path.parent / ".epoch/objects")
    assert clone.at("HEAD", "t") == repo.at("HEAD", "t")
    repo("CALL epoch_fetch()")
    assert repo("SELECT readers FROM epoch_remotes()") == [("spark",)]
    assert config.get(config.READERS, repo.path.parent / ".epoch") == "spark"
    repo("CALL epoch_compact()")
    repo("CALL epoch_gc(grace := '0 seconds')")
    assert not packs(repo, repo.path.parent / ".epoch/objects")
    repo("CALL epoch_remote_remove('origin')")


def test_what_is_wrong_changes_nothing(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo, url = make_repo(TABLE), str(tmp_path / "store")
    assert "spark" in repo.refused("CALL epoch_remote_add('origin', ?, readers := 'flink')", url)
    assert repo("FROM epoch_remotes()") == []
    assert not (repo.path.parent / ".epoch/config.toml").read_text().count("readers")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    config.set_value(repo.path.parent / ".epoch/config.toml", config.READERS, "flink")
    repo("DELETE FROM t WHERE id = 1")
    assert "files.readers is 'flink'" in repo.refused("CALL epoch_commit('x')")
    config.set_value(repo.path.parent / ".epoch/config.toml", config.READERS, "spark")
    repo.commit()


@pytest.mark.parametrize("value", ["'flink'", "1", "['spark']"])
def test_a_store_that_states_other_readers(make_repo: MakeRepo, tmp_path: Path, value: str) -> None:
    repo, url = make_repo(TABLE), str(tmp_path / "store")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    path = Path(url) / "epoch.json"
    content = json.loads(path.read_bytes())["content"]
    path.write_bytes(seal({**content, "readers": json.loads(value.replace("'", '"'))}))
    assert "epoch.json at the remote does not say what it should: readers" in repo.refused("CALL epoch_fetch()")
    assert repo("SELECT readers FROM epoch_remotes()") == [(None,)]
