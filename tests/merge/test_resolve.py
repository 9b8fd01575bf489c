"""``epoch_resolve``, ``epoch_merge_continue``, ``epoch_merge_abort``: what is decided, refused, kept and forgotten."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo, begun

_BASE = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER, note VARCHAR NOT NULL DEFAULT '', day DATE); "
    "INSERT INTO orders SELECT i, i, 'n' || i, NULL FROM range(1, 6) r (i); "
    "CREATE TABLE lines (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO lines VALUES (1, 1)"
)


@begun(_BASE)
def stopped(repo: Repo) -> None:
    """A merge of staging into main that stopped: cells of orders 1 and 2, order 3 deleted here, one cell of lines."""
    repo("CALL epoch_branch('staging')")
    repo(
        "UPDATE orders SET amount = 10, note = 'o' WHERE id IN (1, 2); "
        "DELETE FROM orders WHERE id = 3; UPDATE lines SET n = 2"
    )
    repo.commit("ours")
    repo("CALL epoch_checkout('staging')")
    repo(
        "UPDATE orders SET amount = 20, note = 't' WHERE id IN (1, 2, 3); "
        "UPDATE orders SET day = '2026-01-31' WHERE id = 4; UPDATE lines SET n = 3"
    )
    repo.commit("theirs")
    repo("CALL epoch_checkout('main')")
    assert "EpochConflict: 6 conflicts in lines, orders" in repo.refused("CALL epoch_merge('staging')")


def catalog(repo: Repo) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the catalog but for hashes of working tables, which only save time, and the number of moves."""
    names = [row[0] for row in repo("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'epoch' ORDER BY ALL")]
    kept = {name: repo(f"FROM epoch.{name} ORDER BY ALL") for name in names if name not in ("fingerprints", "buckets")}
    return {**kept, "state": repo("SELECT * EXCLUDE (moves) FROM epoch.state")}


def test_conflicts_are_listed(stopped: Repo) -> None:
    listed = stopped("SELECT table_name, key, column_name, kind, base, ours, theirs, resolved FROM epoch_conflicts()")
    assert sorted(listed, key=str) == [
        ("lines", '{"id":1}', "n", "modify/modify", "1", "2", "3", False),
        ("orders", '{"id":1}', "amount", "modify/modify", "1", "10", "20", False),
        ("orders", '{"id":1}', "note", "modify/modify", '"n1"', '"o"', '"t"', False),
        ("orders", '{"id":2}', "amount", "modify/modify", "2", "10", "20", False),
        ("orders", '{"id":2}', "note", "modify/modify", '"n2"', '"o"', '"t"', False),
        (
            "orders", '{"id":3}', None, "delete/modify",
            '{"id":3,"amount":3,"note":"n3","day":null}', None, '{"id":3,"amount":20,"note":"t","day":null}', False,
        ),
    ]  # fmt: skip
    assert stopped("SELECT count(*) FROM epoch_conflicts('LINES')") == [(1,)]
    assert stopped("FROM orders WHERE id = 1") == [(1, 10, "o", None)]


@pytest.mark.parametrize(
    ("side", "orders"),
    [
        ("ours", [(1, 10, "o"), (2, 10, "o"), (4, 4, "n4"), (5, 5, "n5")]),
        ("theirs", [(1, 20, "t"), (2, 20, "t"), (3, 20, "t"), (4, 4, "n4"), (5, 5, "n5")]),
        ("base", [(1, 1, "n1"), (2, 2, "n2"), (3, 3, "n3"), (4, 4, "n4"), (5, 5, "n5")]),
    ],
)
def test_everything_to_one_side(stopped: Repo, side: str, orders: list[tuple[object, ...]]) -> None:
    assert stopped("CALL epoch_resolve(side := ?)", side) == [(6, 0)]
    ((status, *_),) = stopped("CALL epoch_merge_continue()")
    assert status == "merged"
    assert stopped("SELECT id, amount, note FROM orders ORDER BY id") == orders
    assert stopped("SELECT day::VARCHAR FROM orders WHERE id = 4") == [("2026-01-31",)]
    assert stopped.status() == []
    assert stopped("FROM epoch_conflicts()") == []
    assert stopped("SELECT count(*) FROM epoch.resolutions") == [(0,)]


