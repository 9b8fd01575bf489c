"""What a merge would do, as rows, without making it. That it equals what the merge then does is shown by every
scenario of ``playing.py``; here is what has a history, and what stays as it was."""

from __future__ import annotations

import pytest

import epoch_sql
from tests.conftest import MakeRepo, Repo, begun
from tests.merge.test_graphs import crossed, on

FUNCTIONS = ("epoch_diff", "epoch_diff_stat", "epoch_schema_diff")
Found = dict[str, list[tuple[object, ...]]]


@begun(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t SELECT i, i, i FROM range(9) r (i);"
    "CREATE TABLE bag (n INTEGER); INSERT INTO bag VALUES (1), (1), (2); CREATE VIEW big AS FROM t WHERE a > 5"
)
def repo(repo: Repo) -> None:
    """Branches main (checked out) and side, both at the first commit."""
    repo("CALL epoch_branch('side')")


def previewed(repo: Repo, source: str, target: str) -> Found:
    calls = {name: name.replace("epoch_", "epoch_preview_") for name in FUNCTIONS}
    return {name: repo(f"FROM {call}(?, ?) ORDER BY ALL", source, target) for name, call in calls.items()}


def made(repo: Repo, before: str, after: str) -> Found:
    return {name: repo(f"FROM {name}(?, ?) ORDER BY ALL", before, after) for name in FUNCTIONS}


def merge(repo: Repo, source: str, target: str) -> tuple[Found, Found]:
    """What a merge was said to do, also by a read-only connection, and what it did."""
    before = repo.one("SELECT commit_id FROM epoch_branches() WHERE name = ?", target)
    foreseen = previewed(repo, source, target)
    repo.con.close()
    with epoch_sql.connect(repo.path, read_only=True) as reader:
        for name in FUNCTIONS:
            call = name.replace("epoch_", "epoch_preview_")
            assert reader.execute(f"FROM {call}(?, ?) ORDER BY ALL", [source, target]).fetchall() == foreseen[name]
    repo.con = epoch_sql.connect(repo.path)
    repo("CALL epoch_merge(?, target := ?)", source, target)
    return foreseen, made(repo, before, target)


def test_what_an_undone_promotion_brings_back_and_a_hotfix_that_stays(repo: Repo) -> None:
    on(repo, "side", "UPDATE t SET a = 100 WHERE id < 4; INSERT INTO bag VALUES (7), (7)")
    repo("CALL epoch_merge('side', target := 'main')")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_revert('HEAD')")
    on(repo, "main", "UPDATE t SET b = -8 WHERE id = 8; DELETE FROM bag WHERE n = 2", "hotfix")
    on(repo, "side", "UPDATE t SET b = 50 WHERE id = 5; INSERT INTO bag VALUES (3)")
    foreseen, did = merge(repo, "side", "main")
    assert foreseen == did
    assert [row[:4] for row in foreseen["epoch_diff_stat"]] == [("bag", 3, 0, 0), ("t", 0, 5, 0)]
    # The view shows it, too, and the two-way difference would have undone the hotfix.
    assert repo("SELECT count(*) FROM epoch_preview_diff('side', 'main', table_name := 'big')") == [(0,)]


@pytest.mark.slow
def test_two_merge_bases(repo: Repo) -> None:
    on(repo, "main", "UPDATE t SET a = 10 WHERE id = 1; INSERT INTO bag VALUES (5)")
    on(repo, "side", "UPDATE t SET b = 20 WHERE id = 1; INSERT INTO bag VALUES (6)")
    crossed(repo)
    on(repo, "main", "UPDATE t SET a = 11 WHERE id = 1; INSERT INTO bag VALUES (8)")
    on(
        repo,
        "side",
        "UPDATE t SET b = 21 WHERE id = 1; DELETE FROM bag WHERE n = 6; ALTER TABLE t ADD COLUMN c INTEGER",
    )
    foreseen, did = merge(repo, "side", "main")
    assert foreseen == did
    assert previewed(repo, "side", "main") == {name: [] for name in FUNCTIONS}


def test_a_view_and_a_table_with_its_own_columns(repo: Repo) -> None:
    on(repo, "side", "UPDATE t SET a = 6 WHERE id = 2")
    on(repo, "main", "UPDATE t SET a = 7 WHERE id = 3")
    call = "epoch_preview_diff('side', table_name := ?)"
    assert repo(f"SELECT diff_type, changed_columns, to_id, from_a, to_a FROM {call}", "t") == [
        ("modified", ["a"], 2, 2, 6)
    ]
    assert repo(f"SELECT diff_type, to_id, to_a, to_b FROM {call}", "big") == [("added", 2, 6, 2)]
    assert repo("SELECT rows_added FROM epoch_preview_diff_stat('side', table_name := 'big')") == [(1,)]
    assert "there is no table nope" in repo.refused(f"FROM {call}", "nope")


