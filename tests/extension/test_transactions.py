"""Open transactions: a procedure is refused where its caller has uncommitted changes, and told why."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Verb

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
    "branch": "CALL epoch_branch('from-within')",
    "checkout": "CALL epoch_checkout('other')",
    "reset": "CALL epoch_reset('other', hard := true)",
    "stash": "CALL epoch_stash()",
    "tag": "CALL epoch_tag('from-within')",
    "ignore": "CALL epoch_ignore('x')",
    "gc": "CALL epoch_gc()",
    "compact": "CALL epoch_compact()",
}
ABORTED = not duckdb.__version__.startswith("1.")
"""Whether DuckDB aborts a transaction at every error, unless it is told not to."""
POLICY = "SET default_transaction_invalidation_policy = 'SYNTACTIC_ERRORS_DO_NOT_INVALIDATE'"
START = """
    CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR);
    INSERT INTO t SELECT i, 'v' FROM range(10) AS r(i);
    CREATE TABLE u (i INTEGER);
    CALL epoch_init();
    CALL epoch_branch('other');
    INSERT INTO t VALUES (50, 'committed');
    CALL epoch_commit('second');
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that DuckDB made, with the functions installed on it; tests leave its data as they find them."""
    path = tmp_path_factory.mktemp("transactions") / "shop.duckdb"
    with epoch_sql.install(duckdb.connect(str(path))) as con:
        con.execute(START)
        yield con


@pytest.fixture
def con(shared: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The shared connection; nothing may be left changed."""
    before = state(shared)
    yield shared
    with suppress(duckdb.TransactionException):
        shared.execute("ROLLBACK")
    assert state(shared) == before


def state(con: duckdb.DuckDBPyConnection) -> tuple[object, ...]:
    """Everything that a procedure could change."""
    functions = ("branches", "tags", "stashes", "ignored", "status")
    return tuple(con.execute(f"FROM epoch_{name}()").fetchall() for name in functions)


def refused(con: duckdb.DuckDBPyConnection, call: str) -> None:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(call).fetchall()
    line = str(caught.value).splitlines()[0]
    assert "EpochTransactionError: a transaction" in line
    assert ("DuckDB has aborted it" in line) == ABORTED
    assert "ROLLBACK, run its" in line if ABORTED else "COMMIT or ROLLBACK it, then retry" in line


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("change", CHANGES)
def test_refused_with_uncommitted_changes(con: duckdb.DuckDBPyConnection, change: str) -> None:
    """A procedure that leaves the working tables alone looks at the number of rows, not at the rows."""
    for name in ("commit",) if change == "delete and insert" else ("commit", "branch"):
        con.execute("BEGIN")
        con.execute(CHANGES[change])
        refused(con, PROCEDURES[name])
        con.execute("ROLLBACK")


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("name", PROCEDURES)
def test_every_procedure_is_refused(con: duckdb.DuckDBPyConnection, name: str) -> None:
    for change in ("insert", "update", "delete", "create"):
        con.execute("BEGIN")
        con.execute(CHANGES[change])
        refused(con, PROCEDURES[name])
        con.execute("ROLLBACK")


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


def test_executemany_does_not_hide_a_transaction(con: duckdb.DuckDBPyConnection) -> None:
    for n in range(3):
        con.executemany("INSERT INTO t VALUES (?, ?)", [(200 + 10 * n, "a"), (201 + 10 * n, "b")])
        con.execute("BEGIN")
        con.execute(CHANGES["update"])
        refused(con, PROCEDURES["branch"])
        con.execute("ROLLBACK")
    con.execute("DELETE FROM t WHERE i >= 200")


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("change", CHANGES)
def test_a_prepared_commit_is_refused_as_well(con: duckdb.DuckDBPyConnection, change: str) -> None:
    con.execute("PREPARE committing AS FROM epoch_commit('from within')")
    con.execute("BEGIN")
    con.execute(CHANGES[change])
    refused(con, "EXECUTE committing")
    con.execute("ROLLBACK")


