"""Merge bases and previews on a history of 100,000 commits, through SQL."""

from __future__ import annotations

from time import process_time

import pytest

from tests.conftest import Repo, begun

pytestmark = pytest.mark.slow

COMMITS = 100_000
LIMIT = 1.0
_FILL = """
CREATE TEMP TABLE chain AS
SELECT
    n, sha256('commit ' || n) AS commit_id,
    CASE WHEN n <= 2 THEN $root ELSE sha256('commit ' || (n - CASE WHEN n % 7 = 0 THEN 2 ELSE 1 END)) END AS parent_id,
    CASE WHEN n % 7 = 0 THEN sha256('commit ' || (n - 1)) END AS merged_id
FROM range(1, $commits + 1) r (n);
"""


@begun("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1), (2, 2)")
def long(repo: Repo) -> None:
    """Branches left and right, three commits apart, at the end of a history where every seventh commit is a merge."""
    repo("UPDATE t SET a = 9 WHERE id = 1")
    repo.commit("left's rows")
    left = repo("SELECT tree_id, root_id FROM epoch.commits JOIN epoch_log(max_count := 1) USING (commit_id)")[0]
    root, tree, rows = repo("SELECT commit_id, tree_id, root_id FROM epoch.commits ORDER BY sequence LIMIT 1")[0]
    repo(_FILL.replace("$root", f"'{root}'").replace("$commits", str(COMMITS)))
    repo(
        "INSERT INTO epoch.commits BY NAME SELECT * REPLACE (? AS tree_id, ? AS root_id) FROM "
        "(SELECT c.* EXCLUDE (commit_id, sequence, committed_at, message), n.commit_id, 10 + n.n AS sequence, "
        "TIMESTAMP '2020-01-01' + INTERVAL 1 MINUTE * n.n AS committed_at, 'commit ' || n.n AS message "
        "FROM chain AS n, (FROM epoch.commits ORDER BY sequence LIMIT 1) AS c ORDER BY n.n)",
        tree, rows,
    )  # fmt: skip
    repo("INSERT INTO epoch.parents SELECT commit_id, 0, parent_id FROM chain ORDER BY n")
    repo("INSERT INTO epoch.parents SELECT commit_id, 1, merged_id FROM chain WHERE merged_id IS NOT NULL ORDER BY n")
    repo("DROP TABLE chain")
    repo("UPDATE epoch.commits SET tree_id = ?, root_id = ? WHERE commit_id = sha256('commit ' || ?)", *left, COMMITS)
    for name, number in (("left", COMMITS), ("right", COMMITS - 3), ("old", 5)):
        repo(
            "INSERT INTO epoch.refs SELECT 'branch', ?, sha256('commit ' || ?), NULL, TIMESTAMP '2026-01-01', NULL",
            name,
            number,
        )
    repo.reopen()


def fastest(repo: Repo, sql: str) -> float:
    """Seconds of processor time, which other programs do not lengthen, once it is warm."""
    times = []
    for _ in range(4):
        start = process_time()
        repo(sql)
        times.append(process_time() - start)
    return min(times[1:])


def test_ancestor_queries_stay_fast(long: Repo) -> None:
    newest = long.one("SELECT sha256('commit ' || ?)", COMMITS - 3)
    assert long("FROM epoch_merge_base('left', 'right')") == [(newest,)]
    assert long("FROM epoch_merge_base('left', 'old')") == [(long.one("SELECT sha256('commit 5')"),)]
    assert long("FROM epoch_preview_merge('left', target := 'right')") == [("t", 0, 1, 0, 0, 0, 0, False)]
    assert long("SELECT count(*) FROM epoch_preview_merge('old', target := 'left')") == [(0,)]
    for sql in (
        "FROM epoch_merge_base('left', 'right')",
        "FROM epoch_merge_base('left', 'old')",
        "FROM epoch_preview_merge('left', target := 'right')",
        "FROM epoch_preview_merge('left', target := 'old')",
        "FROM epoch_preview_merge('old', target := 'left')",
    ):
        assert fastest(long, sql) < LIMIT, sql
