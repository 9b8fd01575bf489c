"""What commits write follows what they change, and not the size of the table."""

from __future__ import annotations

import pytest

from epoch_sql.storage import writing
from tests.conftest import MakeRepo

pytestmark = pytest.mark.slow


def test_many_commits_in_one_range_of_keys(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 commits of 1% of a file each: all that they write is at most five times the changed rows."""
    monkeypatch.setattr(writing, "FILE_ROWS", 10_000)
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v BIGINT, words VARCHAR);"
        "INSERT INTO t SELECT i, hash(i) % 1000000, md5(CAST(i AS VARCHAR)) FROM range(100000) AS r(i)",
        fresh=True,
    )
    files = "SELECT coalesce(sum(bytes), 0), count(*) FROM epoch.files"
    ((before, many),) = repo(files)
    assert many == 10
    for n in range(100):
        repo(f"UPDATE t SET v = v + 1, words = md5(words) WHERE id BETWEEN {n} * 100 AND {n} * 100 + 99")
        assert repo.commit(str(n))[2] == 100
    ((after, _),) = repo(files)
    own = repo.one(
        "SELECT sum(f.bytes) FROM epoch.levels AS l JOIN epoch.files AS f ON f.file_id = l.file_ids[1] "
        "WHERE l.kind = 'delta' AND l.from_version IS NOT NULL AND f.row_count = 100"
    )
    assert after - before <= 5 * own, f"{(after - before) / own:.2f} times"
    assert repo("SELECT count(*), sum(v) FROM epoch_at('HEAD', 't')") == repo("SELECT count(*), sum(v) FROM t")
    assert repo("FROM epoch_fsck()") == []
