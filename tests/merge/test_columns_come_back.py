r"""A column that was dropped comes back by a merge: files from before the drop still hold its values from then.

main  o---D---E---M      D: drops the column, E: edits rows
           \     /
side        R---S        R: reverts D, S: edits the column
"""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo

_ROWS = "INSERT INTO t SELECT i, i, 5 FROM range(1, 2001) r (i); "


def on(repo: Repo, branch: str, sql: str) -> None:
    repo("CALL epoch_checkout(?)", branch)
    repo(sql)
    repo.commit()


def came_back(make_repo: MakeRepo, table: str, main: str, side: str) -> Repo:
    """The merge, after which the commit holds what the working table does."""
    repo = make_repo(f"CREATE TABLE t ({table}); {_ROWS}")
    repo("ALTER TABLE t DROP COLUMN b")
    repo.commit()
    repo("CALL epoch_branch('side')")
    on(repo, "main", main)
    repo("CALL epoch_checkout('side')")
    repo("CALL epoch_revert('HEAD')")
    on(repo, "side", side)
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_merge('side')")
    assert repo.status() == []
    assert repo("FROM epoch_fsck()") == []
    assert repo("SELECT count(*) FROM (FROM t EXCEPT ALL FROM epoch_at('HEAD', 't'))") == [(0,)]
    assert repo("SELECT count(*) FROM (FROM epoch_at('HEAD', 't') EXCEPT ALL FROM t)") == [(0,)]
    return repo


@pytest.mark.core
@pytest.mark.parametrize("default", ["", " DEFAULT 5"])
@pytest.mark.slow
@pytest.mark.older
def test_with_other_values_than_the_files_hold(make_repo: MakeRepo, default: str) -> None:
    repo = came_back(
        make_repo,
        f"id INTEGER PRIMARY KEY, a INTEGER, b INTEGER{default}",
        "UPDATE t SET a = 22 WHERE id = 2",
        "UPDATE t SET b = NULL WHERE id = 1; UPDATE t SET b = 6 WHERE id = 3",
    )
    assert repo("FROM t WHERE id <= 4 ORDER BY id") == [(1, 1, None), (2, 22, 5), (3, 3, 6), (4, 4, 5)]
    assert repo("SELECT count(*), sum(b) FROM t") == [(2000, 1999 * 5 + 1)]


def test_with_its_default_in_rows_that_were_added_without_it(make_repo: MakeRepo) -> None:
    repo = came_back(
        make_repo,
        "id INTEGER PRIMARY KEY, a INTEGER, b INTEGER NOT NULL DEFAULT 7",
        "INSERT INTO t VALUES (5000, 1)",
        "UPDATE t SET b = 6 WHERE id = 3",
    )
    assert repo("FROM t WHERE id < 4 OR id > 2000 ORDER BY id") == [(1, 1, 5), (2, 2, 5), (3, 3, 6), (5000, 1, 7)]


def test_in_a_table_without_a_key(make_repo: MakeRepo) -> None:
    repo = came_back(
        make_repo,
        "id INTEGER, a INTEGER, b INTEGER",
        "INSERT INTO t VALUES (5000, 1); DELETE FROM t WHERE id = 1",
        "UPDATE t SET b = 6 WHERE id = 3",
    )
    assert repo("SELECT count(*) FROM t WHERE id = 5000") == [(1,)]
    assert repo("SELECT b, count(*) FROM t WHERE b IS NOT NULL GROUP BY ALL ORDER BY ALL") == [(5, 1999), (6, 1)]
