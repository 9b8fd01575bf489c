"""What noticing a change costs, by counting: passes over the table, and the columns that are decoded for it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from epoch_sql.extension import caller
from epoch_sql.verbs import checkout
from epoch_sql.versions import recording
from epoch_sql.worktree import narrowing, rows, scan
from tests.conftest import MakeRepo, Repo
from tests.support.counting import statements

ROWS = 20_000
BIG = f"""
CREATE TABLE big (id BIGINT PRIMARY KEY, amount INTEGER, note VARCHAR, day DATE);
INSERT INTO big SELECT i, i % 100, 'note ' || i, DATE '2020-01-01' + CAST(i % 999 AS INTEGER) FROM range({ROWS}) AS r (i);
CHECKPOINT;
"""


@pytest.fixture
def big(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    for module in (rows, scan, recording, checkout):
        monkeypatch.setattr(module, "ROWS_WORTH_BUCKETS", 1)
    monkeypatch.setattr(narrowing, "ROWS_WORTH_NARROWING", 1)
    monkeypatch.setattr(caller, "_SMALL_FILE", 0)
    return make_repo(BIG)


@pytest.mark.core
def test_a_commit_reads_few_columns_and_only_where_rows_changed(big: Repo) -> None:
    def committed(change: str) -> list[str]:
        big(change)
        with statements() as made:
            assert big.commit()[0] == 1
        # The caller's look, which is not among these, finds the buckets.
        assert not [sql for sql in made if "AS checksums" in sql]
        return made

    [compared] = _comparing(committed("UPDATE big SET amount = amount + 1, note = 'changed' WHERE id % 500 = 7"))
    assert {column for scan in _scans(big, compared) for column in scan.columns} == {"id", "amount"}
    assert "<=" not in compared
    [compared] = _comparing(committed(f"INSERT INTO big SELECT i + {ROWS}, 1, 'new', NULL FROM range(1000) AS r (i)"))
    assert not {column for scan in _scans(big, compared) for column in scan.columns} & {"amount", "note", "day"}
    assert f'"id" >= {ROWS >> 7 << 7}' in compared


@pytest.mark.core
def test_a_table_without_a_key_is_compared_where_rows_changed(big: Repo) -> None:
    numbers = "hash(i) % 1_000_000, i % 7, i // 2, 'note ' || i"
    big("CREATE TABLE bag (mixed BIGINT, small INTEGER, id BIGINT, note VARCHAR)")
    big(f"INSERT INTO bag SELECT {numbers} FROM range({ROWS}) AS r (i)")
    big.commit()
    for change in (
        f"INSERT INTO bag SELECT {numbers} FROM range({ROWS}, {ROWS} + 500) AS r (i)",
        "UPDATE bag SET small = -1 WHERE id BETWEEN 5_000 AND 5_100",
        "DELETE FROM bag WHERE id > 10_200",
    ):
        big(change)
        with statements() as made:
            assert big.commit()[0] == 1
        [compared] = [sql for sql in made if "get_bit" in sql]
        assert re.search(r'"id" >= \d+ AND "id" <= \d+', compared)
    # Rows without a value in this column are in a bucket, too.
    big("UPDATE bag SET id = NULL WHERE id = 77")
    assert big.commit() == (1, 2, 0, 2)
    big("UPDATE bag SET small = 5 WHERE id IS NULL")
    assert big.status() == [("bag", "modified", 2, 0, 2)]


@pytest.mark.core
def test_a_read_reads_the_columns_and_the_keys_that_are_asked_for(big: Repo) -> None:
    big("UPDATE big SET amount = amount + 1, note = 'changed' WHERE id % 10 = 0")
    big.commit()
    base, *deltas = sorted(
        _scans(big, "SELECT sum(amount) FROM epoch_at('HEAD', 'big')"), key=lambda s: -len(s.columns)
    )
    assert (set(base.columns), [len(delta.columns) for delta in deltas]) == ({"id", "amount"}, [1, 1])
    scans = _scans(big, "FROM epoch_at('HEAD', 'big') WHERE id = 12340")
    # Base and delta; besides, the keys of the delta are read.
    assert ["12340" in scan.filters for scan in scans if len(scan.columns) > 1] == [True, True]


def _comparing(made: list[str]) -> list[str]:
    """The queries that compare the rows of dirty buckets by their key and few columns."""
    return [
        m[1] for sql in made if (m := re.match(r'CREATE TEMP TABLE "epoch_dirty_keys_\d+" AS (.*)', sql, re.DOTALL))
    ]


@dataclass(frozen=True)
class Scan:
    """What is read of a table or a file."""

    columns: tuple[str, ...]
    filters: str


def _scans(repo: Repo, sql: str) -> list[Scan]:
    """The scans of a plan, in the order in which they stand in the query."""
    ((_, text),) = repo(f"EXPLAIN (FORMAT json) {sql}")
    found: list[Scan] = []

    def visit(node: dict[str, Any]) -> None:
        for child in node["children"]:
            visit(child)
        if re.search("SCAN|PARQUET", node["name"]) and "Projections" in node["extra_info"]:
            columns, filters = (node["extra_info"].get(part, []) for part in ("Projections", "Filters"))
            found.append(Scan(tuple([columns] if isinstance(columns, str) else columns), str(filters)))

    visit(json.loads(text)[0])
    return found
