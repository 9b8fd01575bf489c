"""Tables large enough for bucket checksums: every change is found, whatever the key is."""

from __future__ import annotations

import pytest

from epoch_sql.worktree.rows import ROWS_WORTH_BUCKETS
from tests.conftest import MakeRepo, Repo

ROWS = ROWS_WORTH_BUCKETS + 1_000

KEYS = {
    "dense integers": ("INTEGER PRIMARY KEY", "i"),
    "negative and sparse integers": ("BIGINT PRIMARY KEY", "(i - 1_000) * 40_000_000_000_000"),
    "large unsigned integers": ("UBIGINT PRIMARY KEY", "18_446_744_073_709_551_615::UBIGINT - i::UBIGINT * 4_096"),
    "texts": ("VARCHAR PRIMARY KEY", "'key ' || i"),
    "decimals": ("DECIMAL(18, 3) PRIMARY KEY", "CAST(i AS DECIMAL(18, 3)) / 8"),
    "no key": ("BIGINT", "i // 2"),
    "no key, and nothing in many rows": ("BIGINT", "CASE WHEN i % 3 > 0 THEN 100_000 - i END"),
}

CHANGES = """
UPDATE big SET note = 'changed' WHERE n % 40_000 = 7;
DELETE FROM big WHERE n % 50_000 = 11;
INSERT INTO big SELECT {key}, i, NULL FROM range({rows}, {rows} + 3) AS numbers (i);
"""


@pytest.fixture(params=KEYS)
def large(request: pytest.FixtureRequest, make_repo: MakeRepo) -> tuple[Repo, str]:
    """A repository with one committed large table, and the SQL for the key of row i."""
    kind, key = KEYS[request.param]
    repo = make_repo(
        f"CREATE TABLE big (id {kind}, n BIGINT, note VARCHAR);"
        f"INSERT INTO big SELECT {key}, i, 'note ' || i FROM range({ROWS}) AS numbers (i)"
    )
    return repo, key


@pytest.mark.grid(every=6)
def test_every_change_is_found_and_undone(large: tuple[Repo, str]) -> None:
    repo, key = large
    repo("CALL epoch_checkout('feature', new_branch := true)")
    repo(CHANGES.format(key=key, rows=ROWS))
    keyed = "PRIMARY KEY" in repo.one("SELECT sql FROM duckdb_tables() WHERE table_name = 'big'")
    counts = (3, 6, 5) if keyed else (9, 0, 11)
    assert repo.status() == [("big", "modified", *counts)]
    found = repo("SELECT diff_type, count(*) FROM epoch_diff('HEAD', 'WORKING', table_name := 'big') GROUP BY ALL")
    assert dict(found) == {k: v for k, v in zip(("added", "modified", "removed"), counts, strict=True) if v}
    assert repo.commit() == (1, *counts)
    assert repo.status() == []
    assert differing(repo, "feature") == 0

    repo("UPDATE big SET n = -n WHERE n = 99_999")
    assert repo.commit() == ((1, 0, 1, 0) if keyed else (1, 1, 0, 1))
    repo("CALL epoch_checkout('main')")
    assert repo.status() == []
    assert differing(repo, "main") == 0
    repo("UPDATE big SET note = 'again' WHERE n = 123_456")
    assert repo.status() == [("big", "modified", 0, 1, 0) if keyed else ("big", "modified", 1, 0, 1)]
    repo("UPDATE big SET note = 'note 123456' WHERE n = 123_456")
    assert repo.status() == []


@pytest.mark.grid(every=6)
def test_a_change_of_every_row_is_found(large: tuple[Repo, str]) -> None:
    repo, _ = large
    repo("UPDATE big SET n = n + 1")
    assert repo.commit()[1:] in ((0, ROWS, 0), (ROWS, 0, ROWS))
    assert differing(repo, "HEAD") == 0
    assert repo.status() == []


NEW = f"CREATE TABLE fresh (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO fresh SELECT {{key}}, i FROM range({ROWS}) AS r (i)"


