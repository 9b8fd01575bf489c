"""A decision about data is marked in the stored conflicts, as the merge would list them. The merge is computed at
continue."""

from __future__ import annotations

import time

import pytest

from epoch_sql.catalog.merging import Merges
from epoch_sql.merge import trees
from epoch_sql.merge.engine import list_obstacles, merge
from tests.conftest import MakeRepo, Repo, begun, opened

_BASE = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR); INSERT INTO t SELECT i, 0, '' FROM range(6) AS r(i); "
    "CREATE TABLE bag (x VARCHAR); INSERT INTO bag VALUES ('x'), ('y'), ('y'); "
    "CREATE TABLE p (id INTEGER PRIMARY KEY, v INTEGER UNIQUE); INSERT INTO p VALUES (1, 1), (2, 2)"
)


@begun(_BASE)
def stopped(repo: Repo) -> None:
    """A merge that stopped on cells, rows that one side deleted, rows that both added, and numbers of copies."""
    repo("CALL epoch_branch('other')")
    for n, side in ((1, "ours"), (2, "theirs")):
        repo(
            f"UPDATE t SET a = {n}, b = '{side}' WHERE id IN (0, 1); INSERT INTO t VALUES (10, {n}, '{side}'), (11, {n}, '')"
        )
        repo(
            f"DELETE FROM t WHERE id = {n + 2}; UPDATE t SET a = 9 WHERE id = {5 - n}; INSERT INTO p VALUES (3, {n + 2})"
        )
        repo(f"INSERT INTO bag SELECT unnest(['x', 'y']) FROM range({n})")
        repo.commit(side)
        repo(f"CALL epoch_checkout('{'other' if n == 1 else 'main'}')")
    assert "EpochConflict: 12 conflicts in bag, p, t" in repo.refused("CALL epoch_merge('other')")


def _merges(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tables whose rows are merged from now on."""
    merged: list[str] = []
    rows = trees.merge_rows
    monkeypatch.setattr(
        trees, "merge_rows", lambda call, one, n: merged.append(one.merged.name.name) or rows(call, one, n)
    )
    return merged


_SCOPES = (
    "'t', 'ours', key := '0', column_name := 'a'",
    "'t', key := '0', column_name := 'b', value := 'given'",
    "'t', 'base', key := '10'",
    "'t', 'theirs', key := '11', column_name := 'a'",
    "'t', 'theirs', key := '3'",
    "'t', 'ours', column_name := 'b'",
    "'bag', 'both', key := '{\"x\":\"x\"}'",
    "side := 'both'",
    "'t', 'base'",
    "side := 'theirs'",
    "'t', 'ours', key := '1'",
)


@pytest.mark.slow
def test_conflicts_are_marked_as_the_merge_lists_them(stopped: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    left = 12
    for scope in _SCOPES:
        merged = _merges(monkeypatch)
        resolved, remaining = stopped(f"CALL epoch_resolve({scope})")[0]
        assert merged == []
        monkeypatch.undo()
        left -= resolved
        assert remaining == left
        marked = stopped("FROM epoch.conflicts ORDER BY ALL")
        with opened(stopped) as call:
            progress = Merges(call.cursor).get("main")
            assert progress
            list_obstacles(call, progress, merge(call, progress))
        assert stopped("FROM epoch.conflicts ORDER BY ALL") == marked, scope
    merged = _merges(monkeypatch)
    stopped("CALL epoch_merge_continue()")
    assert sorted(merged) == ["bag", "p", "t"]


def test_violations_appear_at_continue(stopped: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = _merges(monkeypatch)
    assert stopped("CALL epoch_resolve('p', key := '3', column_name := 'v', value := '2')")[0][0] == 1
    assert stopped("CALL epoch_resolve(side := 'ours')") == [(11, 0)]
    assert merged == []
    assert "EpochConflict: 2 constraint violations" in stopped.refused("CALL epoch_merge_continue()")
    assert len(stopped("FROM epoch_violations()")) == 2
    # Whatever is decided now may settle a violation, so the merge is computed.
    assert stopped("CALL epoch_resolve('p', key := '3', column_name := 'v', value := '7')") == [(2, 0)]
    stopped("CALL epoch_merge_continue()")
    assert stopped("SELECT v FROM p WHERE id = 3") == [(7,)]


@pytest.mark.slow
def test_a_decision_costs_the_same_after_a_thousand(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, 0 FROM range(2000) AS r(i)"
    )
    repo("CALL epoch_branch('other'); UPDATE t SET v = 1 WHERE id < 1020; CALL epoch_commit('ours')")
    repo("CALL epoch_checkout('other'); UPDATE t SET v = 2 WHERE id < 1020; CALL epoch_commit('theirs')")
    repo("CALL epoch_checkout('main')")
    assert "1020 conflicts in t" in repo.refused("CALL epoch_merge('other')")

    def spent(first: int) -> float:
        start = time.process_time()
        for key in range(first, first + 10):
            assert repo("CALL epoch_resolve('t', 'theirs', key := ?)", str(key)) == [(1, 1019 - key)]
        return time.process_time() - start

    before = spent(0)
    repo(
        "INSERT INTO epoch.resolutions "
        "SELECT target, 1000 + row_number() OVER (), table_name, key, NULL, 'theirs', NULL, false, NULL, NULL "
        "FROM epoch.conflicts WHERE NOT resolved AND CAST(key->>'id' AS INTEGER) < 1010"
    )
    repo("UPDATE epoch.conflicts SET resolved = true WHERE CAST(key->>'id' AS INTEGER) < 1010")
    assert spent(1010) < 3 * before
    repo("CALL epoch_merge_continue()")
    assert repo("SELECT count(*) FROM t WHERE v = 2") == [(1020,)]
