"""``epoch_merge`` and ``epoch_preview_merge``: targets, messages, fast-forwards, dirty tables, and what is refused."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo, begun

_BASE = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1), (2, 2); "
    "CREATE TABLE u AS SELECT 1 AS x"
)


@begun(_BASE)
def repo(repo: Repo) -> None:
    """Branches main (checked out), staging one commit ahead, and feature beside it: row 3 and row 4 of t."""
    for branch, row in (("staging", "(3, 3)"), ("feature", "(4, 4)")):
        repo("CALL epoch_checkout('main')")
        repo("CALL epoch_branch(?)", branch)
        repo("CALL epoch_checkout(?)", branch)
        repo(f"INSERT INTO t VALUES {row}")
        repo.commit(f"row {row}")
    repo("CALL epoch_checkout('main')")


def catalog(repo: Repo) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the catalog but for hashes of working tables, which only save time, and the number of moves."""
    names = [row[0] for row in repo("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'epoch' ORDER BY ALL")]
    kept = {name: repo(f"FROM epoch.{name} ORDER BY ALL") for name in names if name not in ("fingerprints", "buckets")}
    return {**kept, "state": repo("SELECT * EXCLUDE (moves) FROM epoch.state")}


def ids(repo: Repo, ref: str = "WORKING") -> list[int]:
    return [row[0] for row in repo.at(ref, "t")]


def tip(repo: Repo, branch: str) -> str:
    return str(repo.one("SELECT commit_id FROM epoch_branches() WHERE name = ?", branch))


def parents(repo: Repo, branch: str) -> list[str]:
    found = repo.one("SELECT parents FROM epoch_log(?, max_count := 1)", branch)
    return list(found)


@pytest.mark.slow
def test_a_merge_is_always_a_commit_on_the_first_parent_line(repo: Repo) -> None:
    before, source = tip(repo, "main"), tip(repo, "staging")
    assert repo("SELECT status, rows_added, rows_modified, rows_removed FROM epoch_merge('staging')") == [
        ("merged", 1, 0, 0)
    ]
    assert parents(repo, "main") == [before, source]
    assert repo("SELECT message FROM epoch_log(first_parent := true)") == [
        ("Merge staging into main",),
        ("Initial commit",),
    ]
    assert ids(repo) == [1, 2, 3]
    assert repo.tree("main") == repo.tree("staging")
    assert repo.status() == []


def test_fast_forward_on_request(repo: Repo) -> None:
    assert repo("SELECT status, rows_added FROM epoch_merge('staging', ff := true)") == [("fast-forward", 1)]
    assert tip(repo, "main") == tip(repo, "staging")
    assert ids(repo) == [1, 2, 3]
    assert repo("SELECT status FROM epoch_merge('feature', ff := true)") == [("merged",)]


def test_squash_is_one_commit_with_one_parent(repo: Repo) -> None:
    before = tip(repo, "main")
    repo("CALL epoch_merge('staging', squash := true, message := 'All of staging')")
    assert parents(repo, "main") == [before]
    assert repo("SELECT message FROM epoch_log(max_count := 1)") == [("All of staging",)]
    assert ids(repo) == [1, 2, 3]


def test_up_to_date(repo: Repo) -> None:
    repo("CALL epoch_merge('staging')")
    before = catalog(repo)
    assert repo("SELECT status, commit_id, rows_added FROM epoch_merge('staging')") == [
        ("up-to-date", tip(repo, "main"), 0)
    ]
    assert repo("FROM epoch_preview_merge('staging')") == []
    assert catalog(repo) == before


def test_target_that_is_not_checked_out(repo: Repo) -> None:
    repo("INSERT INTO t VALUES (9, 9)")
    repo("CALL epoch_merge('feature', target := 'staging')")
    assert ids(repo) == [1, 2, 9]
    assert ids(repo, "staging") == [1, 2, 3, 4]
    assert repo("SELECT message FROM epoch_log('staging', max_count := 1)") == [("Merge feature into staging",)]
    assert repo.status() == [("t", "modified", 1, 0, 0)]


