"""A repository that is attached to a database in memory answers and acts there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

SQL = "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR); INSERT INTO t VALUES (1, 'x'), (2, NULL); CREATE VIEW v AS FROM t"


@pytest.fixture
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield epoch_sql.install(con)


def attach(con: duckdb.DuckDBPyConnection, repo: Repo, name: str, options: str = "") -> None:
    repo.close()
    con.execute(f"ATTACH '{repo.path}' AS {name} {options}")


def refused(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return str(caught.value)


def test_an_attached_repository_answers_and_acts(memory: duckdb.DuckDBPyConnection, make_repo: MakeRepo) -> None:
    def rows(sql: str) -> list[tuple[object, ...]]:
        return memory.execute(sql).fetchall()

    assert "or ATTACH one that has a repository" in refused(memory, "FROM epoch_log()")
    attach(memory, make_repo(SQL), "shop")
    rows("INSERT INTO shop.t VALUES (3, 'z')")
    for prefix in ("shop.main.", "shop.", ""):
        assert rows(f"FROM {prefix}epoch_status()") == [("t", "modified", 1, 0, 0)]
        assert len(rows(f"FROM {prefix}epoch_log()")) == 1
    rows("BEGIN; UPDATE shop.t SET a = 'open' WHERE id = 1")
    assert "EpochTransactionError" in refused(memory, "CALL shop.epoch_commit('open')")
    rows("ROLLBACK; CALL shop.epoch_commit('three')")
    rows("USE shop")
    rows(
        "CALL epoch_checkout('other', new_branch := true); UPDATE t SET a = 'y' WHERE id = 2; CALL epoch_commit('four')"
    )
    assert rows("SELECT to_row FROM epoch_diff('main', 'other')")
    assert rows("FROM epoch_query('HEAD~2', 'SELECT count(*) FROM v')") == [(2,)]
    assert rows("SELECT d.a, t.a FROM epoch_at('main', 't') AS d JOIN t USING (id) WHERE id = 2") == [(None, "y")]
    rows("CALL epoch_merge('other', target := 'main'); CALL epoch_checkout('main')")
    assert rows("SELECT count(*) FROM t WHERE a = 'y'") == [(1,)]
    assert rows("CALL epoch_fsck()") == []
    rows("USE memory; CREATE TABLE kept AS FROM epoch_at('HEAD~1', 't'); DETACH shop")
    assert "in-memory" in refused(memory, "FROM epoch_log()")


def test_which_repository(memory: duckdb.DuckDBPyConnection, make_repo: MakeRepo) -> None:
    """A function cannot know in which of two it was called, so it does nothing there."""
    first, second = make_repo(SQL, "first.duckdb"), make_repo("CREATE TABLE u (n INTEGER)", "second.duckdb")
    attach(memory, first, "one", "(READ_ONLY)")
    assert "EpochReadOnlyError" in refused(memory, "CALL one.epoch_commit('x')")
    attach(memory, second, "two")
    for call in ("FROM one.epoch_log()", "CALL two.epoch_commit('x', allow_empty := true)"):
        assert "more than one repository is attached: one, two (hint: DETACH all but one" in refused(memory, call)
    memory.execute("DETACH one")
    assert memory.execute("SELECT table_name FROM two.epoch_tables()").fetchall() == [("u",)]
    with duckdb.connect() as other, memory.cursor() as cursor:
        # Each database in memory is another one.
        epoch_sql.install(other)
        epoch_sql.install(cursor)
        attach(other, first, "one")
        assert other.execute("SELECT table_name FROM one.epoch_tables() ORDER BY ALL").fetchall() == [("t",), ("v",)]
        assert cursor.execute("SELECT table_name FROM two.epoch_tables()").fetchall() == [("u",)]
        memory.execute("DETACH two")
    with epoch_sql.connect(second.path) as con:
        con.execute("INSERT INTO u VALUES (1); CALL epoch_commit('elsewhere')").fetchall()
    attach(memory, second, "two")
    assert memory.execute("SELECT message FROM two.epoch_log()").fetchall()[0] == ("elsewhere",)


def test_a_repository_beside_another(tmp_path: Path) -> None:
    """A function of a database that is attached to a file works on neither of them: it would take the wrong one."""
    paths = [tmp_path / name / f"{name}.duckdb" for name in ("first", "second", "copy")]
    for path in paths:
        path.parent.mkdir()
    for path, sql in zip(paths, ("CREATE TABLE m (n INTEGER)", SQL), strict=False):
        with epoch_sql.connect(path) as con:
            con.execute(f"{sql}; CALL epoch_init()").fetchall()
    shutil.copy(paths[0], paths[2])
    with epoch_sql.connect(paths[0]) as con:
        con.execute(f"ATTACH '{paths[1]}' AS other; INSERT INTO m VALUES (1)")
        for use, prefix in (("first", "other."), ("other", "")):
            con.execute(f"USE {use}")
            for call in (
                f"CALL {prefix}epoch_commit('x')",
                f"FROM {prefix}epoch_status()",
                f"FROM {prefix}epoch_at('main', 't')",
                f"FROM {prefix}epoch_query('main', 'FROM t')",
            ):
                message = refused(con, call)
                assert "EpochRepositoryError" in message and " of other, which is attached, would work on " in message
        con.execute(f"USE first; ATTACH '{paths[2]}' AS same")
        for call in ("CALL same.epoch_commit('x')", "CALL epoch_commit('x')", "FROM epoch_log()"):
            assert " of same, which is attached, would work on " in refused(con, call)
        con.execute("DETACH same")
        for prefix in ("", "first."):
            assert con.execute(f"FROM {prefix}epoch_status()").fetchall() == [("m", "modified", 1, 0, 0)]
        con.execute("CALL epoch_commit('mine')")
        assert con.execute("SELECT count(*) FROM epoch_at('main', 'm') AS m, other.t").fetchall() == [(2,)]
    with epoch_sql.connect(paths[1]) as con:
        assert len(con.execute("FROM epoch_log()").fetchall()) == 1
