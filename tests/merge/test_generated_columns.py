"""A column that one side computes and the other stores: no value of either side is lost."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo

KEYS = {"k": "PRIMARY KEY", "b": ""}


def computed(repo: Repo, rows: str) -> None:
    """Both tables with a computed column c."""
    for name, key in KEYS.items():
        repo(f"CREATE OR REPLACE TABLE {name} (id INTEGER {key}, a INTEGER, c INTEGER AS (a * 2))")
        repo(f"INSERT INTO {name} VALUES {rows}")


def stored(repo: Repo, rows: str) -> None:
    """Both tables with a stored column c."""
    for name, key in KEYS.items():
        repo(f"CREATE OR REPLACE TABLE {name} (id INTEGER {key}, a INTEGER, c INTEGER)")
        repo(f"INSERT INTO {name} VALUES {rows}")


@pytest.fixture
def repo(make_repo: MakeRepo) -> Repo:
    return make_repo("CREATE TABLE z (i INTEGER)")


def both(repo: Repo) -> list[tuple[object, ...]]:
    found = [repo(f"FROM {name} ORDER BY ALL") for name in KEYS]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.core
@pytest.mark.slow
def test_a_computed_column_becomes_a_stored_one(repo: Repo) -> None:
    """Its values of rows of the other side are those that it computed there; in both directions, by cherry-pick and stash."""
    computed(repo, "(1, 10), (2, 20), (3, 30)")
    repo.commit("base")
    repo("CALL epoch_branch('other')")
    repo("CALL epoch_branch('third')")
    repo("INSERT INTO k VALUES (4, 40); INSERT INTO b VALUES (4, 40)")
    repo("UPDATE k SET a = 21 WHERE id = 2; UPDATE b SET a = 21 WHERE id = 2")
    repo.commit("rows")
    repo("CALL epoch_checkout('other')")
    stored(repo, "(1, 10, 20), (2, 20, 40), (3, 30, 60), (5, 50, 1)")
    repo.commit("stored")
    expected = [(1, 10, 20), (2, 21, 42), (3, 30, 60), (4, 40, 80), (5, 50, 1)]
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_cherry_pick('other')")
    assert both(repo) == expected
    assert repo.status() == []
    repo("CALL epoch_checkout('other')")
    repo("CALL epoch_merge('main~1')")
    assert both(repo) == expected
    assert repo.status() == []
    repo("CALL epoch_checkout('third')")
    stored(repo, "(1, 10, 20), (2, 20, 40), (3, 30, 60), (5, 50, 1)")
    repo("CALL epoch_stash()")
    repo("CALL epoch_merge('main~1')")
    repo("CALL epoch_stash_pop()")
    assert both(repo) == expected


@pytest.mark.core
@pytest.mark.slow
@pytest.mark.older
def test_a_stored_column_becomes_a_computed_one(repo: Repo) -> None:
    """It is in conflict where the other side gave it values that are not computed, else taken."""
    stored(repo, "(1, 10, 20), (2, 20, 40)")
    repo.commit("base")
    for name in ("alike", "updated", "added"):
        repo("CALL epoch_branch(?)", name)
    computed(repo, "(1, 10), (2, 20)")
    repo.commit("computed")
    repo("CALL epoch_checkout('alike')")
    repo("INSERT INTO k VALUES (3, 30, 60); INSERT INTO b VALUES (3, 30, 60)")
    repo("UPDATE k SET a = 5, c = 10 WHERE id = 2; UPDATE b SET a = 5, c = 10 WHERE id = 2")
    repo.commit("as computed")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_merge('alike')")
    assert both(repo) == [(1, 10, 20), (2, 5, 10), (3, 30, 60)]
    assert repo.status() == []
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    for name, change in (
        ("updated", "UPDATE {t} SET c = 999 WHERE id = 1"),
        ("added", "INSERT INTO {t} VALUES (7, 70, 1)"),
    ):
        repo("CALL epoch_checkout(?)", name)
        for table in KEYS:
            repo(change.format(t=table))
        repo.commit("values")
        before = both(repo)
        assert "2 conflicts in b, k" in repo.refused("CALL epoch_merge('main')")
        assert set(repo("SELECT table_name, column_name, kind FROM epoch_conflicts()")) == {
            ("k", "c", "schema"),
            ("b", "c", "schema"),
        }
        assert both(repo) == before
        repo("CALL epoch_resolve(side := 'ours')")
        repo("CALL epoch_merge_continue()")
        assert both(repo) == before
        assert repo.status() == []
    repo("CALL epoch_checkout('main')")
    assert "2 conflicts in b, k" in repo.refused("CALL epoch_cherry_pick('added~1')")
    repo("CALL epoch_resolve(side := 'ours')")
    repo("CALL epoch_merge_continue()")
    assert (7, 70, 140) in both(repo)


def test_reverts(repo: Repo) -> None:
    """Back to a stored column: with the values that it computed meanwhile; back to a computed one: not over values."""
    stored(repo, "(1, 10, 7)")
    repo.commit("stored")
    computed(repo, "(1, 10)")
    repo.commit("computed")
    repo("INSERT INTO k VALUES (2, 20); INSERT INTO b VALUES (2, 20)")
    repo.commit("row")
    repo("CALL epoch_revert('HEAD~1')")
    assert both(repo) == [(1, 10, 7), (2, 20, 40)]
    repo("UPDATE k SET c = 5 WHERE id = 2; UPDATE b SET c = 5 WHERE id = 2")
    repo.commit("value")
    before = both(repo)
    assert "2 conflicts in b, k" in repo.refused("CALL epoch_revert('HEAD~1')")
    assert both(repo) == before
