"""``epoch_patch``: the statements, run one by one in a plain DuckDB database that holds the one state, give the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from epoch_sql.errors import UnsupportedType
from epoch_sql.render import identifier
from epoch_sql.storage.encoding import check_supported
from tests.conftest import MakeRepo
from tests.support.databases import apply, state

HOSTILE = '"Wei""rd. 🦆 select"'


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database without Epoch."""
    with duckdb.connect(str(tmp_path / "plain.duckdb")) as con:
        yield con


def check_both_ways(make_repo: MakeRepo, con: duckdb.DuckDBPyConnection, setup: str, change: str) -> list[str]:
    """The patches of a change and of its reversal, each on a plain database; the statements of the first."""
    repo = make_repo(setup)
    for statement in con.extract_statements(setup):
        con.execute(statement)
    before = state(con)
    for statement in repo.con.extract_statements(change):
        repo.con.execute(statement)
    after = state(repo.con)
    uncommitted = repo("SELECT statement FROM epoch_patch('HEAD', 'WORKING')")
    repo.commit()
    statements = apply(con, repo, "HEAD~1", "HEAD")
    assert [s for (s,) in uncommitted] == statements
    assert state(con) == after
    apply(con, repo, "HEAD", "HEAD~1")
    assert state(con) == before
    return statements


SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR UNIQUE, tags VARCHAR[]);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id), total DECIMAL(10,2));
CREATE TABLE items (order_id INTEGER REFERENCES orders (id), n INTEGER, PRIMARY KEY (order_id, n));
INSERT INTO customers VALUES (1, 'a', ['x']), (2, 'b', NULL), (3, 'c', []);
INSERT INTO orders VALUES (10, 1, 5.50), (11, 2, 7);
INSERT INTO items VALUES (10, 1), (10, 2), (11, 1);
"""
TREE = """
CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree (id), name VARCHAR);
INSERT INTO tree VALUES (1, NULL, 'root'); INSERT INTO tree VALUES (2, 1, 'left');
INSERT INTO tree VALUES (5, 2, 'leaf');
"""
BAG = """
CREATE TABLE bag (a INTEGER, b VARCHAR, c INTEGER[]);
INSERT INTO bag VALUES (1, 'x', [1]), (1, 'x', [1]), (1, 'x', [1]), (2, NULL, [NULL, 1]), (NULL, NULL, NULL);
"""
TYPES = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR DEFAULT 'q'); INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'b');"

CHANGES: dict[str, tuple[str, str]] = {
    "insert": (SHOP, "INSERT INTO customers VALUES (4, 'it''s', ['q'])"),
    "update of a referenced row": (SHOP, "UPDATE orders SET total = 6 WHERE id = 10"),
    "child moves to a new parent": (
        SHOP,
        "INSERT INTO customers VALUES (4, 'd', NULL); DELETE FROM items WHERE order_id = 11;"
        "UPDATE orders SET customer = 4 WHERE id = 11; INSERT INTO items VALUES (11, 1); DELETE FROM customers WHERE id = 2",
    ),
    "referenced row changes a nested value": (
        SHOP,
        "DELETE FROM items; DELETE FROM orders; UPDATE customers SET tags = ['y'];"
        "INSERT INTO orders VALUES (10, 1, 5.50)",
    ),
    "parents and children go": (SHOP, "DELETE FROM items WHERE order_id = 10; DELETE FROM orders WHERE id = 10"),
    "unique values change places": (
        "CREATE TABLE u (id INTEGER PRIMARY KEY, code INTEGER UNIQUE); INSERT INTO u VALUES (1, 1), (2, 2), (3, 3)",
        "UPDATE u SET code = 10 WHERE id = 1; UPDATE u SET code = 1 WHERE id = 2; UPDATE u SET code = 2 WHERE id = 1",
    ),
    "unique value is taken over from a removed row": (
        "CREATE TABLE u (id INTEGER PRIMARY KEY, code INTEGER); CREATE UNIQUE INDEX ux ON u (code);"
        "INSERT INTO u VALUES (1, 1), (2, 2)",
        "DELETE FROM u WHERE id = 1; INSERT INTO u VALUES (3, 1)",
    ),
    "rows of a tree": (
        TREE,
        "INSERT INTO tree VALUES (9, 5, 'x'); INSERT INTO tree VALUES (0, 9, 'y');"
        "UPDATE tree SET name = 'ROOT' WHERE id = 1",
    ),
    "a tree is moved": (
        TREE,
        "DELETE FROM tree WHERE id = 5; UPDATE tree SET parent = NULL WHERE id = 2; INSERT INTO tree VALUES (5, 2, 'leaf')",
    ),
    "copies": (
        BAG,
        "DELETE FROM bag; INSERT INTO bag VALUES (1, 'x', [1]), (2, NULL, [NULL, 1]), (2, NULL, [NULL, 1])",
    ),
    "a column with the name of row ids": (
        "CREATE TABLE r (rowid INTEGER, b INTEGER); INSERT INTO r VALUES (7, 1), (7, 1), (7, 1), (8, 2)",
        "DELETE FROM r WHERE b = 1; INSERT INTO r VALUES (7, 1)",
    ),
    "bag gets a column": (BAG, "ALTER TABLE bag ADD COLUMN d INTEGER DEFAULT 5; UPDATE bag SET d = 6 WHERE a = 2"),
    "bag loses a column": (BAG, "ALTER TABLE bag DROP COLUMN b; DELETE FROM bag WHERE a = 2"),
    "column added": (TYPES, "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7; UPDATE t SET c = 8 WHERE id = 2"),
    "column renamed": (TYPES, f"ALTER TABLE t RENAME COLUMN a TO {HOSTILE}; UPDATE t SET {HOSTILE} = 9 WHERE id = 1"),
    "column dropped": (TYPES, "ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (3, 3)"),
    "type widened": (
        TYPES,
        "ALTER TABLE t ALTER COLUMN a TYPE BIGINT; UPDATE t SET a = 9223372036854775807 WHERE id = 1",
    ),
    "type changed": (TYPES, "ALTER TABLE t ALTER COLUMN a TYPE VARCHAR; UPDATE t SET a = 'x' WHERE id = 1"),
    "default and comment": (
        TYPES,
        "ALTER TABLE t ALTER COLUMN b SET DEFAULT 'it''s'; COMMENT ON TABLE t IS 'a ''comment'''",
    ),
    "not null": (TYPES, "ALTER TABLE t ALTER COLUMN a SET NOT NULL"),
    "table renamed": (TYPES, f"ALTER TABLE t RENAME TO {HOSTILE}; DELETE FROM {HOSTILE} WHERE id = 1"),
    "tables change names": (
        TYPES + "CREATE TABLE u (x DATE); INSERT INTO u VALUES ('2020-01-01')",
        "ALTER TABLE t RENAME TO w; ALTER TABLE u RENAME TO t; ALTER TABLE w RENAME TO u",
    ),
    "table made and dropped": (TYPES, "CREATE TABLE made AS SELECT 1 AS a, 'x' AS b; DROP TABLE t"),
    "key made": (
        "CREATE TABLE k (a INTEGER, b INTEGER); INSERT INTO k VALUES (1, 1), (2, 2)",
        "DROP TABLE k; CREATE TABLE k (a INTEGER PRIMARY KEY, b INTEGER); INSERT INTO k VALUES (1, 1), (2, 3)",
    ),
    "generated column": (
        "CREATE TABLE g (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2)); INSERT INTO g VALUES (1, 1)",
        "UPDATE g SET a = 5; INSERT INTO g VALUES (2, 2)",
    ),
    "objects": (
        "CREATE TYPE mood AS ENUM ('sad', 'it''s'); CREATE SEQUENCE sq; CREATE SCHEMA \"S 1\";"
        "CREATE TABLE m (id INTEGER DEFAULT nextval('sq'), m mood); INSERT INTO m (m) VALUES ('sad');"
        "CREATE VIEW v AS SELECT * FROM m; CREATE VIEW vv AS SELECT id FROM v; CREATE MACRO plus(a, b := 1) AS a + b",
        "DROP VIEW vv; DROP VIEW v; CREATE VIEW v AS SELECT 1 AS one; DROP MACRO plus; CREATE MACRO plus(a) AS a + 2;"
        'CREATE MACRO rows_of() AS TABLE SELECT 1 AS x; CREATE TABLE "S 1".t (a INTEGER); INSERT INTO "S 1".t VALUES (1);'
        "CREATE SCHEMA s2; CREATE VIEW s2.v AS SELECT * FROM \"S 1\".t; INSERT INTO m (m) VALUES ('it''s')",
    ),
    "index": (SHOP, "CREATE INDEX ix ON items (n)"),
    "foreign key goes": (
        SHOP,
        "DROP TABLE items; DROP TABLE orders; CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, total DECIMAL(10,2));"
        "INSERT INTO orders VALUES (10, 99, 5.50)",
    ),
    "collation": (
        "CREATE TABLE c (name VARCHAR COLLATE NOCASE, n INTEGER); INSERT INTO c VALUES ('a', 1), ('A', 1), ('A', 1)",
        "DELETE FROM c WHERE rowid = 1",
    ),
    "intervals that count as equal": (
        "CREATE TABLE i (d INTERVAL); INSERT INTO i VALUES (INTERVAL 1 MONTH), (INTERVAL 30 DAY), (INTERVAL 720 HOUR)",
        "DELETE FROM i WHERE rowid = 1",
    ),
    "table below views": (
        TYPES
        + "CREATE VIEW v AS SELECT * FROM t; CREATE VIEW w AS SELECT b FROM v; CREATE VIEW gone AS SELECT a FROM t",
        "ALTER TABLE t RENAME COLUMN a TO z; ALTER TABLE t ADD COLUMN n INTEGER",
    ),
    "nothing": (TYPES, "CREATE TABLE unrelated (a INTEGER)"),
}


@pytest.mark.grid(every=8)
@pytest.mark.parametrize("name", CHANGES)
def test_a_patch_turns_one_state_into_the_other_and_back(
    name: str, make_repo: MakeRepo, plain: duckdb.DuckDBPyConnection
) -> None:
    check_both_ways(make_repo, plain, *CHANGES[name])


def test_views_over_changed_tables_can_be_read(make_repo: MakeRepo, plain: duckdb.DuckDBPyConnection) -> None:
    setup = TYPES + "CREATE VIEW v AS SELECT * FROM t; CREATE VIEW w AS SELECT * FROM v"
    check_both_ways(make_repo, plain, setup, "ALTER TABLE t ADD COLUMN n INTEGER")
    assert plain.execute("FROM w").fetchall() == [(1, 1, "a"), (2, 2, "b")]


def test_the_first_patch_builds_what_was_added_since(make_repo: MakeRepo, plain: duckdb.DuckDBPyConnection) -> None:
    repo = make_repo()
    repo(SHOP + TREE)
    repo.commit()
    repo("INSERT INTO items VALUES (11, 7)")
    apply(plain, repo, "HEAD~1", "WORKING")
    assert state(plain) == state(repo.con)


def test_values_of_every_type_are_exact(make_repo: MakeRepo, plain: duckdb.DuckDBPyConnection) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE bag (n INTEGER)")
    names = []
    for name, kind in repo("SELECT column_name, column_type FROM (DESCRIBE FROM test_all_types())"):
        try:
            check_supported(kind)
        except UnsupportedType:
            continue
        names.append(identifier(name))
    columns = ", ".join(names)
    assert len(names) > 45
    repo("DROP TABLE t; DROP TABLE bag; CREATE TABLE t (id INTEGER PRIMARY KEY)")
    repo(f"CREATE OR REPLACE TABLE bag AS SELECT {columns} FROM test_all_types()")
    kinds = repo("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'bag' ORDER BY column_index")
    declared = ", ".join(f"{identifier(name)} {kind}" for name, kind in kinds)
    repo(f"DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, {declared})")
    repo(f"INSERT INTO t SELECT row_number() OVER (), {columns} FROM test_all_types()")
    repo.commit()
    plain.execute("CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE bag (n INTEGER)")
    plain.execute("SET TimeZone = 'Asia/Kathmandu'")
    apply(plain, repo, "HEAD~1", "HEAD")
    assert state(plain) == state(repo.con)
    others = ", ".join(f"{name} = o.{name}" for name in names)
    repo(f"UPDATE t SET {others} FROM t AS o WHERE (t.id, o.id) IN ((1, 2), (2, 3), (3, 1))")
    repo("DELETE FROM bag WHERE rowid = 1")
    repo("INSERT INTO bag FROM bag LIMIT 1")
    repo.commit()
    plain.execute("SET TimeZone = 'America/St_Johns'")
    apply(plain, repo, "HEAD~1", "HEAD")
    assert state(plain) == state(repo.con)


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("seed", range(4))
def test_random_changes_of_related_rows(seed: int, make_repo: MakeRepo, plain: duckdb.DuckDBPyConnection) -> None:
    chance = random.Random(seed)
    repo = make_repo(SHOP + TREE + BAG)
    for statement in plain.extract_statements(SHOP + TREE + BAG):
        plain.execute(statement)
    for _ in range(3):
        for _ in range(25):
            attempt(repo.con, random_statement(chance))
        repo("CALL epoch_commit('change', allow_empty := true)")
        before = state(plain)
        apply(plain, repo, "HEAD~1", "HEAD")
        after = state(plain)
        assert after == state(repo.con)
        apply(plain, repo, "HEAD", "HEAD~1")
        assert state(plain) == before
        apply(plain, repo, "HEAD~1", "HEAD")


def attempt(con: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Runs a statement that constraints may refuse."""
    try:
        con.execute(statement)
    except duckdb.ConstraintException:
        return False
    return True


