"""Calls of many connections at once: they follow each other, and only what a caller has not committed refuses it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.extension import caller, performing

pytestmark = pytest.mark.core

START = """
    CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR);
    INSERT INTO t SELECT i, 'v' FROM range(10) AS r(i);
    CREATE TABLE u (i INTEGER);
    INSERT INTO u VALUES (1), (2);
    CREATE TABLE odd (rowid INTEGER);
    CALL epoch_init();
"""
OTHERS = {
    "insert": "INSERT INTO t VALUES (100, 'theirs'); INSERT INTO u VALUES (100)",
    "update": "UPDATE t SET v = 'theirs' WHERE i = 9; INSERT INTO u VALUES (100)",
    "delete": "DELETE FROM t WHERE i = 9; INSERT INTO u VALUES (100)",
    "delete and insert": "DELETE FROM t WHERE i = 9; INSERT INTO t VALUES (100, 'theirs'); DELETE FROM u WHERE i = 1",
    "a table with a column rowid": "INSERT INTO odd VALUES (1)",
    "create": "CREATE TABLE fresh (i INTEGER); INSERT INTO u VALUES (100)",
}
OWN = {
    "insert": "INSERT INTO t VALUES (200, 'own')",
    "update": "UPDATE t SET v = 'own' WHERE i = 1",
    "delete": "DELETE FROM t WHERE i = 1",
    "delete and insert": "DELETE FROM t WHERE i = 1; INSERT INTO t VALUES (1, 'own')",
    "of another table": "INSERT INTO u VALUES (200)",
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository with what every test begins with."""
    folder = tmp_path_factory.mktemp("begun")
    with epoch_sql.connect(folder / "shop.duckdb") as con:
        con.execute(START)
    return folder


