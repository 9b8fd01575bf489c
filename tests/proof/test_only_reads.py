"""``epoch_query`` and checks only read: what they would do through views, macros and texts made at bind time is proved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import epoch_sql.proof.reads
from epoch_sql.extension.registration import inner
from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

ACTING = (
    "SELECT nextval('sq')",
    "FROM acting",
    "FROM over_acting",
    "SELECT bump()",
    "SELECT bump_more()",
    "FROM sneaky()",
    "FROM over_sneaky",
    "FROM commits",
    "FROM file_and_bump",
    "FROM file, LATERAL (SELECT bump())",
    "SELECT (SELECT n FROM acting LIMIT 1)",
    "WITH w AS (SELECT bump() AS b) FROM w",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < bump()) FROM r",
    "SELECT list_transform([1], lambda x: nextval('sq'))",
    "SELECT sum(bump()) OVER () FROM t",
    "SELECT i FROM t ORDER BY bump()",
    "SELECT i FROM t GROUP BY i HAVING bump() > 0",
    "PIVOT acting ON i IN (1) USING sum(n)",
    "SELECT COLUMNS('n') FROM acting",
    "SELECT '\\xFF'::BLOB AS b, nextval('sq')",
    "FROM query('SELECT nextval(''sq'')')",
    "FROM query_table('acting')",
    "FROM query('SELECT 1 + ' || nextval('sq'))",
    "FROM query('SELECT 1 + ' || bump_more())",
    "FROM range(nextval('sq'))",
    "FROM repeat(1, bump())",
    "FROM query('FROM range(nextval(''sq''))')",
    "FROM bound",
    "FROM over_bound",
    "SELECT * FROM t WHERE i IN (FROM bound)",
    "WITH w AS (FROM main.bound) FROM w",
    "FROM bound_by_macro",
    "FROM bound_in_text",
    "FROM range(apart.upper(4))",
    "FROM range(apart.UP(4))",
    "FROM range(apart.epoch_tags())",
    "FROM range(far.bump_there())",
    "FROM scratch_bound",
    "FROM over_scratch",
    "FROM far.bound_there",
    "FROM far.main.bound_there",
    "PIVOT bound ON range USING count(*)",
    "FROM epoch_commit('x')",
    "FROM epoch_import_files(['x.csv'])",
    "FROM epoch_export('HEAD', 'x.csv', tables := ['t'])",
    "FROM epoch_branch('sneaky')",
    f"SELECT \"{inner('epoch_commit')}\"('x', NULL, NULL, NULL)",
    "SELECT setseed(0.5)",
    "SELECT write_log('x')",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "FROM enable_logging()",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT nextval(''sq'')'))",
    "INSERT INTO t VALUES (9, 'x') RETURNING i",
    "SELECT 1; DELETE FROM t",
    "WITH d AS (DELETE FROM t RETURNING *) FROM d",
    "COPY t TO '{folder}/canary'",
    "ATTACH '{folder}/canary'",
    "CALL epoch_commit('x')",
)
READING = (
    "FROM scratch_t",
    "FROM t JOIN scratch_t USING (i)",
    "FROM t",
    "FROM harmless",
    "FROM file",
    "FROM '{folder}/f.csv'",
    "FROM read_csv('{folder}/f.csv') JOIN t ON true",
    "FROM glob('{folder}/*.csv')",
    "FROM epoch_log()",
    "FROM epoch_at('HEAD', 't')",
    "FROM duckdb_tables()",
    "FROM information_schema.tables",
    "FROM range(3) JOIN t ON i = range",
    "SELECT random(), uuid(), now()::VARCHAR, current_setting('threads')",
    "PIVOT t ON v IN ('a') USING sum(i)",
    "SELECT list_transform([1], lambda x: x + twice(x))",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) FROM r",
    "SELECT *, row_number() OVER (ORDER BY i) FROM t QUALIFY true",
    "FROM t ASOF JOIN t u ON t.i >= u.i",
    "FROM t TABLESAMPLE 100%",
    "SELECT i IN (FROM range(3)), EXISTS (FROM t) FROM t",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repo, Path]]:
    folder = tmp_path_factory.mktemp("reads")
    repo = Repo(folder / "shop.duckdb")
    for statement in (
        "CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR)",
        "INSERT INTO t VALUES (1, 'a')",
        "CREATE SEQUENCE sq",
        f"COPY (SELECT 1 AS a) TO '{folder}/f.csv'",
        "CREATE MACRO twice(x) AS x * 2",
        "CREATE MACRO bump() AS nextval('sq')",
        "CREATE MACRO bump_more() AS bump() + 1",
        "CREATE MACRO sneaky() AS TABLE FROM epoch_branch('sneaky')",
        "CREATE VIEW acting AS SELECT nextval('sq') AS n, i FROM t",
        "CREATE VIEW over_acting AS SELECT n FROM acting",
        "CREATE VIEW commits AS FROM epoch_commit('by a view')",
        "CREATE VIEW over_sneaky AS FROM sneaky()",
        "CREATE MACRO bumped() AS TABLE FROM range(bump_more())",
        "CREATE VIEW bound AS FROM range(nextval('sq'))",
        "CREATE VIEW over_bound AS FROM bound WHERE range > 1",
        "CREATE VIEW bound_by_macro AS FROM bumped()",
        "CREATE VIEW bound_in_text AS FROM query('FROM range(nextval(''sq''))')",
        "CREATE VIEW scratch_bound AS FROM range(nextval('sq'))",
        "CREATE VIEW over_scratch AS FROM scratch_bound",
        "ATTACH ':memory:' AS far; CREATE SEQUENCE far.sq; CREATE VIEW far.bound_there AS FROM range(nextval('far.sq'))",
        "CREATE MACRO far.bump_there() AS nextval('far.sq')",
        "CREATE SCHEMA apart; CREATE TABLE scratch_t AS FROM t",
        "CREATE MACRO up(x) AS x; CREATE MACRO apart.upper(x) AS nextval('sq'); CREATE MACRO apart.UP(x) AS nextval('sq'); CREATE MACRO apart.epoch_tags() AS nextval('sq')",
        "CREATE VIEW apart.scratch_t AS FROM range(nextval('sq'))",
        "CREATE VIEW harmless AS SELECT i, twice(i) AS j, random() AS r FROM t",
        f"CREATE VIEW file AS FROM read_csv('{folder}/f.csv')",
        "CREATE VIEW file_and_bump AS SELECT *, nextval('sq') AS n FROM file",
        "CALL epoch_init()",
        "CALL epoch_ignore('scratch_*')",
    ):
        repo(statement)
    yield repo, folder
    repo.con.close()


def moved(repo: Repo) -> tuple[object, ...]:
    """What any of the acting queries would change."""
    return (
        repo("FROM epoch_log()"),
        repo("SELECT name FROM epoch_branches()"),
        repo("SELECT last_value FROM duckdb_sequences()"),
        repo("FROM t"),
        repo("SELECT name FROM epoch_checks()"),
        repo("FROM epoch_status()"),
    )


@pytest.mark.slow
@pytest.mark.older
def test_what_acts_is_refused_wherever_it_is_hidden(shop: tuple[Repo, Path]) -> None:
    repo, folder = shop
    before = moved(repo)
    for number, query in enumerate(ACTING):
        text = query.replace("{folder}", str(folder))
        for call, *parameters in (
            ("FROM epoch_query(?, ?)", ("WORKING", "HEAD")[number % 2], text),
            ("CALL epoch_check_add('hidden', ?)", text),
        ):
            with pytest.raises(duckdb.Error) as refused:
                repo(call, *parameters)
            assert "INTERNAL" not in str(refused.value), query
    assert moved(repo) == before
    assert not (folder / "canary").exists()


def test_what_reads_is_not(shop: tuple[Repo, Path]) -> None:
    repo, folder = shop
    for number, query in enumerate(READING):
        repo("FROM epoch_query(?, ?)", ("WORKING", "HEAD")[number % 2], query.replace("{folder}", str(folder)))


def test_queries_at_a_commit_are_proved_by_the_plan_that_is_bound(
    shop: tuple[Repo, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No text is followed instead, and no file of a state is opened to prove what it is read by."""
    repo, _ = shop
    texts: list[str] = []
    monkeypatch.setattr(epoch_sql.proof.reads, "_acts_as_written", lambda cursor, sql, *others: texts.append(sql))
    assert repo("FROM epoch_query('HEAD', 'FROM t JOIN harmless USING (i)')")
    assert repo("FROM epoch_query('HEAD', 'SELECT (SELECT max(j) FROM harmless), i IN (SELECT i FROM t) FROM main.t')")
    assert repo("FROM epoch_at('HEAD', 'harmless')")
    repo("CALL epoch_check_add('none', 'FROM harmless WHERE i < 0')")
    assert repo("SELECT passed FROM epoch_check_run('HEAD')") == [(True,)]
    repo("CALL epoch_check_remove('none')")
    with pytest.raises(duckdb.Error, match=r"nextval\(\) acts"):
        repo("FROM epoch_query('HEAD', 'FROM over_acting')")
    assert texts == []


