"""``epoch_query`` of PIVOT without IN: the columns and rows that DuckDB gives for the same statement on such tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import duckdb
import pytest

from tests.conftest import Repo

pytestmark = pytest.mark.core

SETUP = """
CREATE SCHEMA mart;
CREATE TABLE mart.sales (
    id INTEGER, amt INTEGER, k VARCHAR, day DATE, "o n" DOUBLE, l INTEGER[], s STRUCT(a INTEGER), e ENUM ('z', 'a')
);
CREATE TABLE moments AS SELECT 1 AS id, TIMESTAMPTZ '2024-01-01 12:00:00+00' AS ts;
INSERT INTO mart.sales VALUES
    (1, 10, 'b', '2024-01-01', 1.5, [1], {'a': 1}, 'z'),
    (2, 20, 'a', '2024-01-02', NULL, [2, NULL], {'a': NULL}, 'a'),
    (NULL, 5, NULL, NULL, 2, NULL, NULL, NULL),
    (10, 3, 'it''s', '2024-01-01', 1.5, [1], {'a': 1}, 'z');
CREATE TABLE orders AS SELECT i AS id, i % 3 AS g, i * 2 AS n FROM range(9) AS r(i);
CREATE VIEW v AS SELECT *, amt > 5 AS big FROM mart.sales;
CREATE VIEW wide AS FROM (PIVOT orders ON g IN (0, 1) USING sum(n) GROUP BY id);
CREATE TABLE nothing (a INTEGER, b INTEGER);
CREATE MACRO twice(x) AS x * 2;
CALL epoch_init();
"""
SINCE = """
UPDATE mart.sales SET id = 77, k = 'new', amt = 99, e = NULL;
UPDATE orders SET g = 50;
INSERT INTO nothing VALUES (1, 1);
CREATE OR REPLACE VIEW v AS SELECT 1 AS one;
CALL epoch_commit('since');
"""
QUERIES = (
    "PIVOT mart.sales ON id USING sum(amt)",
    "PIVOT mart.sales ON k USING sum(amt)",
    "PIVOT_WIDER shop.mart.sales ON id USING sum(amt) GROUP BY k",
    "SELECT * FROM (PIVOT mart.sales ON id, k USING sum(amt), count(*) AS n GROUP BY day)",
    "PIVOT mart.sales ON (id, k) USING sum(amt)",
    "PIVOT mart.sales ON id > 1 USING sum(amt) GROUP BY k",
    "PIVOT mart.sales ON amt * 1.5, day USING max(amt) GROUP BY id ORDER BY id LIMIT 2",
    "PIVOT mart.sales ON day",
    *(f"PIVOT mart.sales ON {one} USING count(*) GROUP BY id" for one in ('"o n"', "l", "s", "e")),
    "PIVOT moments ON ts USING count(*)",
    "WITH x AS (FROM orders) PIVOT x ON g USING sum(n)",
    "WITH orders AS (SELECT g AS h, n FROM orders), y(a, b) AS NOT MATERIALIZED (FROM orders) PIVOT y ON a USING sum(b)",
    "FROM (WITH y AS (FROM orders) PIVOT y ON g USING count(*) GROUP BY id)",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) PIVOT r ON i USING count(*)",
    "WITH a AS (PIVOT mart.sales ON amt USING count(*) GROUP BY day) FROM (WITH b AS (PIVOT orders ON g) FROM b), a",
    'PIVOT (PIVOT orders ON g USING sum(n) GROUP BY id) ON id USING max("1")',
    "PIVOT v ON big USING sum(amt) GROUP BY k",
    'PIVOT wide ON id USING max("1")',
    "PIVOT (SELECT g, n FROM orders JOIN mart.sales ON orders.id = sales.id) ON g USING sum(n)",
    "PIVOT orders JOIN mart.sales USING (id) ON g USING sum(n) GROUP BY k",
    "PIVOT orders o JOIN mart.sales s ON o.id = s.id ON g USING sum(n) GROUP BY k",
    "FROM orders WHERE EXISTS (FROM (PIVOT mart.sales ON id USING max(amt)))",
    "SELECT (SELECT count(*) FROM (PIVOT orders ON id)) AS many, * FROM (PIVOT orders ON g)",
    "FROM (PIVOT orders ON g USING sum(n) GROUP BY id) SELECT * EXCLUDE id WHERE id < 3",
    "(PIVOT orders ON g GROUP BY id) UNION ALL (PIVOT orders ON g USING sum(n) GROUP BY id)",
    "PIVOT orders ON g IN (0, 2), id USING sum(n)",
    "PIVOT orders ON g /* IN, */ -- ON y\n USING sum(n) -- ON z, w\n",
    "PIVOT orders ON CASE WHEN g = 1 THEN 'a, b' ELSE 'ON' END USING sum(n) GROUP BY id",
    "PIVOT orders ON twice(g) USING sum(n) GROUP BY id",
    "PIVOT orders ON id // 3 || '_' || g USING first(n), last(n) FILTER (n > 3)",
    "PIVOT orders ON g IN (FROM (VALUES ('2'), ('0'))) USING sum(n)",
    "PIVOT orders ON g IN (SELECT DISTINCT g::VARCHAR FROM orders ORDER BY 1 DESC) USING sum(n)",
    "PIVOT nothing ON a",
    "PIVOT nothing ON a USING sum(b) GROUP BY b",
    "PIVOT (SELECT NULL::INTEGER AS a, 1 AS b) ON a USING count(*), sum(a) GROUP BY b ORDER BY b",
    "PIVOT (FROM range(4) AS r(i)) ON i USING sum(i)",
    "FROM orders PIVOT (sum(n) FOR g IN (0, 1) id IN (1, 2))",
    "SUMMARIZE (PIVOT orders ON g USING sum(n))",
    "UNPIVOT orders ON g, n",
    "UNPIVOT (PIVOT orders ON g USING sum(n)) ON COLUMNS(* EXCLUDE id)",
    "FROM mart.sales UNPIVOT (v FOR n IN (id, amt))",
)


class Given(NamedTuple):
    """What a query gives: columns with their types, and rows."""

    columns: list[tuple[str, str]]
    rows: list[str]


class Shop(NamedTuple):
    """A repository that has gone on, and what DuckDB gave for each query before."""

    repo: Repo
    before: dict[str, Given]


def given(repo: Repo, sql: str, *values: object) -> Given:
    cursor = repo.con.execute(sql, values)
    columns = [(name, str(kind)) for name, kind, *_ in cursor.description or ()]
    return Given(columns, sorted(map(repr, cursor.fetchall())))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    repo = Repo(tmp_path_factory.mktemp("pivot") / "shop.duckdb")
    repo.con.execute(SETUP)
    before = {sql: given(repo, sql) for sql in QUERIES}
    repo.con.execute(SINCE)
    yield Shop(repo, before)
    repo.close()


@pytest.mark.grid(every=5)
@pytest.mark.parametrize("sql", QUERIES)
def test_it_gives_what_duckdb_gives_for_such_tables(sql: str, shop: Shop) -> None:
    assert given(shop.repo, "FROM epoch_query('HEAD~1', ?)", sql) == shop.before[sql]


def test_columns_follow_the_reference(shop: Shop) -> None:
    columns = [name for name, _ in given(shop.repo, "FROM epoch_query('HEAD', 'PIVOT orders ON g')").columns]
    assert columns == ["id", "n", "50"]


def test_names_mean_what_they_mean_to_the_caller(shop: Shop) -> None:
    cursor = shop.repo.con.cursor()
    cursor.execute("USE shop.mart; CREATE TEMP TABLE keep AS SELECT 1 AS id")
    rows = cursor.execute(
        "FROM epoch_query('HEAD~1', 'FROM (PIVOT sales ON day USING sum(amt) GROUP BY id) JOIN keep USING (id)')"
    )
    assert rows.fetchall() == [(1, 10, None)]


REFUSED = {
    "PIVOT keep ON id": "keep is not versioned",
    "PIVOT orders JOIN keep USING (id) ON g": "keep is not versioned",
    "WITH k AS (FROM keep) PIVOT k ON id": "keep is not versioned",
    "PIVOT later ON id": "there is no table later",
    "PIVOT (FROM query('FROM orders')) ON g": r"query\(\) cannot be read",
    "PIVOT (SELECT epoch_commit('x') AS g FROM orders) ON g": "epoch_commit acts",
    "PIVOT (SELECT nextval('counter') AS g FROM orders) ON g": r"nextval\(\) acts",
    "PIVOT orders ON nextval('counter') + g": r"nextval\(\) acts",
    "PIVOT orders ON no": 'column "no" not found',
    "PIVOT orders ON random() > 2 USING sum(n)": r"Cannot pivot on constant value \"\(random\(\) > 2\)",
    "PIVOT orders ON g USING": "the query is not SQL",
    "PIVOT orders ON g; PIVOT orders ON id": "takes one statement, not 2",
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("sql", REFUSED)
def test_what_it_cannot_read_is_refused(sql: str, shop: Shop) -> None:
    shop.repo("CREATE OR REPLACE TEMP TABLE keep AS SELECT 1 AS id")
    shop.repo("CREATE OR REPLACE TEMP SEQUENCE counter")
    with pytest.raises(duckdb.Error, match=REFUSED[sql]):
        shop.repo("FROM epoch_query('HEAD', ?)", sql)


def test_the_working_tables_may_have_uncommitted_changes(shop: Shop) -> None:
    with pytest.raises(duckdb.Error, match="run the query without epoch_query"):
        shop.repo("FROM epoch_query('WORKING', 'PIVOT orders ON g')")


def test_values_that_are_written_otherwise_for_the_caller_are_told(shop: Shop) -> None:
    cursor = shop.repo.con.cursor()
    cursor.execute("SET TimeZone = 'Asia/Kathmandu'")
    with pytest.raises(duckdb.Error, match="name the values"):
        cursor.execute("FROM epoch_query('HEAD~1', 'PIVOT moments ON ts USING count(*)')").fetchall()