def test_reading_is_never_refused(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("BEGIN")
    con.execute(CHANGES["update of every row"])
    assert con.execute("SELECT count(*) FROM epoch_at('HEAD', 't')").fetchall() == [(11,)]
    assert con.execute("FROM epoch_status()").fetchall() == []
    assert len(con.execute("FROM epoch_log()").fetchall()) == 2
    con.execute("ROLLBACK")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a database of the test's own."""
    with epoch_sql.connect(tmp_path / "shop.duckdb") as con:
        con.execute(START)
        yield con


def test_not_refused_without_changes(own: duckdb.DuckDBPyConnection) -> None:
    own.execute("INSERT INTO t VALUES (100, 'new')")
    own.execute("BEGIN")
    own.execute("FROM t").fetchall()
    own.execute("FROM epoch_status()").fetchall()
    assert own.execute("CALL epoch_commit('read before')").fetchall()[0][2:] == (1, 1, 0, 0, [])
    own.execute("COMMIT")
    own.execute("BEGIN")
    own.execute("CREATE TEMP TABLE scratch AS SELECT 1 AS i")
    own.execute("CALL epoch_branch('beside-temporary-tables')").fetchall()
    own.execute("COMMIT")
    assert len(own.execute("FROM epoch_branches()").fetchall()) == 3


def test_once_committed_the_changes_are_recorded(own: duckdb.DuckDBPyConnection) -> None:
    own.execute("BEGIN")
    for name in ("update", "insert", "create", "view", "macro", "index"):
        own.execute(CHANGES[name])
    own.execute("COMMIT")
    assert own.execute(PROCEDURES["commit"]).fetchall()[0][2:] == (3, 1, 1, 0, [])
    assert own.execute("FROM epoch_status()").fetchall() == []


WRONG = {"VARCHAR": "'no..such'", "VARCHAR[]": "['nope']", "BOOLEAN": "false", "BIGINT": "0"}
WORK = {
    "a table": "INSERT INTO t VALUES (100, 'work')",
    "a table that is not versioned": "INSERT INTO scratch VALUES ('work')",
    "a temporary table": "INSERT INTO temporary VALUES ('work')",
}
WORK_DONE = "SELECT (SELECT count(*) FROM t WHERE v = 'work') + (SELECT count(*) FROM scratch) + (SELECT count(*) FROM temporary)"


def wrongly(function: Verb[..., Any]) -> str:
    """A call with arguments that are nothing's names."""
    return f"{function.name}({', '.join(WRONG[parameter.type] for parameter in function.parameters)})"


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with epoch_sql.connect(tmp_path_factory.mktemp("work") / "shop.duckdb") as con:
        con.execute(START)
        con.execute("CREATE TABLE scratch (v VARCHAR); CALL epoch_ignore('scratch')")
        con.execute("CREATE TEMP TABLE temporary (v VARCHAR)")
        yield con


class TestWhatIsWrittenIsNotLost:
    """After a refusal the transaction lives on, or the message says that it is lost; never does COMMIT lose rows that
    somebody was told to commit."""

    @pytest.fixture(params=[False, True] if ABORTED else [True])
    def kept(self, working: duckdb.DuckDBPyConnection, request: pytest.FixtureRequest) -> Iterator[bool]:
        """Whether DuckDB keeps the transaction: DuckDB 2.0 as it comes, and told to."""
        if ABORTED and request.param:
            working.execute(POLICY)
        yield bool(request.param)
        if ABORTED:
            working.execute("RESET default_transaction_invalidation_policy")

    @pytest.mark.grid(every=6)
    @pytest.mark.parametrize(
        ("verb", "work"),
        [*(("FROM", work) for work in WORK), ("EXPLAIN FROM", "a table"), ("PREPARE wrong AS FROM", "a table")],
    )
    def test_of_no_function(self, working: duckdb.DuckDBPyConnection, kept: bool, verb: str, work: str) -> None:
        failed = 0
        for function in VERBS:
            call = f"{verb} {wrongly(function)}"
            working.execute("BEGIN")
            working.execute(WORK[work])
            told = ""
            try:
                working.execute(call).fetchall()
            except duckdb.Error as error:
                told = str(error)
            working.execute("COMMIT")
            ((done,),) = working.execute(WORK_DONE).fetchall()
            assert done == int(kept or not told), (call, told)
            assert ("has aborted it" in told) == (done == 0), (call, told)
            assert done or "COMMIT or" not in told, (call, told)
            working.execute("DELETE FROM t WHERE v = 'work'; DELETE FROM scratch; DELETE FROM temporary")
            failed += bool(told)
        assert failed > (40 if verb == "FROM" else 10)

    def test_in_what_follows_the_refusal(self, working: duckdb.DuckDBPyConnection) -> None:
        """Where the transaction lives, it goes on, and is committed and recorded as the hint says."""
        if ABORTED:
            working.execute(POLICY)
        working.execute("BEGIN")
        working.execute(WORK["a table"])
        with pytest.raises(duckdb.ParserException, match="COMMIT or ROLLBACK it, then retry"):
            working.execute(PROCEDURES["commit"])
        working.execute("UPDATE t SET v = 'other' WHERE i = 1")
        working.execute("COMMIT")
        assert working.execute(PROCEDURES["commit"]).fetchall()[0][2:6] == (1, 1, 1, 0)
        if ABORTED:
            working.execute("RESET default_transaction_invalidation_policy")


class TestAnotherConnection:
    @pytest.mark.grid(every=4)
    @pytest.mark.parametrize("change", CHANGES)
    def test_what_it_has_not_committed_is_not_recorded(self, con: duckdb.DuckDBPyConnection, change: str) -> None:
        with con.cursor() as other:
            other.execute("BEGIN")
            other.execute(CHANGES[change])
            if change in ("add a column", "rename a column", "drop"):
                refused(con, PROCEDURES["tag"])
                refused(con, PROCEDURES["commit"])
            else:
                con.execute(PROCEDURES["tag"])
                con.execute("CALL epoch_tag_delete('from-within')")
                with pytest.raises(duckdb.Error, match="EpochNothingToCommit"):
                    con.execute(PROCEDURES["commit"])
            other.execute("ROLLBACK")

    def test_rows_that_both_change_conflict_in_one_of_them(self, own: duckdb.DuckDBPyConnection) -> None:
        own.execute(CHANGES["update"])
        own.execute(PROCEDURES["commit"])
        other = own.cursor()
        other.execute("BEGIN")
        other.execute("UPDATE t SET v = 'theirs' WHERE i = 1")
        before = own.execute("FROM t ORDER BY i").fetchall()
        with pytest.raises(duckdb.Error, match=r"EpochTransactionError: another writer was faster.*retry"):
            own.execute(PROCEDURES["checkout"])
        assert own.execute("FROM t ORDER BY i").fetchall() == before
        other.execute("COMMIT")
        assert own.execute("FROM epoch_status()").fetchall() == [("t", "modified", 0, 1, 0)]

    def test_a_reader_of_an_older_state_holds_nobody_up(self, own: duckdb.DuckDBPyConnection) -> None:
        other = own.cursor()
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM t").fetchall() == [(11,)]
        own.execute(CHANGES["update of every row"])
        own.execute(CHANGES["macro"])
        begun = time.monotonic()
        for name in ("commit", "tag", "checkout", "branch"):
            own.execute(PROCEDURES[name])
        assert time.monotonic() - begun < 5
        assert other.execute("SELECT count(*) FROM t").fetchall() == [(11,)]
        assert own.execute("SELECT branch FROM epoch_head()").fetchall() == [("other",)]

    def test_a_result_that_is_not_read_to_its_end_holds_nobody_up(self, own: duckdb.DuckDBPyConnection) -> None:
        """DuckDB 1.4 would wait in CHECKPOINT for the other's scan to end."""
        own.execute("INSERT INTO u FROM range(500000)")
        other = own.cursor()
        assert other.execute("FROM u").fetchone() == (0,)
        calls = [PROCEDURES["commit"], PROCEDURES["branch"], PROCEDURES["tag"]]
        outcomes: list[str] = []

        def call() -> None:
            for statement in calls:
                try:
                    outcomes.append(str(len(own.execute(statement).fetchall())))
                except duckdb.Error as error:
                    outcomes.append(str(error))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(30)
        # Reading on frees a thread that is stuck, so that the test fails instead of hanging.
        rest = len(other.fetchall())
        thread.join(30)
        assert rest == 499_999
        assert outcomes == ["1", "1", "1"]


@pytest.mark.slow
def test_writers_are_not_disturbed(own: duckdb.DuckDBPyConnection) -> None:
    """Whoever writes to a table meanwhile, with another transaction open, succeeds."""
    failed: list[str] = []
    done = threading.Event()

    def write() -> None:
        with own.cursor() as writer:
            number = 1000
            while not done.is_set():
                number += 1
                try:
                    writer.execute("INSERT INTO u VALUES (?)", [number])
                except duckdb.Error as error:
                    failed.append(str(error))

    thread = threading.Thread(target=write)
    with own.cursor() as other:
        other.execute("BEGIN; UPDATE t SET v = 'other' WHERE i = 1")
        thread.start()
        for number in range(40):
            # It may meet a write, and be refused for it.
            with suppress(duckdb.InvalidInputException, duckdb.ParserException):
                own.execute("CALL epoch_branch(?)", [f"b{number}"])
        done.set()
        thread.join()
        other.execute("ROLLBACK")
    assert not failed