def test_table_row_and_cell(stopped: Repo) -> None:
    assert stopped("CALL epoch_resolve('lines', side := 'theirs')") == [(1, 5)]
    assert stopped("CALL epoch_resolve('orders', side := 'theirs', key := '1', column_name := 'amount')") == [(1, 4)]
    assert stopped("CALL epoch_resolve('Orders', side := 'base', key := '{\"ID\": 2}')") == [(2, 2)]
    assert "2 conflicts in orders" in stopped.refused("CALL epoch_merge_continue()")
    assert stopped("CALL epoch_resolve('orders', key := '1', column_name := 'NOTE', value := 'both')") == [(1, 1)]
    assert stopped("CALL epoch_resolve('orders', side := 'ours')") == [(1, 0)]
    stopped("CALL epoch_merge_continue('Merge by hand')")
    assert stopped("SELECT id, amount, note FROM orders ORDER BY id") == [
        (1, 20, "both"),
        (2, 2, "n2"),
        (4, 4, "n4"),
        (5, 5, "n5"),
    ]
    assert stopped("FROM lines") == [(1, 3)]
    assert stopped("SELECT message FROM epoch_log(max_count := 1)") == [("Merge by hand",)]


def test_a_decision_can_be_changed(stopped: Repo) -> None:
    stopped("CALL epoch_resolve(side := 'ours')")
    assert stopped("CALL epoch_resolve('orders', side := 'theirs', key := '1')") == [(0, 0)]
    stopped("CALL epoch_resolve('orders', key := '1', column_name := 'amount', value := '5')")
    stopped("CALL epoch_resolve('orders', key := '1', column_name := 'amount', value := '6')")
    stopped("CALL epoch_resolve('orders', key := '3', side := 'theirs')")
    stopped("CALL epoch_resolve('orders', key := '3', side := 'ours')")
    stopped("CALL epoch_merge_continue()")
    assert stopped("SELECT id, amount, note FROM orders WHERE id <= 3 ORDER BY id") == [(1, 6, "t"), (2, 10, "o")]


def test_null_is_given_as_a_side_of_its_own(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR); INSERT INTO t VALUES (1, 'x'), (2, 'x')")
    repo("CALL epoch_branch('staging')")
    repo("UPDATE t SET a = 'o'")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE t SET a = 't'")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo.refused("CALL epoch_merge('staging')")
    repo("CALL epoch_resolve('t', side := 'null', key := '1', column_name := 'a')")
    repo("CALL epoch_resolve('t', value := 'null', key := '2', column_name := 'a')")
    repo("CALL epoch_merge_continue()")
    assert repo("FROM t ORDER BY id") == [(1, None), (2, "null")]


def test_a_merge_in_progress_survives_a_restart(stopped: Repo) -> None:
    stopped("CALL epoch_resolve('lines', side := 'theirs')")
    before = stopped("FROM epoch_conflicts()")
    stopped.reopen()
    assert stopped("FROM epoch_conflicts()") == before
    assert stopped("SELECT target, source, conflicts FROM epoch_merges()") == [("main", "staging", 5)]
    assert stopped("CALL epoch_resolve(side := 'theirs')") == [(5, 0)]
    stopped.reopen()
    stopped("CALL epoch_merge_continue()")
    assert stopped("FROM lines") == [(1, 3)]


def test_abort_leaves_nothing(stopped: Repo) -> None:
    head = stopped.head()
    stopped("CALL epoch_resolve('lines', side := 'theirs')")
    assert stopped("SELECT status FROM epoch_merge_abort()") == [("aborted",)]
    for table in ("merges", "conflicts", "violations", "resolutions"):
        assert stopped(f"SELECT count(*) FROM epoch.{table}") == [(0,)]
    assert stopped.head() == head
    assert stopped.status() == []
    assert "6 conflicts" in stopped.refused("CALL epoch_merge('staging')")