@pytest.fixture
def con(begun: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    with epoch_sql.connect(tmp_path / "shop.duckdb") as con:
        yield con


@pytest.fixture
def between(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes another connection commit between the look of the next call and its act."""

    def arrange(statements: str) -> None:
        def require(*arguments: Any) -> Any:
            monkeypatch.undo()
            with closing(con.cursor()) as other:
                other.execute(statements)
            return caller.require_same_view(*arguments)

        monkeypatch.setattr(performing, "require_same_view", require)

    return arrange


@pytest.mark.parametrize("others", OTHERS)
def test_what_others_commit_meanwhile_is_committed_too(
    con: duckdb.DuckDBPyConnection, between: Callable[[str], None], others: str
) -> None:
    con.execute("UPDATE t SET v = 'before' WHERE i = 1")
    between(OTHERS[others])
    con.execute("CALL epoch_commit('both')")
    for table in ("t", "u", "odd"):
        committed = con.execute(f"FROM epoch_at('HEAD', '{table}') ORDER BY ALL").fetchall()
        assert committed == con.execute(f"FROM {table} ORDER BY ALL").fetchall()
    assert con.execute("FROM epoch_status()").fetchall() == []
    between(OTHERS[others].replace("100", "101").replace("9", "8").replace("fresh", "fresher"))
    con.execute("CALL epoch_branch('beside')")
    assert con.execute("SELECT count(*) FROM epoch_status()").fetchall() != [(0,)]


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("others", ["insert", "delete and insert"])
def test_what_the_caller_has_not_committed_refuses_it_all_the_same(
    con: duckdb.DuckDBPyConnection, between: Callable[[str], None], own: str, others: str
) -> None:
    con.execute("BEGIN")
    con.execute(OWN[own])
    between(OTHERS[others])
    with pytest.raises(duckdb.Error, match="EpochTransactionError: a transaction with uncommitted changes"):
        con.execute("CALL epoch_commit('from within')")
    con.execute("ROLLBACK")
    assert len(con.execute("FROM epoch_log()").fetchall()) == 1


def test_a_prepared_call_does_not_take_an_old_number_of_rows_for_its_own(con: duckdb.DuckDBPyConnection) -> None:
    """When it was prepared, as many rows were committed as its caller sees after a deletion of its own."""
    con.execute("PREPARE committing AS FROM epoch_commit('from within')")
    con.execute("INSERT INTO u VALUES (3)")
    con.execute("BEGIN")
    con.execute("DELETE FROM u WHERE i = 1")
    with pytest.raises(duckdb.Error, match="EpochTransactionError: a transaction with uncommitted changes"):
        con.execute("EXECUTE committing")
    con.execute("ROLLBACK")


def test_a_table_that_another_drops_meanwhile(con: duckdb.DuckDBPyConnection, between: Callable[[str], None]) -> None:
    between("DROP TABLE u")
    with pytest.raises(duckdb.Error, match=r"EpochTransactionError: .*u.*retry"):
        con.execute("CALL epoch_commit('dropped')")
    con.execute("CALL epoch_commit('dropped')")
    assert con.execute("SELECT count(*) FROM epoch_tables()").fetchall() == [(2,)]


def test_calls_follow_each_other(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call waits until the first has ended, and is not refused for it."""
    begun, go_on = threading.Event(), threading.Event()

    def require(*arguments: Any) -> Any:
        monkeypatch.undo()
        begun.set()
        assert go_on.wait(30)
        return caller.require_same_view(*arguments)

    monkeypatch.setattr(performing, "require_same_view", require)
    failed: list[str] = []

    def call(statement: str) -> None:
        try:
            with closing(con.cursor()) as cursor:
                cursor.execute(statement)
        except duckdb.Error as error:
            failed.append(str(error))

    threads = [threading.Thread(target=call, args=(f"CALL epoch_branch('b{n}')",)) for n in range(4)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    threads[1].join(0.2)
    waiting = [thread.is_alive() for thread in threads]
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert waiting == [True] * 4, failed
    assert failed == []
    assert con.execute("SELECT count(*) FROM epoch_branches()").fetchall() == [(5,)]


def test_threads_that_write_and_commit(con: duckdb.DuckDBPyConnection) -> None:
    """As in a web application: a cursor per request. Who is refused is told to retry, and a retry succeeds."""
    refused: list[str] = []

    def work(number: int) -> None:
        with closing(con.cursor()) as cursor:
            for change in range(3):
                cursor.execute("INSERT INTO u VALUES (?)", [1000 * number + change])
                for _ in range(20):
                    try:
                        cursor.execute("CALL epoch_commit(?)", [f"{number}.{change}"])
                        break
                    except duckdb.Error as error:
                        # What it wrote may be in the commit of another.
                        if "EpochNothingToCommit" in str(error):
                            break
                        refused.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert con.execute("SELECT count(*) FROM epoch_at('HEAD', 'u')").fetchall() == [(14,)]
    assert con.execute("FROM epoch_status()").fetchall() == []
    assert all("retry" in message for message in refused)
    assert len(refused) < 12


class TestRelations:
    """A relation is evaluated whenever it is shown or read, so it may not act."""

    @pytest.mark.parametrize("sql", ["FROM epoch_commit('x')", "SELECT commit_id AS c FROM epoch_commit('x') LIMIT 1"])
    def test_a_relation_that_would_act_is_refused(self, con: duckdb.DuckDBPyConnection, sql: str) -> None:
        con.execute("INSERT INTO u VALUES (3)")
        with pytest.raises(
            duckdb.Error, match=r"EpochRelationError: epoch_commit would act again .*CALL epoch_commit\(\.\.\.\)"
        ):
            con.sql(sql)
        assert len(con.execute("FROM epoch_log()").fetchall()) == 1

    def test_a_relation_of_a_view_that_acts_is_refused(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("CREATE VIEW acting AS FROM epoch_branch('b')")
        with pytest.raises(duckdb.Error, match="EpochRelationError: epoch_branch would act again"):
            con.view("acting")
        con.execute("FROM acting")
        assert con.execute("SELECT count(*) FROM epoch_branches()").fetchall() == [(2,)]

    def test_calls_and_statements_act_once(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("INSERT INTO u VALUES (3)")
        called = con.sql("CALL epoch_commit('one')")
        assert str(called)
        assert len(called.fetchall()) == 1
        con.execute("INSERT INTO u VALUES (4)")
        con.execute("INSERT INTO odd SELECT 1 FROM epoch_commit('two')")
        con.execute("INSERT INTO u VALUES (5)")
        con.execute("SELECT commit_id FROM epoch_commit(?)", ["three"])
        assert [row[0] for row in con.execute("SELECT message FROM epoch_log()").fetchall()][:3] == [
            "three",
            "two",
            "one",
        ]

    def test_what_only_reads_is_a_relation(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("INSERT INTO u VALUES (3)")
        relation = con.sql("FROM epoch_status()")
        assert relation.fetchall() == relation.fetchall() == [("u", "modified", 1, 0, 0)]
        assert len(con.sql("FROM epoch_log()").fetchall()) == 1