def test_target_that_is_checked_out_is_brought_along(repo: Repo) -> None:
    repo("CALL epoch_merge('feature', target := 'main')")
    assert ids(repo) == [1, 2, 4]


@pytest.mark.grid(every=3)
@pytest.mark.parametrize(
    "source", ["staging", "v1", "heads/staging", "staging~0", "origin/staging", "commit", "staging@{0 seconds ago}"]
)
def test_any_reference_can_be_merged(repo: Repo, source: str) -> None:
    repo("CALL epoch_tag('v1', 'staging')")
    commit = tip(repo, "staging")
    repo("INSERT INTO epoch.refs VALUES ('remote', 'origin/staging', ?, NULL, now()::TIMESTAMP, NULL)", commit)
    name = commit[:10] if source == "commit" else source
    if "@{" in name:
        name = f"staging@{{{repo.one('SELECT (now() AT TIME ZONE $$UTC$$ + INTERVAL 1 DAY)::VARCHAR')[:16]}}}"
    assert repo("SELECT status FROM epoch_merge(?)", name) == [("merged",)]
    assert ids(repo) == [1, 2, 3]
    assert parents(repo, "main")[1] == commit
    assert repo("SELECT message FROM epoch_log(max_count := 1)") == [(f"Merge {name} into main",)]


def test_head_before_the_last_commit(repo: Repo) -> None:
    repo("CALL epoch_checkout('staging')")
    repo("INSERT INTO t VALUES (5, 5)")
    repo.commit()
    repo("CALL epoch_merge('HEAD~1', target := 'feature')")
    assert ids(repo, "feature") == [1, 2, 3, 4]


def test_uncommitted_changes_elsewhere_stay(repo: Repo) -> None:
    repo("INSERT INTO u VALUES (2); CREATE TABLE w AS SELECT 5 AS x; CREATE VIEW v AS SELECT 1 AS x")
    repo("CALL epoch_merge('staging')")
    assert ids(repo) == [1, 2, 3]
    assert repo("FROM u ORDER BY x") == [(1,), (2,)]
    assert [row[:2] for row in repo.status()] == [("u", "modified"), ("v", "added"), ("w", "added")]


@pytest.mark.grid(every=2)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET a = 9 WHERE id = 1",
        "ALTER TABLE t ADD COLUMN b INTEGER",
        "DROP TABLE t",
        "ALTER TABLE t RENAME TO t2",
        "INSERT INTO t VALUES (3, 3)",
    ],
)
def test_uncommitted_changes_in_the_way_refuse_the_merge(repo: Repo, change: str) -> None:
    repo(change)
    before, status = catalog(repo), repo.status()
    message = repo.refused("CALL epoch_merge('staging')")
    assert "EpochDirtyError" in message
    assert "(hint: " in message
    assert catalog(repo) == before
    assert repo.status() == status


@pytest.mark.grid(every=2)
@pytest.mark.parametrize("change", ["CREATE TABLE Taken (x INTEGER)", "CREATE VIEW taken AS SELECT 1 AS one"])
@pytest.mark.parametrize("brought", ["ALTER TABLE u RENAME TO taken", "CREATE VIEW taken AS SELECT 2 AS two"])
def test_an_uncommitted_name_that_the_merge_brings_refuses_it(repo: Repo, change: str, brought: str) -> None:
    repo("CALL epoch_checkout('staging')")
    repo(brought)
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo(change)
    before = catalog(repo), repo.status()
    message = repo.refused("CALL epoch_merge('staging')")
    assert "epochdirtyerror: uncommitted changes in taken block the merge" in message.lower()
    assert (catalog(repo), repo.status()) == before


def test_dirty_tables_do_not_matter_when_the_merge_leaves_them(repo: Repo) -> None:
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE u SET x = 7")
    assert repo("SELECT status FROM epoch_merge('feature')") == [("merged",)]
    assert repo("FROM u") == [(7,)]
    assert ids(repo) == [1, 2, 3, 4]


