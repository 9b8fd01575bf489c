"""``epoch_query``: any query, its text unchanged, sees every versioned table and view as of a reference."""

from __future__ import annotations

from collections.abc import Iterator

import pandas
import pytest

from tests.conftest import MakeRepo, Repo

SETUP = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER);
INSERT INTO orders VALUES (1, 10), (2, 20);
CREATE SCHEMA s;
CREATE TABLE s.orders (x VARCHAR);
INSERT INTO s.orders VALUES ('old');
CREATE TABLE "We""ird. t" ("a b" INTEGER);
INSERT INTO "We""ird. t" VALUES (5);
CREATE VIEW v AS SELECT *, 'lit;--' AS l FROM orders;
CREATE VIEW s.v("c(1") AS SELECT x FROM orders;
CREATE VIEW vv AS SELECT id, l, "c(1" FROM v JOIN s.v ON true;
CREATE MACRO biggest() AS (SELECT max(amount) FROM orders);
CREATE MACRO next(a) AS a + 1;
CREATE MACRO all_orders() AS TABLE FROM orders;
CREATE MACRO hidden() AS biggest();
"""
SINCE = """
UPDATE orders SET amount = amount * 100;
UPDATE s.orders SET x = 'new';
CREATE OR REPLACE VIEW v AS SELECT 1 AS one;
UPDATE "We""ird. t" SET "a b" = 0;
CREATE TABLE later (i INTEGER);
CREATE TABLE scratch (a INTEGER);
INSERT INTO scratch VALUES (9);
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A repository that the tests only read."""
    repo = Repo(tmp_path_factory.mktemp("query") / "shop.duckdb")
    fill(repo)
    yield repo
    repo.close()


def fill(repo: Repo) -> None:
    repo(SETUP)
    repo("CALL epoch_init()")
    repo("CALL epoch_ignore('scratch')")
    repo(SINCE)
    repo.commit()


BOTH = [(1, 10), (2, 20)]
ROWS: dict[str, tuple[str, list[tuple[object, ...]]]] = {
    "order is kept": ("SELECT * FROM orders ORDER BY id DESC", BOTH[::-1]),
    "any case": ("FROM ORDERS", BOTH),
    "the table's name qualifies columns": ("SELECT orders.id FROM orders", [(1,), (2,)]),
    "a schema qualifies columns": ("SELECT main.orders.id, shop.main.orders.amount FROM main.orders", BOTH),
    "a schema qualifies columns of an unqualified table": ("SELECT main.orders.amount FROM orders", [(10,), (20,)]),
    "database and schema": ("FROM shop.main.orders", BOTH),
    "database": ("FROM shop.orders", BOTH),
    "another schema": ("SELECT s.orders.x, amount FROM s.orders JOIN orders AS o ON o.id = 1", [("old", 10)]),
    "comments between the parts of a name": ('FROM MAIN . /* x */ "orders"', BOTH),
    "quoted with single quotes": ("FROM 'orders'", BOTH),
    "alias before": ("FROM o: orders SELECT o.id", [(1,), (2,)]),
    "alias before a qualified name": ("FROM o: main.orders SELECT o.id", [(1,), (2,)]),
    "alias with columns": ("SELECT a FROM orders AS o(a, b)", [(1,), (2,)]),
    "TABLE": ("TABLE orders", BOTH),
    "TABLE of a schema": ("TABLE s.orders", [("old",)]),
    "SUMMARIZE": ("SELECT max FROM (SUMMARIZE orders)", [("2",), ("20",)]),
    "SUMMARIZE of a schema": ("SELECT max FROM (SUMMARIZE s.orders)", [("old",)]),
    "DESCRIBE": ("SELECT column_name FROM (DESCRIBE v)", [("id",), ("amount",), ("l",)]),
    "PIVOT": ("PIVOT orders ON id IN (1, 2) USING sum(amount)", [(10, 20)]),
    "UNPIVOT": ("UNPIVOT orders ON amount INTO NAME n VALUE v", [(1, "amount", 10), (2, "amount", 20)]),
    "VALUES": ("VALUES (1), (2)", [(1,), (2,)]),
    "WITH shadows a table": ("WITH orders AS (SELECT amount + 1 AS a FROM orders) FROM orders", [(11,), (21,)]),
    "WITH shadows in any case": ("WITH O AS MATERIALIZED (FROM orders), oRDers AS (FROM o) FROM orders", BOTH),
    "WITH sees only what is before it": (
        "WITH x AS (FROM orders), orders AS (SELECT 7 AS id) SELECT x.amount, orders.id FROM x, orders",
        [(10, 7), (20, 7)],
    ),
    "WITH in a subquery": (
        "SELECT (WITH orders AS (SELECT 5 AS a) SELECT a FROM orders), count(*) FROM orders",
        [(5, 2)],
    ),
    "WITH beside a qualified name": (
        "WITH orders AS (SELECT 1 AS z) FROM orders, main.orders",
        [(1, 1, 10), (1, 2, 20)],
    ),
    "WITH of the name that stands for it": (
        'WITH "main.orders" AS (SELECT 1 AS z) FROM "main.orders", main.orders',
        [(1, 1, 10), (1, 2, 20)],
    ),
    "recursive": (
        "WITH RECURSIVE orders AS (SELECT max(amount) AS a FROM orders UNION ALL SELECT a + 1 FROM orders WHERE a < 22) "
        "FROM orders",
        [(20,), (21,), (22,)],
    ),
    "set operations": (
        "(SELECT id FROM orders) UNION ALL (SELECT amount FROM main.orders) ORDER BY 1",
        [(1,), (2,), (10,), (20,)],
    ),
    "correlated": ("SELECT (SELECT count(*) FROM orders x WHERE x.id <= orders.id) FROM orders", [(1,), (2,)]),
    "lateral": ("SELECT l.n FROM orders, LATERAL (SELECT orders.id + 1 AS n) AS l", [(2,), (3,)]),
    "subqueries": (
        "SELECT id FROM orders WHERE amount IN (SELECT amount FROM orders) AND EXISTS (FROM s.orders)",
        [(1,), (2,)],
    ),
    "self join": ("SELECT b.amount FROM orders a, orders b WHERE a.id + 1 = b.id", [(20,)]),
    "the row as a struct": ("SELECT o.amount FROM (SELECT orders AS o FROM orders)", [(10,), (20,)]),
    "view": ("FROM v", [(1, 10, "lit;--"), (2, 20, "lit;--")]),
    "view with named columns, in its own schema": ('SELECT "c(1" FROM s.v', [("old",)]),
    "view of views": ("FROM vv", [(1, "lit;--", "old"), (2, "lit;--", "old")]),
    "hostile name": ('SELECT "We""ird. t"."a b" FROM "We""ird. t"', [(5,)]),
    "hostile name of a schema": ('SELECT main."We""ird. t"."a b" FROM main."We""ird. t"', [(5,)]),
    "literals": (
        "SELECT 'from orders', $$main.orders$$, E'\\'orders', 'é😀' /* orders /* nested */ */ FROM main.orders LIMIT 1 -- orders",
        [("from orders", "main.orders", "'orders", "é😀")],
    ),
    "places count in characters": ("SELECT 'é😀' AS e, s.orders.x FROM s.orders", [("é😀", "old")]),
    "blanks, comments and semicolons around": (" ;;\n-- a\n SELECT id FROM orders; ; -- ; b", [(1,), (2,)]),
    "sample": ("SELECT count(*) FROM orders TABLESAMPLE 100%", [(2,)]),
    "macro without tables": ("SELECT next(amount) FROM orders", [(11,), (21,)]),
    "not versioned": ("FROM scratch", [(9,)]),
    "the system's": (
        "SELECT count(*) > 0 FROM duckdb_tables() WHERE EXISTS (FROM information_schema.tables)",
        [(True,)],
    ),
    "Epoch's": ("SELECT count(*) FROM epoch.commits", [(2,)]),
    "other functions": ("SELECT r.i, amount FROM range(3) AS r(i) JOIN orders ON i = id", [(1, 10), (2, 20)]),
}


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("name", ROWS)
def test_a_query_sees_the_tables_as_they_were(name: str, shop: Repo) -> None:
    sql, expected = ROWS[name]
    assert shop("FROM epoch_query('HEAD~1', ?)", sql) == expected


@pytest.mark.parametrize("name", ["view", "WITH shadows a table", "hostile name", "another schema"])
def test_on_the_working_tables_a_query_gives_what_it_gives_without_epoch(name: str, shop: Repo) -> None:
    sql = ROWS[name][0]
    assert shop("FROM epoch_query('WORKING', ?)", sql) == shop(sql)


def test_names_of_columns_are_those_of_the_query(shop: Repo) -> None:
    sql = 'SELECT count(*), main.orders.id + 1, (SELECT max(x.id) FROM orders x) AS "A b", (SELECT min(id) FROM orders) FROM main.orders GROUP BY ALL'
    here = [name for name, _ in shop.columns(sql)]
    there = [row[0] for row in shop("SELECT column_name FROM (DESCRIBE FROM epoch_query('HEAD~1', ?))", sql)]
    assert there[0] == here[0]
    assert there[2:] == here[2:]


REFUSED = {
    "DELETE FROM orders": "EpochQueryError: epoch_query reads; this is not a query",
    "CREATE TABLE x AS FROM orders": "EpochQueryError: epoch_query reads; this is not a query",
    "COPY orders TO 'x.csv'": "EpochQueryError: epoch_query reads; this is not a query",
    "SELECT 1; DROP TABLE orders": "EpochQueryError: epoch_query reads; this is not a query",
    "SELECT 1; SELECT 2": "EpochQueryError: epoch_query takes one statement, not 2",
    "FROM epoch_commit('x', allow_empty := true)": "EpochQueryError: epoch_commit acts, and a query only reads",
    "FROM orders WHERE id IN (SELECT 1 FROM EPOCH_Tag('x'))": "EpochQueryError: epoch_tag acts, and a query only reads",
    " -- nothing": "EpochQueryError: epoch_query takes one statement, not 0",
    "SELEC 1": 'EpochQueryError: the query is not SQL: syntax error at or near "SELEC"',
    "FROM later": "EpochTableError: there is no table later in HEAD~1",
    "FROM order_s": "EpochTableError: there is no table order_s in HEAD~1 (hint: did you mean orders",
    "WITH x AS (FROM later), later AS (SELECT 1) FROM x": "EpochTableError: there is no table later in HEAD~1",
    "SELECT * FROM (WITH later AS (SELECT 1) FROM later), later": "EpochTableError: there is no table later in HEAD~1",
    "FROM zz.orders": "EpochTableError: there is no table zz.orders in HEAD~1",
    "SELECT biggest()": "EpochQueryError: macro biggest reads tables",
    "SELECT Hidden()": "EpochQueryError: macro hidden reads tables",
    "FROM all_orders()": "EpochQueryError: macro all_orders reads tables",
    "FROM query('FROM orders')": "EpochQueryError: query() cannot be read as of HEAD~1",
    "FROM query_table('orders')": "EpochQueryError: query_table() cannot be read as of HEAD~1",
    "SHOW TABLES": "EpochQueryError: SHOW cannot be read as of HEAD~1",
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_no_query_of_versioned_tables_is_refused(sql: str, shop: Repo) -> None:
    message = shop.refused("FROM epoch_query('HEAD~1', ?)", sql)
    assert REFUSED[sql] in message
    assert "hint: " in message.splitlines()[0]


def test_views_and_prepared_statements_may_use_it(make_repo: MakeRepo) -> None:
    shop = make_repo(init=False)
    fill(shop)
    shop("CREATE VIEW before AS FROM epoch_query('HEAD~1', 'SELECT sum(amount) AS total FROM orders')")
    assert shop("FROM before") == [(30,)]
    shop("PREPARE total AS SELECT sum(id) FROM epoch_query('HEAD', 'FROM orders')")
    shop("INSERT INTO orders VALUES (3, 3)")
    shop.commit()
    assert shop("EXECUTE total") == [(6,)]


BESIDE = """
CREATE TABLE shadowed (x VARCHAR);
INSERT INTO shadowed VALUES ('versioned');
CREATE SCHEMA mart;
CREATE TABLE mart.sales (id INTEGER, amount INTEGER);
INSERT INTO mart.sales VALUES (1, 10), (2, 20);
CREATE VIEW seen AS FROM mart.sales;
CREATE TABLE gone (i INTEGER);
INSERT INTO gone VALUES (3);
CALL epoch_init();
CALL epoch_ignore('scratch');
UPDATE mart.sales SET amount = 0;
DROP TABLE gone;
CREATE TABLE later (i INTEGER);
CALL epoch_commit('since');
CREATE TABLE scratch AS SELECT 1 AS id, 'ignored' AS x;
CREATE TEMP TABLE keep AS SELECT 1 AS id;
CREATE TEMP TABLE shadowed AS SELECT 'temporary' AS x;
CREATE TEMP VIEW constant AS SELECT 1 AS id;
CREATE TEMP VIEW live AS FROM shop.mart.sales;
ATTACH ':memory:' AS elsewhere;
CREATE SCHEMA elsewhere.mart;
CREATE TABLE elsewhere.mart.sales AS SELECT 6 AS id;
CREATE TABLE elsewhere.own AS SELECT 5 AS id;
"""
FIRST = [(1, 10)]
BESIDES: list[tuple[str, str, list[tuple[object, ...]] | str]] = [
    ("main", "FROM mart.sales JOIN keep USING (id)", FIRST),
    ("main", "FROM mart.sales JOIN temp.keep USING (id)", FIRST),
    ("main", "FROM mart.sales JOIN temp.main.keep USING (id)", FIRST),
    ("main", "FROM mart.sales JOIN constant USING (id)", FIRST),
    ("main", "FROM mart.sales JOIN frame USING (id)", FIRST),
    ("main", "FROM mart.sales JOIN variable USING (id)", FIRST),
    ("main", "FROM mart.sales JOIN scratch USING (id)", [(1, 10, "ignored")]),
    ("main", "FROM mart.sales JOIN elsewhere.own ON own.id = 5 ORDER BY ALL", [(1, 10, 5), (2, 20, 5)]),
    ("main", "SELECT * FROM mart.sales POSITIONAL JOIN keep", [(1, 10, 1), (2, 20, None)]),
    ("main", "FROM mart.sales WHERE EXISTS (FROM keep WHERE keep.id = sales.id)", FIRST),
    ("main", "WITH keep AS (SELECT 2 AS id) FROM mart.sales JOIN keep USING (id)", [(2, 20)]),
    ("main", "FROM mart.sales QUALIFY row_number() OVER (ORDER BY id) = 1", FIRST),
    ("main", "FROM seen ORDER BY ALL", [(1, 10), (2, 20)]),
    ("main", "FROM shadowed", [("temporary",)]),
    ("main", "FROM main.shadowed", [("versioned",)]),
    ("main", "FROM gone", [(3,)]),
    ("main", "FROM live", "live reads mart.sales, which it would read as it is now"),
    ("main", "FROM later", "there is no table later"),
    ("main", "FROM nowhere", "there is no table nowhere"),
    ("main", "FROM sales", "did you mean mart.sales?"),
    ("main", "PIVOT mart.sales ON id IN (1, 2) USING sum(amount)", [(10, 20)]),
    ("main", "PIVOT mart.sales ON id USING sum(amount)", [(10, 20)]),
    ("mart", "PIVOT sales ON id USING sum(amount)", [(10, 20)]),
    ("mart", "FROM sales ORDER BY ALL", [(1, 10), (2, 20)]),
    ("mart", "FROM sales JOIN keep USING (id)", FIRST),
    ("mart", "FROM gone", [(3,)]),
    ("mart", "FROM seen ORDER BY ALL", [(1, 10), (2, 20)]),
    ("elsewhere", "FROM own", [(5,)]),
    ("elsewhere", "FROM mart.sales", [(6,)]),
    ("elsewhere", "FROM shop.mart.sales ORDER BY ALL", [(1, 10), (2, 20)]),
    ("elsewhere", "FROM shop.seen ORDER BY ALL", [(1, 10), (2, 20)]),
    ("elsewhere", "FROM shop.gone", [(3,)]),
    ("elsewhere", "FROM gone", "there is no table gone"),
]


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A repository beside what is not versioned."""
    repo = Repo(tmp_path_factory.mktemp("beside") / "shop.duckdb")
    repo(BESIDE)
    repo.con.register("frame", pandas.DataFrame({"id": [1]}))
    yield repo
    repo.close()