def test_the_error_names_what_acts(shop: tuple[Repo, Path]) -> None:
    repo, _ = shop
    with pytest.raises(duckdb.Error, match=r"epoch_query only reads, but nextval\(\) acts"):
        repo("FROM epoch_query('HEAD', 'FROM over_acting')")
    with pytest.raises(duckdb.Error, match=r"epoch_branch\(\) acts"):
        repo("FROM epoch_query('WORKING', 'FROM sneaky()')")
    with pytest.raises(duckdb.Error, match=r"a check only reads, but nextval\(\) acts"):
        repo("CALL epoch_check_add('c', 'FROM over_acting')")


def test_a_check_whose_view_has_come_to_act_is_not_run(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); CREATE SEQUENCE sq; CREATE VIEW v AS FROM t WHERE i < 0")
    repo("CALL epoch_check_add('positive', 'FROM v')")
    repo("CALL epoch_checkout('feature', new_branch := true)")
    repo("CREATE OR REPLACE VIEW v AS SELECT nextval('sq') AS i FROM t")
    repo("INSERT INTO t VALUES (1)")
    repo.commit()
    ((name, passed, *_),) = repo("SELECT name, passed FROM epoch_check_run('feature')")
    assert (name, passed) == ("positive", False)
    repo("CALL epoch_checkout('main')")
    with pytest.raises(duckdb.Error, match=r"cannot be run: a check only reads, but nextval\(\) acts"):
        repo("CALL epoch_merge('feature')")
    assert repo("SELECT last_value FROM duckdb_sequences()") == [(None,)]
