"""A published file reads the views of every reference as they were there, without Python."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo
from tests.publish.test_publish import published, read

pytestmark = pytest.mark.core

START = """
    CREATE SCHEMA "o'd";
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR, amount DECIMAL(10, 2));
    INSERT INTO orders VALUES (1, 'Ada', 1.5), (2, 'it''s', 2), (3, 'Bo', 4);
    CREATE TABLE "o'd"."my t;" AS SELECT 1 AS id, '{{name}}' AS "a b";
    CREATE VIEW totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
    CREATE VIEW "o'd"."big ones" (who, "how much") AS SELECT customer, total FROM main.totals WHERE total > 1.5;
    CREATE VIEW "o'd".own AS SELECT t.*, '{{rows}}' AS hostile FROM "o'd"."my t;" AS t;
    CREATE VIEW joined AS WITH orders AS (SELECT id, customer FROM main.orders)
        SELECT big.who, orders.id, own.hostile, '}}' AS x FROM "o'd"."big ones" AS big JOIN orders ON customer = who
        JOIN "o'd".own AS own USING (id);
    CREATE VIEW pivoted AS PIVOT orders ON customer IN ('Ada', 'Bo') USING sum(amount);
    CREATE VIEW constant AS SELECT 1 AS one
"""
QUOTED = '"o\'d"."my t;"'
VIEWS = ("totals", '"o\'d"."big ones"', '"o\'d".own', "joined", "pivoted", "constant")


def same(repo: Repo, file: Path, ref: str, view: str) -> None:
    """The view of a published file has the columns and rows that the package reads."""
    truth = repo.con.sql("FROM epoch_at(?, ?)", params=[ref, view])
    with duckdb.connect(str(file), read_only=True) as con:
        found = con.sql("FROM epoch_at(?, ?)", params=[ref, view])
        assert (found.columns, [*map(str, found.types)]) == (truth.columns, [*map(str, truth.types)])
        assert sorted(map(repr, found.fetchall())) == sorted(map(repr, truth.fetchall()))


def test_views_of_each_reference(make_repo: MakeRepo) -> None:
    repo = make_repo(START)
    repo("CALL epoch_tag('v1')")
    repo("UPDATE orders SET amount = 10 WHERE id = 3; INSERT INTO orders VALUES (4, 'Cy', 1)")
    repo.commit()
    repo("CREATE OR REPLACE VIEW totals AS SELECT id::VARCHAR AS customer, 2 AS total FROM orders; DROP VIEW constant")
    repo('CREATE VIEW recent AS FROM totals WHERE total = 2; DROP TABLE "o\'d"."my t;"')
    repo('CREATE VIEW "o\'d"."my t;" AS SELECT 2 AS id, \'a view now\' AS b')
    repo.commit()
    repo("CALL epoch_publish(refs := ['main', 'v1'])")
    for name in ("main", "v1"):
        file = published(repo) / f"{name}.duckdb"
        for ref in ("main", "v1", repo("SELECT commit_id FROM epoch_log() LIMIT 1 OFFSET 1")[0][0]) * (name == "main"):
            for view in VIEWS[: -1 if ref == "main" else None]:
                same(repo, file, ref, view)
        same(repo, file, "v1", QUOTED)
    file = published(repo) / "main.duckdb"
    same(repo, file, "main", "RECENT")
    same(repo, file, "main", "main.recent")
    same(repo, file, "main", QUOTED)
    for gone in ("FROM epoch_at('main', 'constant')", "FROM epoch_at('v1', 'recent')"):
        with pytest.raises(duckdb.Error, match="there is no table or view"):
            read(file, gone)
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{file}' AS shop (READ_ONLY)")
        counted = con.execute("SELECT count(*) FROM shop.epoch_at('v1', 'joined')").fetchall()
        assert counted == repo("SELECT count(*) FROM epoch_at('v1', 'joined')")


def test_views_that_only_the_package_reads(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t AS SELECT 1 AS i; CREATE TYPE mood AS ENUM ('sad'); CREATE MACRO twice(x) AS x * 2"
    )
    repo("CREATE MACRO rows_of() AS TABLE SELECT 1 AS a; CREATE TABLE ignored AS SELECT 1 AS a")
    repo("CALL epoch_ignore('ignored')")
    reasons = {
        "calls": ("SELECT twice(i) FROM t", "it calls macro twice"),
        "rows": ("FROM Rows_Of()", "it calls macro rows_of"),
        "typed": ("SELECT 'sad'::MOOD AS m, [NULL]::mood[] AS l", "it uses type mood"),
        "nested": ("SELECT NULL::STRUCT(m mood) AS m", "it uses type mood"),
        "past": ("FROM epoch_at('main', 't')", "it calls epoch_at"),
        "file": ("FROM read_csv('/etc/passwd')", "it calls read_csv()"),
        "unversioned": ("FROM ignored", "it reads ignored, which is not of its commit"),
        "catalog": ("SELECT table_name FROM duckdb_tables()", "it calls duckdb_tables()"),
        "described": ("SELECT table_name FROM information_schema.tables", "it reads tables, which"),
    }
    for name, (sql, _) in reasons.items():
        repo(f"CREATE VIEW {name} AS {sql}")
    repo("CREATE VIEW over AS FROM calls")
    repo.commit()
    repo("CALL epoch_publish()")
    for name, (_, reason) in reasons.items():
        with pytest.raises(duckdb.Error) as refused:
            read(published(repo) / "main.duckdb", f"DESCRIBE FROM epoch_at('main', '{name}')")
        assert f"view {name} cannot be read in this file: {reason}" in str(refused.value)
    with pytest.raises(duckdb.Error, match="view calls cannot be read in this file: it calls macro twice"):
        read(published(repo) / "main.duckdb", "FROM epoch_at('main', 'over')")
    assert read(published(repo) / "main.duckdb", "FROM epoch_at('main', 't')") == [(1,)]


def test_each_text_is_there_once(make_repo: MakeRepo) -> None:
    """A view over a table with thousands of files does not repeat their names for each commit and view."""
    repo = make_repo(START)
    for number in range(3):
        repo(f"INSERT INTO orders VALUES ({number + 10}, 'x', 1)")
        repo.commit()
    repo("CALL epoch_publish()")
    ((macro,),) = read(
        published(repo) / "main.duckdb",
        "SELECT macro_definition FROM duckdb_functions() WHERE function_name = 'epoch_at'",
    )
    files = repo("SELECT file_id FROM epoch.files")
    assert max(macro.count(file_id) for (file_id,) in files) == 1