@pytest.mark.grid(every=4)
@pytest.mark.core
@pytest.mark.parametrize(("schema", "sql", "expected"), BESIDES, ids=[f"{s}: {q}" for s, q, _ in BESIDES])
def test_names_mean_what_they_mean_to_the_caller(
    schema: str, sql: str, expected: list[tuple[object, ...]] | str, beside: Repo
) -> None:
    variable = pandas.DataFrame({"id": [1]})
    place = schema if schema == "elsewhere" else f"shop.{schema}"
    beside(f"USE {place}")
    call = "FROM shop.main.epoch_query('HEAD~1', ?)"
    if isinstance(expected, str):
        assert expected in beside.refused(call, sql)
    else:
        assert beside.con.execute(call, [sql]).fetchall() == expected
    del variable


@pytest.mark.core
def test_a_view_of_it_follows_what_is_chosen_where_it_is_read(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t AS SELECT 1 AS i; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 2 AS i")
    repo("CREATE TEMP VIEW past AS FROM shop.main.epoch_query('HEAD', 'FROM t')")
    repo("PREPARE past AS FROM shop.main.epoch_query('HEAD', 'FROM t')")
    assert repo("FROM past") == repo("EXECUTE past") == [(1,)]
    repo("USE s")
    assert repo("FROM past") == [(2,)]