def random_statement(chance: random.Random) -> str:
    small, other = chance.randint(1, 6), chance.randint(1, 12)
    return chance.choice(
        [
            f"INSERT INTO customers VALUES ({small}, 'e{other}', ['t{other}', NULL])",
            f"UPDATE customers SET email = 'e{other}' WHERE id = {small}",
            f"UPDATE customers SET tags = ['{other}'] WHERE id = {small}",
            f"DELETE FROM customers WHERE id = {small}",
            f"INSERT INTO orders VALUES ({other + 9}, {small}, {other}.25)",
            f"UPDATE orders SET customer = {small} WHERE id = {other + 9}",
            f"UPDATE orders SET total = -{small} WHERE id = {other + 9}",
            f"DELETE FROM orders WHERE id = {other + 9}",
            f"INSERT INTO items VALUES ({other + 9}, {small})",
            f"DELETE FROM items WHERE order_id = {other + 9}",
            f"INSERT INTO tree VALUES ({other}, {small}, 'n{small}')",
            f"UPDATE tree SET parent = {small} WHERE id = {other}",
            f"UPDATE tree SET name = '{small}' WHERE id = {other}",
            f"DELETE FROM tree WHERE id = {other}",
            f"INSERT INTO bag VALUES ({small % 3}, NULL, [{small}])",
            f"DELETE FROM bag WHERE a = {small % 3}",
            f"UPDATE bag SET b = 'é''{small}' WHERE a = {small}",
        ]
    )