REFUSED = {
    "unknown source": ("CALL epoch_merge('stagin')", "staging"),
    "unknown target": ("CALL epoch_merge('staging', target := 'man')", "main"),
    "a branch into itself": ("CALL epoch_merge('main')", "into itself"),
    "a branch into itself by HEAD": ("CALL epoch_merge('HEAD')", "into itself"),
    "a branch into itself by its full name": ("CALL epoch_merge('staging', target := 'staging')", "into itself"),
    "an unknown strategy": ("CALL epoch_merge('staging', strategy := 'mine')", "three-way"),
    "a tag as target": ("CALL epoch_merge('staging', target := 'v1')", "v1"),
    "revert of the first commit": ("CALL epoch_revert('main')", "first commit"),
    "cherry-pick of a merge": ("CALL epoch_cherry_pick('merged')", "CALL epoch_cherry_pick('"),
    "revert of nothing": ("CALL epoch_revert('nothing')", "nothing"),
    "preview of an unknown source": ("FROM epoch_preview_merge('stagin')", "staging"),
    "WORKING as source": ("CALL epoch_merge('WORKING')", "WORKING"),
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("name", REFUSED)
def test_refused(repo: Repo, name: str) -> None:
    repo("CALL epoch_tag('v1', 'staging')")
    repo("CALL epoch_branch('merged', 'staging')")
    repo("CALL epoch_merge('feature', target := 'merged')")
    before = catalog(repo)
    statement, named = REFUSED[name]
    message = repo.refused(statement)
    assert "Epoch" in message
    assert named in message
    assert "\n" not in message.split("Epoch", 1)[1].partition("\nIf a transaction")[0].strip()
    assert catalog(repo) == before


def test_primary_key_changed_names_the_table(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE shop (id INTEGER PRIMARY KEY, a INTEGER NOT NULL); INSERT INTO shop VALUES (1, 1)")
    repo("CALL epoch_branch('staging')")
    repo("UPDATE shop SET a = 2")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("CREATE OR REPLACE TABLE shop (id INTEGER, a INTEGER PRIMARY KEY); INSERT INTO shop VALUES (1, 1)")
    repo.commit()
    before = catalog(repo)
    for statement in ("CALL epoch_merge('main')", "FROM epoch_preview_merge('main')"):
        assert "primary key of table shop" in repo.refused(statement)
    assert catalog(repo) == before


def test_detached_head(repo: Repo) -> None:
    repo("CALL epoch_checkout('staging~1')")
    assert "not a branch" in repo.refused("CALL epoch_merge('feature')")
    assert repo("SELECT status FROM epoch_merge('feature', target := 'main')") == [("merged",)]
    assert ids(repo) == [1, 2]


@pytest.mark.parametrize(("strategy", "a"), [("ours", 10), ("theirs", 20)])
def test_strategies_settle_conflicting_cells_only(repo: Repo, strategy: str, a: int) -> None:
    repo("UPDATE t SET a = 10 WHERE id = 1")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE t SET a = 20 WHERE id = 1; UPDATE t SET a = 22 WHERE id = 2")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_merge('staging', strategy := ?)", strategy)
    assert repo("FROM t ORDER BY id") == [(1, a), (2, 22), (3, 3)]


def test_strategies_leave_schema_conflicts(repo: Repo) -> None:
    repo("ALTER TABLE t ALTER a SET DEFAULT 1")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("ALTER TABLE t ALTER a SET DEFAULT 2")
    repo.commit()
    assert "1 conflict in t" in repo.refused("CALL epoch_merge('main', strategy := 'ours')")


@pytest.mark.slow
def test_a_merge_of_a_newer_source_replaces_an_untouched_one(repo: Repo) -> None:
    repo("UPDATE t SET a = 10 WHERE id = 1")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE t SET a = 20 WHERE id = 1")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo.refused("CALL epoch_merge('staging')")
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE t SET a = 10 WHERE id = 1")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    assert repo("SELECT status FROM epoch_merge('staging')") == [("merged",)]
    assert repo("FROM epoch_merges()") == []


def test_preview_changes_nothing(repo: Repo) -> None:
    repo("UPDATE t SET a = 10 WHERE id = 1")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE t SET a = 20 WHERE id = 1")
    repo.commit()
    before = catalog(repo)
    assert repo("FROM epoch_preview_merge('main')") == [("t", 0, 0, 0, 1, 0, 0, False)]
    assert catalog(repo) == before