@pytest.mark.grid(every=6)
@pytest.mark.parametrize("key", ["i", "(i * 7_919) % 10_000_019"], ids=["in the order of its key", "in no order"])
@pytest.mark.parametrize("way", ["init", "commit", "stash"])
def test_a_new_table(make_repo: MakeRepo, key: str, way: str) -> None:
    """Its rows are read once when it is first stored, so its hashes come about in another way."""
    create = NEW.format(key=key)
    repo = make_repo(create) if way == "init" else make_repo()
    if way != "init":
        repo(create)
        assert repo.status() == [("fresh", "added", ROWS, 0, 0)]
    if way == "stash":
        repo("CALL epoch_stash()")
        assert repo.status() == []
        repo("CALL epoch_stash_pop()")
    if way != "init":
        assert repo.commit() == (1, ROWS, 0, 0)
    assert repo.status() == [] == repo("FROM epoch_fsck()")
    assert differing(repo, "HEAD", "fresh") == 0
    repo("UPDATE fresh SET n = 0 WHERE n IN (5, 150_000); DELETE FROM fresh WHERE n = 6")
    assert repo.status() == [("fresh", "modified", 0, 2, 1)]
    assert repo.commit() == (1, 0, 2, 1)
    assert repo.status() == [] == repo("FROM epoch_fsck()")


def test_a_new_table_in_the_way_of_a_committed_one(make_repo: MakeRepo) -> None:
    repo = make_repo()
    repo("CALL epoch_checkout('feature', new_branch := true)")
    repo(NEW.format(key="i"))
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo(NEW.format(key="i + 500"))
    assert "EpochDirtyError" in repo.refused("CALL epoch_checkout('feature')")
    repo("CALL epoch_checkout('feature', force := true)")
    assert repo.status() == [] == repo("FROM epoch_fsck()")
    assert differing(repo, "feature", "fresh") == 0
    repo("DELETE FROM fresh WHERE id = 3")
    assert repo.commit() == (1, 0, 0, 1)


@pytest.mark.grid(every=2)
@pytest.mark.core
@pytest.mark.parametrize("kind", ["BIGINT", "VARCHAR"])
def test_null_as_the_only_value_of_a_row(make_repo: MakeRepo, kind: str) -> None:
    repo = make_repo(f"CREATE TABLE big (n {kind}); INSERT INTO big SELECT i FROM range({ROWS}) AS numbers (i)")
    repo("CALL epoch_branch('before')")
    repo("INSERT INTO big VALUES (NULL), (NULL)")
    assert repo.status() == [("big", "modified", 2, 0, 0)]
    assert repo.commit() == (1, 2, 0, 0)
    repo("DELETE FROM big WHERE rowid = (SELECT max(rowid) FROM big)")
    assert repo.status() == [("big", "modified", 0, 0, 1)]
    assert repo.commit() == (1, 0, 0, 1)
    for ref in ("before", "main~1", "main"):
        repo("CALL epoch_checkout(?)", ref)
        assert (repo.status(), differing(repo, ref)) == ([], 0)


@pytest.mark.core
def test_null_in_a_declared_key_is_found(make_repo: MakeRepo) -> None:
    repo = make_repo(f"CREATE TABLE big AS SELECT i AS id, i AS n FROM range({ROWS}) AS numbers (i)")
    repo("CALL epoch_key('big', ['id'])")
    repo.commit()
    repo("INSERT INTO big VALUES (NULL, 1)")
    assert "NULL or duplicate in" in repo.refused("CALL epoch_commit('no key')")


def differing(repo: Repo, ref: str, table: str = "big") -> int:
    """How many rows the working table and the one of a reference do not share."""
    return int(
        repo.one(
            f"SELECT (SELECT count(*) FROM (FROM {table} EXCEPT ALL FROM epoch_at($1, '{table}')))"
            f" + (SELECT count(*) FROM (FROM epoch_at($1, '{table}') EXCEPT ALL FROM {table}))",
            ref,
        )
    )