REFUSED = {
    "no side and no value": "CALL epoch_resolve('orders')",
    "a side and a value": "CALL epoch_resolve('lines', side := 'ours', key := '1', column_name := 'n', value := '1')",
    "an unknown side": "CALL epoch_resolve('orders', side := 'mine')",
    "an unknown table": "CALL epoch_resolve('oders', side := 'ours')",
    "a row that is no conflict": "CALL epoch_resolve('orders', side := 'ours', key := '5')",
    "a row that does not exist": "CALL epoch_resolve('orders', side := 'ours', key := '99')",
    "a key that is no value of its type": "CALL epoch_resolve('orders', side := 'ours', key := 'one')",
    "a row of no table": "CALL epoch_resolve(side := 'ours', key := '1')",
    "a key of other columns": "CALL epoch_resolve('orders', side := 'ours', key := '{\"number\": 1}')",
    "a column that is no conflict": "CALL epoch_resolve('orders', side := 'ours', key := '1', column_name := 'day')",
    "a column that does not exist": "CALL epoch_resolve('orders', side := 'ours', key := '1', column_name := 'amont')",
    "a value without a cell": "CALL epoch_resolve('orders', value := '1')",
    "a value without a column": "CALL epoch_resolve('orders', key := '1', value := '1')",
    "a value that does not fit": "CALL epoch_resolve('orders', key := '1', column_name := 'amount', value := 'many')",
    "a value for the key": "CALL epoch_resolve('orders', key := '3', column_name := 'id', value := '7')",
    "NULL where it is NOT NULL": "CALL epoch_resolve('orders', side := 'null', key := '1', column_name := 'note')",
    "a branch without a merge": "CALL epoch_resolve(side := 'ours', target := 'staging')",
    "continue with open conflicts": "CALL epoch_merge_continue()",
    "continue of a branch without a merge": "CALL epoch_merge_continue(target := 'staging')",
    "abort of a branch without a merge": "CALL epoch_merge_abort(target := 'staging')",
    "the same merge again": "CALL epoch_merge('staging')",
    "a revert meanwhile": "CALL epoch_revert('HEAD')",
    "a cherry-pick meanwhile": "CALL epoch_cherry_pick('staging')",
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("name", REFUSED)
def test_refused(stopped: Repo, name: str) -> None:
    before = catalog(stopped)
    message = stopped.refused(REFUSED[name]).partition("\nIf a transaction was open")[0]
    assert "Epoch" in message
    assert "(hint: " in message
    assert "\n" not in message.split("Epoch", 1)[1].partition("\nIf a transaction")[0].strip()
    assert "None" not in message
    assert catalog(stopped) == before


def test_continue_after_the_branch_moved_is_refused(stopped: Repo) -> None:
    stopped("CALL epoch_resolve(side := 'ours')")
    stopped("INSERT INTO lines VALUES (2, 2)")
    stopped.commit("meanwhile")
    assert "branch main has moved" in stopped.refused("CALL epoch_merge_continue()")
    stopped("CALL epoch_merge_abort()")
    stopped.refused("CALL epoch_merge('staging')")
    stopped("CALL epoch_resolve(side := 'ours')")
    stopped("CALL epoch_merge_continue()")
    assert stopped("FROM lines ORDER BY id") == [(1, 2), (2, 2)]


def test_target_that_is_not_checked_out(stopped: Repo) -> None:
    stopped("CALL epoch_merge_abort()")
    stopped("CALL epoch_checkout('staging')")
    stopped("INSERT INTO lines VALUES (9, 9)")
    stopped.refused("CALL epoch_merge('staging', target := 'main')")
    assert stopped("FROM epoch_conflicts()") == []
    assert stopped("SELECT count(*) FROM epoch_conflicts(target := 'main')") == [(6,)]
    assert stopped("CALL epoch_resolve(side := 'theirs', target := 'main')") == [(6, 0)]
    ((status, commit_id, *_),) = stopped("CALL epoch_merge_continue(target := 'main')")
    assert status == "merged"
    assert stopped("SELECT commit_id FROM epoch_branches() WHERE name = 'main'") == [(commit_id,)]
    assert stopped("FROM lines ORDER BY id") == [(1, 3), (9, 9)]
    assert stopped.at("main", "lines") == [(1, 3)]


@pytest.mark.core
@pytest.mark.slow
@pytest.mark.older
def test_rows_of_a_table_that_one_side_dropped_and_a_decision_keeps(make_repo: MakeRepo) -> None:
    """Here is the side without the table: a row as here is no row; as in the base, the row as it was."""
    repo = make_repo(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2), (3); "
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), note VARCHAR); "
        "INSERT INTO c VALUES (20, 2, 'x'), (21, 1, 'y'), (22, 1, 'z'), (23, 2, 'v')"
    )
    repo("CALL epoch_branch('staging')")
    repo("DROP TABLE c; DELETE FROM p WHERE id = 2")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("UPDATE c SET note = 'changed', p = 2 WHERE id IN (21, 22); INSERT INTO c VALUES (24, 2, 'w')")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    assert "EpochConflict: 1 conflict in c" in repo.refused("CALL epoch_merge('staging')")
    assert repo("CALL epoch_resolve('c', side := 'theirs')") == [(1, 5)]
    assert {row[3] for row in repo("FROM epoch_violations()")} == {f'{{"id":{n}}}' for n in range(20, 25)}
    repo("CALL epoch_resolve('c', side := 'ours', key := '20')")
    repo("CALL epoch_resolve('c', side := 'base', key := '21')")
    repo("CALL epoch_resolve('c', side := 'ours', key := '22')")
    repo("CALL epoch_resolve('c', key := '23', column_name := 'p', value := '3')")
    assert repo("CALL epoch_resolve('c', side := 'base', key := '24')") == [(1, 0)]
    repo("CALL epoch_merge_continue()")
    assert repo("FROM c ORDER BY id") == [(21, 1, "y"), (23, 3, "v")]
    assert repo.status() == []


