"""What a page costs follows what it shows, not the length of the history behind it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import epoch_sql
from tests.web.conftest import Pages
from tests.web.shop import ADA

SHORT, LONG = 300, 3_000
ADDRESSES = ("/", "/history", "/data?ref=staging&table=orders", '/row?ref=staging&table=orders&key={"id":1}')

LENGTHEN = """
CREATE TEMP TABLE made AS
SELECT sha256('commit ' || i) AS commit_id, i, sequence + i AS sequence
FROM range(1, {count} + 1) AS numbers (i), (SELECT max(sequence) AS sequence FROM epoch.commits);

INSERT INTO epoch.commits
SELECT c.* REPLACE (
    made.commit_id AS commit_id, made.sequence AS sequence, 'Promotion ' || i AS message,
    CASE WHEN i % 2 = 0 THEN 'staging' END AS source, committed_at + to_seconds(i) AS committed_at
)
FROM made, epoch.commits AS c WHERE c.commit_id = '{tip}';

INSERT INTO epoch.parents
SELECT commit_id, 0, CASE WHEN i < 3 THEN '{tip}' ELSE sha256('commit ' || (i - 2)) END FROM made
UNION ALL SELECT commit_id, 1, sha256('commit ' || (i - 1)) FROM made WHERE i % 2 = 0;

UPDATE epoch.refs SET commit_id = sha256('commit ' || ({count} - 1)) WHERE name = 'staging';
UPDATE epoch.refs SET commit_id = sha256('commit ' || {count}) WHERE name = 'production';
"""
"""Odd commits are staging's. Each even one merges the one before it into production."""


def lengthened(path: Path, count: int) -> Path:
    path.parent.mkdir()
    with epoch_sql.init(path, branch="production", author=ADA) as repo:
        repo.connection.execute("CREATE TABLE orders AS SELECT i AS id, 0 AS amount FROM range(1, 101) AS numbers (i)")
        repo.key("orders", ["id"])
        tip = repo.commit("Orders").commit
        repo.branch("staging")
        repo.checkout(tip)
        repo.connection.execute(LENGTHEN.format(count=count, tip=tip))
    return path


@pytest.mark.slow
def test_pages_cost_as_much_after_many_commits(pages: Pages, tmp_path: Path) -> None:
    clients = {count: pages(lengthened(tmp_path / str(count) / "shop.duckdb", count)) for count in (SHORT, LONG)}
    spent: dict[tuple[int, str], list[float]] = {}
    for _ in range(4):
        for count, client in clients.items():
            for address in ADDRESSES:
                began = time.process_time()
                answer = client.get(address)
                spent.setdefault((count, address), []).append(time.process_time() - began)
                assert answer.status_code == 200, answer.text
                if address == "/":
                    assert answer.text.index(">staging<") < answer.text.index(">production<")
    for address in ADDRESSES:
        # The graph of the whole history is read when the database is opened: the least has only the page's own.
        assert min(spent[LONG, address]) < 3 * min(spent[SHORT, address]), (address, spent)