def test_conflicts_stand_apart(repo: Repo) -> None:
    on(repo, "side", "UPDATE t SET a = 20 WHERE id IN (2, 3); INSERT INTO bag VALUES (1); DELETE FROM t WHERE id = 7")
    on(
        repo,
        "main",
        "UPDATE t SET a = 30 WHERE id = 2; INSERT INTO bag VALUES (1), (1); UPDATE t SET b = 0 WHERE id = 7",
    )
    objects = sorted(path.name for path in (repo.path.parent / ".epoch" / "objects").rglob("*"))
    before = repo("FROM epoch_reflog()"), repo("FROM epoch_merges()")
    foreseen = repo("FROM epoch_preview_conflicts('side')")
    assert [(row[0], row[1], row[2], row[3], row[7]) for row in foreseen] == [
        ("bag", '{"n":1}', None, "copies", False),
        ("t", '{"id":2}', "a", "modify/modify", False),
        ("t", '{"id":7}', None, "modify/delete", False),
    ]
    assert repo("SELECT table_name, key, changed_columns FROM epoch_preview_diff('side')") == [("t", '{"id":3}', ["a"])]
    assert repo("SELECT table_name, rows_modified FROM epoch_preview_diff_stat('side')") == [("t", 1)]
    assert repo("SELECT count(*) FROM epoch_preview_conflicts('side', table_name := 'BAG')") == [(1,)]
    assert repo("SELECT count(*) FROM epoch_preview_conflicts('side', strategy := 'theirs') WHERE resolved") == [(3,)]
    assert repo("SELECT count(*) FROM epoch_preview_diff('side', strategy := 'theirs')") == [(4,)]
    assert (repo("FROM epoch_reflog()"), repo("FROM epoch_merges()")) == before
    assert sorted(path.name for path in (repo.path.parent / ".epoch" / "objects").rglob("*")) == objects

    repo.refused("CALL epoch_merge('side')")
    assert repo("FROM epoch_conflicts()") == foreseen
    repo("CALL epoch_resolve('t', side := 'theirs')")
    # Of the merge in progress, it shows what was decided; of another one, nothing.
    assert repo("SELECT count(*) FROM epoch_preview_conflicts('side') WHERE NOT resolved") == [(1,)]
    assert repo("SELECT count(*) FROM epoch_preview_diff('side')") == [(3,)]
    repo("CALL epoch_branch('later', start := 'side')")
    repo("INSERT INTO bag VALUES (9)")
    repo.commit("the target moves on")
    assert repo("SELECT count(*) FROM epoch_preview_conflicts('side', 'main') WHERE NOT resolved") == [(3,)]


@pytest.mark.slow
def test_a_preview_leaves_only_what_gc_removes(repo: Repo) -> None:
    """A base that is computed is a file with a content of its own. It is one, however often the merge is previewed."""

    def objects() -> set[str]:
        return {path.name for path in (repo.path.parent / ".epoch" / "objects").rglob("*") if path.is_file()}

    on(repo, "side", "UPDATE t SET a = 100, b = 100 WHERE id = 1")
    on(repo, "main", "UPDATE t SET a = 200 WHERE id IN (1, 2)")
    for branch in ("main", "side"):
        repo("CALL epoch_tag(?, ?)", f"{branch}-before", branch)
    repo("CALL epoch_merge('side-before', target := 'main', strategy := 'ours')")
    repo("CALL epoch_merge('main-before', target := 'side', strategy := 'ours')")
    on(repo, "side", "UPDATE t SET b = 300 WHERE id = 3")
    repo("CALL epoch_gc(grace := INTERVAL 0 SECOND)")
    before, left = objects(), set[str]()
    for _ in range(2):
        previewed(repo, "side", "main")
        repo("FROM epoch_preview_merge('side', target := 'main')")
        repo("FROM epoch_promotion('side', target := 'main')")
        assert not left or objects() == left
        left = objects()
    assert len(left - before) == 1
    repo("CALL epoch_gc(grace := INTERVAL 0 SECOND)")
    assert objects() == before
    assert repo("FROM epoch_fsck()") == []


@pytest.mark.parametrize("name", ["we\"ird', t", "\\'; DROP TABLE t; --", "ta🦆ble\n"])
def test_hostile_names_and_values(make_repo: MakeRepo, name: str) -> None:
    quoted, value = '"' + name.replace('"', '""') + '"', "'; DROP TABLE x; -- {{rows}}"
    repo = make_repo(
        f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO {quoted} VALUES (1, NULL)"
    )
    repo("CALL epoch_branch('side')")
    on(repo, "side", f"INSERT INTO {quoted} VALUES (2, 'theirs'), (3, $${value}$$)")
    on(repo, "main", f"INSERT INTO {quoted} VALUES (2, $${value}$$)")
    assert (
        repo("SELECT table_name, ours FROM epoch_preview_conflicts('side')")[0][0]
        == repo("SELECT table_name FROM epoch_tables()")[0][0]
    )
    assert repo("SELECT to_v FROM epoch_preview_diff('side', table_name := ?)", quoted) == [(value,)]
