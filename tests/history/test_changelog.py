"""The changelog: what came into a branch, from where, by whom, and how many rows of which table."""

from __future__ import annotations

import pytest

from tests.conftest import Repo, begun


@begun(
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders SELECT range, 0 FROM range(100);"
    "CREATE TABLE log (n INTEGER)"
)
def repo(repo: Repo) -> None:
    """Two promotions to production, the second of two commits; a rollback, a hotfix, and a squash."""
    for branch in ("production", "staging"):
        repo("CALL epoch_branch(?)", branch)
    repo("CALL epoch_protect('production', no_force_push := true)")
    promote(repo, "UPDATE orders SET amount = 1 WHERE id < 3")
    repo("CALL epoch_tag('v1', ref := 'production')")
    repo("CALL epoch_tag('stable', ref := 'production')")
    repo("CALL epoch_checkout('staging')")
    repo("DELETE FROM orders WHERE id = 99; INSERT INTO log VALUES (1), (1)")
    repo.commit("half")
    promote(
        repo,
        "UPDATE orders SET amount = 5 WHERE id = 1; INSERT INTO orders VALUES (200, 0); CREATE TABLE new AS SELECT 1 AS n",
    )
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_reset('v1', hard := true)")
    repo("CALL epoch_checkout('hotfix/one', new_branch := true)")
    repo("UPDATE orders SET amount = 7 WHERE id = 50")
    repo.commit("fix")
    repo("CALL epoch_merge('hotfix/one', target := 'production', message := 'The fix')")
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_revert('HEAD')")


def promote(repo: Repo, sql: str) -> None:
    repo("CALL epoch_checkout('staging')")
    repo(sql)
    repo.commit(f"do {sql[:6]}")
    repo("CALL epoch_merge('staging', target := 'production')")


def test_a_row_for_each_commit_of_the_branchs_own_line(repo: Repo) -> None:
    assert repo.columns("FROM epoch_changelog('production')") == [
        *(("commit_id", "VARCHAR"), ("committed_at", "TIMESTAMP"), ("author", "VARCHAR"), ("source", "VARCHAR")),
        *(("tag", "VARCHAR"), ("message", "VARCHAR")),
        (
            "tables",
            "STRUCT(table_name VARCHAR, rows_added BIGINT, rows_modified BIGINT, rows_removed BIGINT)[]",
        ),
        *(("rows_added", "BIGINT"), ("rows_modified", "BIGINT"), ("rows_removed", "BIGINT")),
    ]
    rows = repo(
        "SELECT string_split(message, chr(10))[1], source, tag, rows_added, rows_modified, rows_removed, "
        "[t.table_name || ' +' || t.rows_added || ' ~' || t.rows_modified || ' -' || t.rows_removed FOR t IN tables] "
        "FROM epoch_changelog('production')"
    )
    fix = repo.one("SELECT commit_id FROM epoch_log('production', first_parent := true) WHERE message = 'The fix'")
    assert rows == [
        ('Revert "The fix"', fix, None, 0, 1, 0, ["orders +0 ~1 -0"]),
        ("The fix", "hotfix/one", None, 0, 1, 0, ["orders +0 ~1 -0"]),
        ("Roll back to v1", "v1", None, 1, 1, 4, ["log +0 ~0 -2", "new +0 ~0 -1", "orders +1 ~1 -1"]),
        (
            "Merge staging into production",
            "staging",
            None,
            4,
            1,
            1,
            ["log +2 ~0 -0", "new +1 ~0 -0", "orders +1 ~1 -1"],
        ),
        ("Merge staging into production", "staging", "stable, v1", 0, 3, 0, ["orders +0 ~3 -0"]),
        ("Initial commit", None, None, 100, 0, 0, ["log +0 ~0 -0", "orders +100 ~0 -0"]),
    ]


def test_the_counts_are_those_of_a_diff(repo: Repo) -> None:
    for commit_id, *counts in repo(
        "SELECT commit_id, rows_added, rows_modified, rows_removed FROM epoch_changelog('production') "
        "WHERE message <> 'Initial commit'"
    ):
        ((added, modified, removed),) = repo(
            "SELECT sum(rows_added), sum(rows_modified), sum(rows_removed) FROM epoch_diff_stat(?, ?)",
            f"{commit_id}~1",
            commit_id,
        )
        assert counts == [added, modified, removed]


def test_since_and_other_references(repo: Repo) -> None:
    messages = "SELECT string_split(message, chr(10))[1] FROM epoch_changelog"
    assert len(repo(f"{messages}('production', since := 'v1')")) == 4
    assert repo(f"{messages}('v1', since := 'main')") == [("Merge staging into production",)]
    assert repo(f"{messages}('production', since := 'production')") == []
    assert [row[0] for row in repo(f"{messages}('staging', since := 'main')")] == ["do UPDATE", "half", "do UPDATE"]
    assert "unknown reference 'productoin'" in repo.refused("FROM epoch_changelog('productoin')")
    assert "unknown reference 'v9'" in repo.refused("FROM epoch_changelog('production', since := 'v9')")


def test_it_reads_no_tables(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts come from deltas: the files of whole tables may be gone."""
    bases = repo("SELECT unnest(file_ids) FROM epoch.levels WHERE kind = 'base'")
    expected = repo("FROM epoch_changelog('production')")
    repo.reopen()
    for (file_id,) in bases:
        (path,) = (repo.path.parent / ".epoch" / "objects").rglob(f"*{file_id}*")
        path.rename(path.with_suffix(".away"))
    assert repo("FROM epoch_changelog('production')") == expected
