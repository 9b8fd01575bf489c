"""``EXPORT DATABASE`` writes a repository that a client without Epoch imports again."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql.extension.index import OWN_MACROS
from epoch_sql.extension.surface import VERBS
from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

SQL = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE SCHEMA "od d";
CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR CHECK (a <> 'x'), m mood, l STRUCT(n INTEGER, s VARCHAR)[]);
CREATE TABLE "od d"."ba g" (d DECIMAL(5, 2), "t im" TIMESTAMPTZ, span INTERVAL);
CREATE VIEW v AS SELECT id, upper(a) AS a FROM t;
CREATE MACRO twice(n, factor := 2) AS n * factor;
INSERT INTO t SELECT i, CASE i % 3 WHEN 0 THEN 'a,"' WHEN 1 THEN '' END, 'glad', [{'n': i, 's': NULL}] FROM range(40) AS r(i);
INSERT INTO "od d"."ba g" VALUES (1.25, '2026-01-01 12:00:00+02', INTERVAL 3 MONTH), (NULL, NULL, NULL), (NULL, NULL, NULL)
"""
ANSWERS = (
    "FROM epoch_log()",
    "FROM epoch_status()",
    "FROM epoch_diff('main', 'other') ORDER BY ALL",
    "FROM epoch_diff('HEAD', 'WORKING') ORDER BY ALL",
    "FROM epoch_at('other', 't') ORDER BY ALL",
    "FROM epoch_query('main', 'SELECT * FROM v ORDER BY ALL')",
    "SELECT name, commit_id FROM epoch_branches() UNION ALL SELECT name, commit_id FROM epoch_tags() ORDER BY ALL",
    "FROM epoch_fsck()",
)


def answers(con: duckdb.DuckDBPyConnection) -> list[object]:
    return [con.execute(query).fetchall() for query in ANSWERS]


def exported(make_repo: MakeRepo) -> Repo:
    repo = make_repo(SQL)
    for statement in (
        "CALL epoch_checkout('other', new_branch := true)",
        "UPDATE t SET a = 'b' WHERE id < 4",
        "CALL epoch_ignore('scratch*')",
        "CALL epoch_commit('it''s, \"quoted\"')",
        "CALL epoch_tag('v1')",
        "CALL epoch_checkout('main')",
        "DELETE FROM t WHERE id > 35",
    ):
        repo(statement)
    return repo


def test_a_repository_is_imported_by_a_client_without_epoch(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = exported(make_repo)
    told = answers(repo.con)
    repo(f"EXPORT DATABASE '{tmp_path}/dump' (FORMAT parquet)")
    repo.close()
    file = tmp_path / "to" / "shop.duckdb"
    file.parent.mkdir()
    with duckdb.connect(str(file)) as plain:
        plain.execute(f"IMPORT DATABASE '{tmp_path}/dump'")
        made = "SELECT function_name FROM duckdb_functions() WHERE function_name LIKE 'epoch\\_%' ESCAPE '\\' AND NOT internal"
        assert {name for (name,) in plain.execute(made).fetchall()} == OWN_MACROS
        for verb in VERBS:
            required = ", ".join("NULL" for parameter in verb.parameters if parameter.default is None)
            with pytest.raises(duckdb.Error, match=f"{verb.name}(_asks)? of the python package epoch-sql .pip install"):
                plain.execute(f"FROM {verb.name}({required})").fetchall()
        assert plain.execute("SELECT count(*), twice(4) FROM v").fetchall() == [(36, 8)]
    with epoch_sql.connect(file) as con:
        assert con.execute("FROM epoch_log()").fetchall() == told[0]
        with pytest.raises(
            duckdb.Error, match=rf"copy the folder \.epoch to {file.parent} from where the database was"
        ):
            con.execute("FROM epoch_at('other', 't')")
    shutil.copytree(repo.path.parent / ".epoch", file.parent / ".epoch")
    with epoch_sql.connect(file) as con:
        assert answers(con) == told
        con.execute("CALL epoch_commit('on')").fetchall()
        con.execute("CALL epoch_merge('other')").fetchall()
        assert con.execute("SELECT count(*) FROM t WHERE a = 'b'").fetchone() == (4,)


def test_a_connection_with_the_import_is_given_the_functions(make_repo: MakeRepo, tmp_path: Path) -> None:
    """In one process, from the CSV files that DuckDB writes by default."""
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR); INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    repo("UPDATE t SET a = 'y, \"z\"' WHERE id = 1; CALL epoch_commit('a, \"b\"')")
    told = repo("FROM epoch_log()")
    repo(f"EXPORT DATABASE '{tmp_path}/dump'")
    with duckdb.connect(str(repo.path.with_name("new.duckdb"))) as con:
        con.execute(f"IMPORT DATABASE '{tmp_path}/dump'")
        epoch_sql.install(con)
        assert con.execute("FROM epoch_log()").fetchall() == told
        assert con.execute("FROM epoch_status()").fetchall() == []
        assert con.execute("SELECT a FROM epoch_at('HEAD~1', 't') ORDER BY id").fetchall() == [("x",), (None,)]
