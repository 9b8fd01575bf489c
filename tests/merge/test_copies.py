"""Copies of rows without a key that both sides added or removed: listed, settled in bulk, and in an undo."""

from __future__ import annotations

import pytest

from tests.conftest import Repo, begun


@begun("CREATE TABLE a (m VARCHAR); CREATE TABLE b (m VARCHAR); CREATE TABLE k (id INTEGER PRIMARY KEY)")
def repo(repo: Repo) -> None:
    """Branch ``other`` adds x and y to both tables, ``main`` x, y and z; ``k`` has a key and no conflict."""
    repo("CALL epoch_checkout('other', new_branch := true)")
    repo("INSERT INTO a VALUES ('x'), ('y'); INSERT INTO b VALUES ('x'), ('x'); INSERT INTO k VALUES (1)")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo("INSERT INTO a VALUES ('x'), ('y'), ('z'); INSERT INTO b VALUES ('x'), ('z'); INSERT INTO k VALUES (1), (2)")
    repo.commit()


@pytest.mark.core
def test_by_row_by_table_and_all(repo: Repo) -> None:
    assert "3 conflicts in a, b" in repo.refused("CALL epoch_merge('other')")
    assert repo("SELECT table_name, key->>'m', kind, base::INT, ours::INT, theirs::INT FROM epoch_conflicts()") == [
        ("a", "x", "copies", 0, 1, 1),
        ("a", "y", "copies", 0, 1, 1),
        ("b", "x", "copies", 0, 1, 2),
    ]
    assert "has none in conflict" in repo.refused("CALL epoch_resolve('a', side := 'both', column_name := 'm')")
    assert repo("CALL epoch_resolve('a', side := 'ours', key := 'x')") == [(1, 2)]
    assert repo("CALL epoch_resolve('b', side := 'theirs')") == [(1, 1)]
    assert repo("CALL epoch_resolve(side := 'both')") == [(1, 0)]
    repo("CALL epoch_merge_continue()")
    assert repo("FROM a ORDER BY ALL") == [("x",), ("y",), ("y",), ("z",)]
    assert repo("FROM b ORDER BY ALL") == [("x",), ("x",), ("z",)]
    assert repo.status() == []


def test_a_strategy_settles_them_and_a_revert_takes_its_own_away(repo: Repo) -> None:
    repo("CALL epoch_merge('other', strategy := 'theirs')")
    assert repo("FROM b ORDER BY ALL") == [("x",), ("x",), ("z",)]
    repo("INSERT INTO b VALUES ('w')")
    repo.commit()
    repo("INSERT INTO a VALUES ('more')")
    repo.commit()
    repo("CALL epoch_revert('HEAD~1')")
    assert repo("FROM b ORDER BY ALL") == [("x",), ("x",), ("z",)]
    repo("INSERT INTO b VALUES ('v')")
    repo.commit()
    repo("INSERT INTO b VALUES ('v')")
    repo.commit()
    assert "1 conflict in b" in repo.refused("CALL epoch_revert('HEAD~1')")
    repo("CALL epoch_resolve('b', side := 'both')")
    repo("CALL epoch_merge_continue()")
    assert repo("FROM b ORDER BY ALL") == [("v",), ("x",), ("x",), ("z",)]
