"""Tables of many columns: a merge takes a time that grows with their number, not with its square."""

from __future__ import annotations

import time

import pytest

from tests.conftest import MakeRepo


@pytest.mark.slow
@pytest.mark.parametrize("key", [" PRIMARY KEY", ""])
def test_the_time_of_a_merge_grows_with_the_columns(make_repo: MakeRepo, key: str) -> None:
    few, many = (min(_seconds(make_repo, key, columns) for _ in range(2)) for columns in (200, 800))
    assert many < 8 * few, "four times the columns, and more than eight times the time"


def _seconds(make_repo: MakeRepo, key: str, count: int) -> float:
    """The processor time of merging 15 rows, which both sides changed in different columns."""
    columns = [f"c{i}" for i in range(count)]
    repo = make_repo(
        f"CREATE TABLE t (id INTEGER{key}, {', '.join(f'{name} INTEGER' for name in columns)}); "
        f"INSERT INTO t SELECT {', '.join('i' for _ in (0, *columns))} FROM range(15) AS r (i)"
    )
    repo("CALL epoch_branch('other')")
    repo("UPDATE t SET c1 = 100 WHERE id < 3")
    repo.commit()
    repo("CALL epoch_checkout('other')")
    repo(f"UPDATE t SET {columns[-1]} = 100 WHERE id {'< 5' if key else '> 5'}")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    before = time.process_time()
    repo("CALL epoch_merge('other')")
    took = time.process_time() - before
    assert repo(f"SELECT count(*) FILTER (c1 = 100), count(*) FILTER ({columns[-1]} = 100) FROM t") == (
        [(3, 5)] if key else [(3, 9)]
    )
    return took