def test_one_table(make_repo: MakeRepo) -> None:
    repo = make_repo(SHOP)
    repo("UPDATE orders SET total = 6 WHERE id = 10; INSERT INTO customers VALUES (4, 'd', NULL)")
    assert repo("FROM epoch_patch('HEAD', 'WORKING', table_name := 'orders')") == [
        (1, "orders", "data", 'UPDATE "main"."orders" SET "total" = 6.00 WHERE "id" = 10')
    ]
    assert repo("FROM epoch_patch('HEAD', 'HEAD')") == []
    assert [row[1] for row in repo.columns("FROM epoch_patch('HEAD', 'HEAD')")] == ["BIGINT", *["VARCHAR"] * 3]


def test_a_table_that_others_hold_fast_has_no_patch_of_its_own(make_repo: MakeRepo) -> None:
    repo = make_repo(SHOP)
    repo(
        "DELETE FROM items; UPDATE orders SET customer = 3 WHERE id = 10; INSERT INTO items VALUES (10, 1), (10, 2), (11, 1)"
    )
    message = repo.refused("FROM epoch_patch('HEAD', 'WORKING', table_name := 'orders')")
    assert "EpochTableError: the table has to be rebuilt, and items refers to it" in message


def test_an_unknown_table_is_refused_with_suggestions(make_repo: MakeRepo) -> None:
    repo = make_repo(SHOP)
    assert "there is no table order in either side (hint: did you mean orders" in repo.refused(
        "FROM epoch_patch('HEAD', 'WORKING', table_name := 'order')"
    )