@pytest.mark.core
def test_a_definition_that_cannot_be_made(make_repo: MakeRepo) -> None:
    """Into a branch that is not checked out, and a view that survives restarts of the decision."""
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1); CREATE TABLE u (x INTEGER)"
    )
    repo("CALL epoch_branch('staging')")
    repo("CREATE VIEW v AS SELECT a FROM t")
    repo.commit()
    repo("CALL epoch_checkout('staging')")
    repo("ALTER TABLE t DROP COLUMN a")
    repo.commit()
    previewed = repo("FROM epoch_preview_merge('staging', target := 'main')")
    assert previewed == [("t", 0, 0, 0, 0, 0, 0, False), ("v", 0, 0, 0, 0, 0, 1, False)]
    told = repo.refused("CALL epoch_merge('staging', target := 'main')")
    assert "EpochConflict: 1 constraint violation; the merge into main is in progress" in told
    listed = [("v", None, "view", None, "column a of table t, which it refers to, does not exist")]
    assert repo("FROM epoch_violations(target := 'main')") == listed
    for statement in (
        "'u', side := 'ours'",
        "'v', side := 'ours', key := '1'",
        "'v', side := 'ours', column_name := 'a'",
        "'t', side := 'null'",
    ):
        assert "EpochTableError" in repo.refused(f"CALL epoch_resolve({statement}, target := 'main')")
    assert repo("CALL epoch_resolve('t', side := 'ours', target := 'main')") == [(1, 0)]
    assert repo("CALL epoch_resolve('t', side := 'theirs', target := 'main')") == [(0, 1)]
    assert repo("FROM epoch_violations(target := 'main')") == listed
    repo.reopen()
    assert repo("CALL epoch_resolve('V', side := 'theirs', target := 'main')") == [(1, 0)]
    repo("CALL epoch_merge_continue(target := 'main')")
    repo("CALL epoch_checkout('main')")
    assert repo("FROM t") == [(1,)]
    assert repo("SELECT count(*) FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'") == [(0,)]
    assert repo.status() == []


def test_a_stash_over_a_definition_that_cannot_be_made(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)")
    repo("CREATE VIEW v AS SELECT a FROM t")
    repo("CALL epoch_stash()")
    repo("ALTER TABLE t DROP COLUMN a")
    repo.commit()
    assert "clash in v (hint" in repo.refused("CALL epoch_stash_pop()")
    assert repo.status() == []


def test_how_each_conflict_was_decided(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t SELECT i, 0, 0 FROM range(5) r (i);"
        "CREATE TABLE bag (n INTEGER); INSERT INTO bag VALUES (1)"
    )
    repo("CALL epoch_branch('side')")
    repo("UPDATE t SET a = 1, b = 1; INSERT INTO bag VALUES (1)")
    repo.commit("ours")
    repo("CALL epoch_checkout('side')")
    repo("UPDATE t SET a = 2, b = 2; INSERT INTO bag VALUES (1), (1)")
    repo.commit("theirs")
    repo("CALL epoch_checkout('main')")
    repo.refused("CALL epoch_merge('side')")
    decided = "SELECT table_name, key->>'id', column_name, side, value FROM epoch_conflicts() WHERE side IS NOT NULL"
    assert repo(decided) == []
    for given in (
        "'t', side := 'theirs', column_name := 'b'",
        "'t', side := 'base', key := '1'",
        "'t', side := 'null', key := '2', column_name := 'a'",
        "'t', value := '7', key := '3', column_name := 'b'",
        "'t', side := 'ours', key := '3', column_name := 'b'",
        "'t', value := '8', key := '3', column_name := 'b'",
        "'bag', side := 'both'",
    ):
        repo(f"CALL epoch_resolve({given})")
    row = repo(decided)
    assert row == [
        ("bag", None, None, "both", None),
        ("t", "0", "b", "theirs", None),
        ("t", "1", "a", "base", None),
        ("t", "1", "b", "base", None),
        ("t", "2", "a", "value", None),
        ("t", "2", "b", "theirs", None),
        ("t", "3", "b", "value", "8"),
        ("t", "4", "b", "theirs", None),
    ]
    foreseen = "FROM epoch_preview_conflicts('side')"
    assert repo(foreseen) == repo("FROM epoch_conflicts()")
    repo("CALL epoch_resolve(side := 'ours')")
    repo("CALL epoch_merge_continue()")
    # As it was said, so it is.
    assert repo("FROM t ORDER BY id") == [(0, 1, 2), (1, 0, 0), (2, None, 2), (3, 1, 8), (4, 1, 2)]
    assert repo("FROM bag") == [(1,)] * 4
    assert repo("SELECT DISTINCT side FROM epoch_preview_conflicts('side', strategy := 'theirs')") == []
