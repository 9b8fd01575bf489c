"""Open transactions: a procedure is refused where its caller has uncommitted changes, and told why."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import epoch_sql

pytestmark = pytest.mark.core

CHANGES = {
    "insert": "INSERT INTO t VALUES (100, 'new')",
    "update": "UPDATE t SET v = 'other' WHERE i = 1",
    "update of every row": "UPDATE t SET v = v || '!'",
    "delete": "DELETE FROM t WHERE i = 1",
    "delete and insert": "DELETE FROM t WHERE i = 1; INSERT INTO t VALUES (1, 'other')",
    "truncate": "TRUNCATE t",
    "create": "CREATE TABLE fresh (i INTEGER)",
    "add a column": "ALTER TABLE t ADD COLUMN w INTEGER",
    "rename a column": "ALTER TABLE t RENAME COLUMN v TO w",
    "drop": "DROP TABLE u",
    "view": "CREATE VIEW seen AS FROM t",
    "macro": "CREATE MACRO one() AS 1",
    "index": "CREATE INDEX of_v ON u (i)",
}
PROCEDURES = {
    "commit": "CALL epoch_commit('from within')",
    "branch": "CALL epoch_branch('from within')",
    "checkout": "CALL epoch_checkout('other')",
    "reset": "CALL epoch_reset('other', hard := true)",
    "stash": "CALL epoch_stash()",
    "tag": "CALL epoch_tag('from within')",
    "ignore": "CALL epoch_ignore('x')",
    "gc": "CALL epoch_gc()",
    "compact": "CALL epoch_compact()",
}
START = """
    CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR);
    INSERT INTO t SELECT i, 'v' FROM range(10) AS r(i);
    CREATE TABLE u (i INTEGER);
    CALL epoch_init();
    CALL epoch_branch('other');
    INSERT INTO t VALUES (50, 'committed');
    CALL epoch_commit('second');
"""


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that DuckDB made, with the functions installed on it."""
    with epoch_sql.install(duckdb.connect(str(tmp_path / "shop.duckdb"))) as con:
        for statement in START.split(";\n"):
            con.execute(statement).fetchall()
        yield con


def state(con: duckdb.DuckDBPyConnection) -> tuple[object, ...]:
    """Everything that a procedure could change."""
    functions = ("branches", "tags", "stashes", "ignored", "status")
    return tuple(con.execute(f"FROM epoch_{name}()").fetchall() for name in functions)


def refused(con: duckdb.DuckDBPyConnection, call: str) -> None:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(call).fetchall()
    line = str(caught.value).splitlines()[0]
    assert "EpochTransactionError: a transaction" in line
    assert "COMMIT or ROLLBACK it, then retry" in line


@pytest.mark.parametrize("change", CHANGES)
def test_refused_with_uncommitted_changes(con: duckdb.DuckDBPyConnection, change: str) -> None:
    before = state(con)
    for name in ("commit", "branch"):
        con.execute("BEGIN")
        con.execute(CHANGES[change])
        refused(con, PROCEDURES[name])
        con.execute("ROLLBACK")
    assert state(con) == before
    con.execute("BEGIN")
    con.execute(CHANGES[change])
    con.execute("COMMIT")
    assert con.execute(PROCEDURES["commit"]).fetchall()


@pytest.mark.parametrize("name", PROCEDURES)
def test_every_procedure_is_refused(con: duckdb.DuckDBPyConnection, name: str) -> None:
    before = state(con)
    for change in ("insert", "update", "delete", "create"):
        con.execute("BEGIN")
        con.execute(CHANGES[change])
        refused(con, PROCEDURES[name])
        con.execute("ROLLBACK")
    assert state(con) == before
    if name != "stash":
        con.execute(PROCEDURES[name]).fetchall()


def test_init_is_refused(tmp_path: Path) -> None:
    with epoch_sql.connect(tmp_path / "shop.duckdb") as con:
        con.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'v')")
        con.execute("CREATE TABLE u (i INTEGER)")
        for change in ("insert", "update", "delete", "create", "drop"):
            con.execute("BEGIN")
            con.execute(CHANGES[change])
            refused(con, "CALL epoch_init()")
            con.execute("ROLLBACK")
        con.execute("CALL epoch_init()")
        assert con.execute("FROM epoch_at('HEAD', 't')").fetchall() == [(1, "v")]


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_executemany_does_not_hide_a_transaction(con: duckdb.DuckDBPyConnection, times: int) -> None:
    for n in range(times):
        con.executemany("INSERT INTO t VALUES (?, ?)", [(200 + 10 * n, "a"), (201 + 10 * n, "b")])
    con.execute("BEGIN")
    con.execute(CHANGES["update"])
    refused(con, PROCEDURES["branch"])
    con.execute("ROLLBACK")


def test_a_prepared_commit_is_refused_as_well(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("PREPARE committing AS FROM epoch_commit('from within')")
    con.execute("BEGIN")
    con.execute(CHANGES["update of every row"])
    refused(con, "EXECUTE committing")
    con.execute("ROLLBACK")


def test_not_refused_without_changes(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO t VALUES (100, 'new')")
    con.execute("BEGIN")
    con.execute("FROM t").fetchall()
    con.execute("FROM epoch_status()").fetchall()
    assert con.execute("CALL epoch_commit('read before')").fetchall()[0][2:] == (1, 1, 0, 0)
    con.execute("COMMIT")
    con.execute("BEGIN")
    con.execute("CREATE TEMP TABLE scratch AS SELECT 1 AS i")
    con.execute("CALL epoch_branch('beside temporary tables')")
    con.execute("COMMIT")


def test_reading_is_never_refused(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("BEGIN")
    con.execute(CHANGES["update of every row"])
    assert con.execute("SELECT count(*) FROM epoch_at('HEAD', 't')").fetchall() == [(11,)]
    assert con.execute("FROM epoch_status()").fetchall() == []
    assert len(con.execute("FROM epoch_log()").fetchall()) == 2
    con.execute("ROLLBACK")


class TestAnotherConnection:
    @pytest.mark.parametrize("change", ["update", "delete", "create"])
    def test_an_open_transaction_is_waited_for_and_then_told(self, con: duckdb.DuckDBPyConnection, change: str) -> None:
        other = con.cursor()
        other.execute("BEGIN")
        other.execute(CHANGES[change])
        begun = time.monotonic()
        refused(con, PROCEDURES["tag"])
        assert time.monotonic() - begun >= 1
        other.execute("COMMIT")
        con.execute(PROCEDURES["tag"])
        assert len(con.execute("FROM epoch_status()").fetchall()) == 1

    def test_one_that_ends_in_time_is_waited_for(self, con: duckdb.DuckDBPyConnection) -> None:
        other = con.cursor()
        other.execute("BEGIN")
        other.execute(CHANGES["update"])
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        assert con.execute(PROCEDURES["commit"]).fetchall()[0][2:] == (1, 0, 1, 0)
        timer.join()
