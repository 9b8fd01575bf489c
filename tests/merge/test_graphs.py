"""Merges on graphs that are no simple fork: criss-cross, unrelated, cherry-picked, compacted, renamed."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo, begun

_BASE = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t SELECT i, i, i FROM range(1, 6) r (i)"
)


@begun(_BASE)
def repo(repo: Repo) -> None:
    """Branches main (checked out) and side, both at the first commit."""
    repo("CALL epoch_branch('side')")


def on(repo: Repo, branch: str, sql: str, message: str = "change") -> None:
    """Commit a change on a branch."""
    repo("CALL epoch_checkout(?)", branch)
    repo(sql)
    repo.commit(message)


def crossed(repo: Repo) -> None:
    """Both branches merge each other's earlier commit: M and S have the two merge bases 1 and 2.

    main  --1---M--
             \\ /
              X
             / \\
    side  --2---S--
    """
    for branch in ("main", "side"):
        repo("CALL epoch_tag(?, ?)", f"{branch}-before", branch)
    repo("CALL epoch_merge('side-before', target := 'main')")
    repo("CALL epoch_merge('main-before', target := 'side')")


@pytest.mark.slow
def test_criss_cross_through_a_virtual_base(repo: Repo) -> None:
    on(repo, "main", "UPDATE t SET a = 10 WHERE id = 1")
    on(repo, "side", "UPDATE t SET b = 20 WHERE id = 1")
    crossed(repo)
    on(repo, "main", "UPDATE t SET a = 11 WHERE id = 1; UPDATE t SET a = 30 WHERE id = 3")
    on(repo, "side", "UPDATE t SET b = 21 WHERE id = 1; UPDATE t SET a = 40 WHERE id = 4")
    previewed = repo("FROM epoch_preview_merge('main')")
    assert repo("SELECT rows_added, rows_modified, rows_removed FROM epoch_merge('main')") == [(0, 2, 0)]
    assert previewed == [("t", 0, 2, 0, 0, 0, 0, False)]
    assert repo("FROM t ORDER BY id") == [(1, 11, 21), (2, 2, 2), (3, 30, 3), (4, 40, 4), (5, 5, 5)]


def test_criss_cross_whose_bases_conflict(repo: Repo) -> None:
    on(repo, "main", "UPDATE t SET a = 10 WHERE id = 1")
    on(repo, "side", "UPDATE t SET a = 20 WHERE id = 1")
    repo("CALL epoch_tag('m', 'main')")
    repo("CALL epoch_tag('s', 'side')")
    repo("CALL epoch_merge('s', target := 'main', strategy := 'ours')")
    repo("CALL epoch_merge('m', target := 'side', strategy := 'ours')")
    repo("CALL epoch_checkout('main')")
    assert "1 conflict in t" in repo.refused("CALL epoch_merge('side')")
    assert repo("SELECT base, ours, theirs FROM epoch_conflicts()") == [("1", "10", "20")]
    repo("CALL epoch_resolve('t', side := 'theirs')")
    repo("CALL epoch_merge_continue()")
    assert repo("FROM t WHERE id = 1") == [(1, 20, 1)]


@pytest.mark.slow
def test_criss_cross_with_rows_added_on_both(repo: Repo) -> None:
    on(repo, "main", "INSERT INTO t VALUES (6, 6, 6)")
    on(repo, "side", "INSERT INTO t VALUES (6, 6, 7)")
    repo("CALL epoch_tag('m', 'main')")
    repo("CALL epoch_tag('s', 'side')")
    repo("CALL epoch_merge('s', target := 'main', strategy := 'ours')")
    repo("CALL epoch_merge('m', target := 'side', strategy := 'theirs')")
    on(repo, "side", "UPDATE t SET a = 60 WHERE id = 6")
    repo("CALL epoch_checkout('main')")
    repo.refused("CALL epoch_merge('side')")
    assert repo("SELECT column_name, kind, base, ours, theirs FROM epoch_conflicts()") == [
        ("a", "add/add", None, "6", "60")
    ]


@pytest.mark.slow
def test_three_merge_bases_are_folded_into_one(repo: Repo) -> None:
    """Main and side each merge x, y and z; y and z have the commit c in common, which x has not.

    main   ---x--------y--z--M         merges of y and z
          /
    y    o---c---y
              \\
    other      z-------y--x--O         merges of y and x

    Folded with the merge base of x alone, row 3 would be as in the first commit, and clash.
    """
    on(repo, "side", "UPDATE t SET a = 30 WHERE id = 3")
    for branch in ("y", "z"):
        repo("CALL epoch_branch(?, 'side')", branch)
    on(repo, "z", "UPDATE t SET a = 31 WHERE id = 3; INSERT INTO t VALUES (9, 9, 9)")
    on(repo, "y", "UPDATE t SET b = 20 WHERE id = 2")
    on(repo, "main", "UPDATE t SET a = 10 WHERE id = 1")
    repo("CALL epoch_tag('x', 'main')")
    repo("CALL epoch_branch('other', 'z')")
    for target, sources in (("main", "yz"), ("other", "yx")):
        for source in sources:
            repo("CALL epoch_merge(?, target := ?)", source, target)
    on(repo, "main", "UPDATE t SET a = 32 WHERE id = 3; UPDATE t SET a = 11 WHERE id = 1; DELETE FROM t WHERE id = 9")
    on(repo, "other", "UPDATE t SET b = 21 WHERE id = 2; UPDATE t SET b = 12 WHERE id = 1; DELETE FROM t WHERE id = 5")
    rows = [(1, 11, 12), (2, 2, 21), (3, 32, 3), (4, 4, 4)]
    for source, target in (("main", "other"), ("other", "main")):
        repo("CALL epoch_branch(?, ?)", f"{target}-merged", target)
        assert repo("SELECT status FROM epoch_merge(?, target := ?)", source, f"{target}-merged") == [("merged",)]
        assert repo.at(f"{target}-merged", "t") == rows


def test_histories_without_a_common_commit(repo: Repo) -> None:
    on(repo, "side", "CREATE TABLE n AS SELECT 1 AS x; UPDATE t SET a = 50 WHERE id = 5")
    repo(
        "INSERT INTO epoch.commits SELECT sha256('orphan'), sequence + 1, * EXCLUDE (commit_id, sequence) "
        "FROM epoch.commits "
        "ORDER BY sequence DESC LIMIT 1"
    )
    repo("UPDATE epoch.refs SET commit_id = sha256('orphan') WHERE name = 'side'")
    repo.reopen()
    repo("CALL epoch_checkout('main', force := true)")
    assert repo("FROM epoch_merge_base('main', 'side')") == []
    assert repo("FROM epoch_preview_merge('side') ORDER BY ALL") == [
        ("n", 1, 0, 0, 0, 0, 0, False),
        ("t", 0, 0, 0, 1, 0, 0, False),
    ]
    repo.refused("CALL epoch_merge('side')")
    repo("CALL epoch_resolve(side := 'theirs')")
    repo("CALL epoch_merge_continue()")
    assert repo("FROM t WHERE id = 5") == [(5, 50, 5)]
    assert repo("FROM n") == [(1,)]


def test_the_same_change_cherry_picked_goes_through_once(repo: Repo) -> None:
    on(repo, "side", "UPDATE t SET a = 10 WHERE id = 1; INSERT INTO t VALUES (6, 6, 6); DELETE FROM t WHERE id = 2")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_cherry_pick('side')")
    on(repo, "side", "UPDATE t SET b = 11 WHERE id = 1")
    repo("CALL epoch_checkout('main')")
    assert repo("FROM epoch_preview_merge('side')") == [("t", 0, 1, 0, 0, 0, 0, False)]
    repo("CALL epoch_merge('side')")
    assert repo("FROM t ORDER BY id") == [(1, 10, 11), (3, 3, 3), (4, 4, 4), (5, 5, 5), (6, 6, 6)]


@pytest.mark.slow
def test_sides_whose_levels_were_rewritten(repo: Repo) -> None:
    on(repo, "main", "INSERT INTO t SELECT i, i, i FROM range(100, 3000) r (i)")
    for n in range(6):
        on(repo, "main", f"UPDATE t SET a = a + 1 WHERE id % 6 = {n}")
    repo("CALL epoch_compact()")
    on(repo, "side", "UPDATE t SET b = 0 WHERE id <= 2; INSERT INTO t VALUES (7, 7, 7); DELETE FROM t WHERE id = 5")
    repo("CALL epoch_checkout('main')")
    repo.refused("CALL epoch_merge('side')")
    assert repo("SELECT key, kind FROM epoch_conflicts()") == [('{"id":5}', "modify/delete")]
    repo("CALL epoch_resolve(side := 'theirs')")
    repo("CALL epoch_merge_continue()")
    assert repo("FROM t WHERE id < 100 ORDER BY id") == [(1, 2, 0), (2, 3, 0), (3, 4, 3), (4, 5, 4), (7, 7, 7)]
    assert repo("SELECT count(*), sum(a - b) FROM t WHERE id >= 100") == [(2900, 2900)]
    assert repo("SELECT count(*) FROM (FROM t EXCEPT FROM epoch_at('HEAD', 't'))") == [(0,)]


def test_a_renamed_table_is_one_table(repo: Repo) -> None:
    on(repo, "main", "ALTER TABLE t RENAME TO items")
    on(repo, "main", "ALTER TABLE items RENAME a TO amount; UPDATE items SET amount = 10 WHERE id = 1")
    on(repo, "side", "UPDATE t SET b = 20 WHERE id = 1; INSERT INTO t VALUES (6, 6, 6)")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_merge('side')")
    assert repo("FROM items ORDER BY id")[::5] == [(1, 10, 20), (6, 6, 6)]
    repo("CALL epoch_checkout('side')")
    repo("CALL epoch_merge('main')")
    assert repo.tree("main") == repo.tree("side")


@pytest.mark.slow
def test_bags_of_a_promotion_that_was_undone_and_repeated(make_repo: MakeRepo) -> None:
    """Two promotions, the first of them undone, then a third: each row of a keyless table comes once.

    main   ---M1---M2---U(M1)---M3
             /    /            /
    side  --a----b------------c
    """
    repo = make_repo("CREATE TABLE bag (x VARCHAR); INSERT INTO bag VALUES ('o')")
    repo("CALL epoch_branch('side')")
    for row in "ab":
        on(repo, "side", f"INSERT INTO bag VALUES ('{row}')")
        repo("CALL epoch_merge('side', target := 'main')")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_revert('HEAD~1')")
    assert repo("FROM bag ORDER BY x") == [("b",), ("o",)]
    on(repo, "side", "INSERT INTO bag VALUES ('c')")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_merge('side')")
    assert repo("FROM bag ORDER BY x") == [("a",), ("b",), ("c",), ("o",)]


@pytest.mark.core
def test_foreign_keys_follow_a_rename_of_their_parent(make_repo: MakeRepo) -> None:
    """On every version of DuckDB: the key that one side added refers to what the other side renamed."""
    repo = make_repo("CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2)")
    repo("CALL epoch_branch('side')")
    repo("CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id)); INSERT INTO c VALUES (5, 1)")
    repo.commit()
    on(repo, "side", "ALTER TABLE p RENAME id TO number")
    on(repo, "side", "ALTER TABLE p RENAME TO parents; INSERT INTO parents VALUES (3)")
    assert repo("FROM epoch_preview_merge('main')") == [("c", 1, 0, 0, 0, 0, 0, False)]
    repo("CALL epoch_merge('main')")
    assert repo("FROM c") == [(5, 1)]
    assert repo.refused("INSERT INTO c VALUES (6, 4)")
    repo("INSERT INTO c VALUES (6, 3)")
    repo("CALL epoch_checkout('main', force := true)")
    repo("CALL epoch_merge('side')")
    assert repo.tree("main") == repo.tree("side")
