"""Whatever was done to the database is noticed, counted, committed, and comes back exactly.

Each scenario runs in both directions: the status counts it, a commit holds it, ``epoch_at`` reads it, the difference says
the same, a checkout takes it back and brings it again.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo
from tests.support.databases import Picture, picture

SHOP = """
    CREATE TABLE orders (id INTEGER PRIMARY KEY, item VARCHAR, amount INTEGER);
    INSERT INTO orders VALUES (1, 'pen', 10), (2, 'cup', 20), (3, 'hat', 30);
    CREATE TABLE log (day INTEGER, what VARCHAR);
    INSERT INTO log VALUES (1, 'in'), (1, 'in'), (2, NULL);
    CREATE TABLE stock (id INTEGER PRIMARY KEY);
    INSERT INTO stock VALUES (1), (2);
"""
ORDERS, LOG, STOCK = "orders", "log", "stock"

Status = tuple[str, str, int, int, int]


def modified(table: str, added: int, changed: int, removed: int) -> Status:
    return (table, "modified", added, changed, removed)


def schema(table: str, added: int = 0, changed: int = 0, removed: int = 0) -> Status:
    return (table, "schema", added, changed, removed)


ROWS: dict[str, list[Status]] = {
    "INSERT INTO orders VALUES (4, 'bag', 40)": [modified(ORDERS, 1, 0, 0)],
    "UPDATE orders SET amount = 11 WHERE id = 1": [modified(ORDERS, 0, 1, 0)],
    "UPDATE orders SET item = NULL WHERE id = 1": [modified(ORDERS, 0, 1, 0)],
    "DELETE FROM orders WHERE id = 2": [modified(ORDERS, 0, 0, 1)],
    "UPDATE orders SET id = 9 WHERE id = 3": [modified(ORDERS, 1, 0, 1)],
    """MERGE INTO orders USING (VALUES (1, 'pen', 99), (7, 'box', 70)) AS new(id, item, amount) ON orders.id = new.id
       WHEN MATCHED THEN UPDATE SET amount = new.amount WHEN NOT MATCHED THEN INSERT VALUES (new.id, new.item, new.amount)
    """: [modified(ORDERS, 1, 1, 0)],
    "INSERT OR REPLACE INTO orders VALUES (1, 'ink', 10), (8, 'jar', 80)": [modified(ORDERS, 1, 1, 0)],
    "INSERT INTO orders VALUES (1, 'x', 1) ON CONFLICT DO UPDATE SET amount = 77": [modified(ORDERS, 0, 1, 0)],
    "TRUNCATE orders": [modified(ORDERS, 0, 0, 3)],
    "TRUNCATE log": [modified(LOG, 0, 0, 3)],
    # Values that change places between rows: every column still holds the same values.
    "UPDATE orders SET amount = CASE id WHEN 1 THEN 20 ELSE 10 END WHERE id IN (1, 2)": [modified(ORDERS, 0, 2, 0)],
    "UPDATE orders SET item = o.item, amount = o.amount FROM orders o WHERE o.id = orders.id % 3 + 1": [
        modified(ORDERS, 0, 3, 0)
    ],
    # One copy more, one copy fewer, and a row that becomes another's copy.
    "INSERT INTO log VALUES (1, 'in')": [modified(LOG, 1, 0, 0)],
    "DELETE FROM log WHERE rowid = (SELECT min(rowid) FROM log WHERE day = 1)": [modified(LOG, 0, 0, 1)],
    "DELETE FROM log WHERE day = 1": [modified(LOG, 0, 0, 2)],
    "UPDATE log SET day = 1, what = 'in' WHERE day = 2": [modified(LOG, 1, 0, 1)],
    "UPDATE log SET what = 'out' WHERE day = 1": [modified(LOG, 2, 0, 2)],
    "INSERT INTO log VALUES (NULL, NULL), (NULL, NULL)": [modified(LOG, 2, 0, 0)],
    # A table of nothing but its key.
    "INSERT INTO stock VALUES (3); DELETE FROM stock WHERE id = 1": [modified(STOCK, 1, 0, 1)],
    "UPDATE stock SET id = id + 1": [modified(STOCK, 1, 0, 1)],
    "BEGIN; DELETE FROM orders; INSERT INTO orders VALUES (3, 'hat', 30); COMMIT": [modified(ORDERS, 0, 0, 2)],
}

NOTHING = [
    "UPDATE orders SET amount = amount, item = item",
    "BEGIN; DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (1, 'pen', 10); COMMIT",
    "DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (1, 'pen', 10)",
    "DELETE FROM log; INSERT INTO log VALUES (2, NULL), (1, 'in'), (1, 'in')",
    "BEGIN; DROP TABLE orders; ROLLBACK",
    "CREATE TABLE extra (i INTEGER); DROP TABLE extra",
    "ALTER TABLE orders RENAME TO passing; ALTER TABLE passing RENAME TO orders",
    "ALTER TABLE orders ADD COLUMN passing INTEGER; ALTER TABLE orders DROP COLUMN passing",
    "ALTER TABLE log ALTER day SET NOT NULL; ALTER TABLE log ALTER day DROP NOT NULL",
    "CREATE TEMP TABLE passing AS FROM orders; CREATE TEMP VIEW shown AS FROM orders; CREATE TEMP MACRO one() AS 1",
    "CREATE OR REPLACE TABLE log AS FROM (VALUES (2, NULL), (1, 'in'), (1, 'in')) AS rows(day, what)",
]

TABLES: dict[str, list[Status]] = {
    "CREATE OR REPLACE TABLE log AS SELECT 5 AS day, 'new' AS what": [modified(LOG, 1, 0, 3)],
    "CREATE OR REPLACE TABLE orders AS SELECT 1 AS id, 'pen' AS item, 10 AS amount": [schema(ORDERS, 0, 0, 2)],
    "CREATE TABLE more AS SELECT i FROM range(3) AS r(i)": [("more", "added", 3, 0, 0)],
    "CREATE TABLE empty (i INTEGER PRIMARY KEY)": [("empty", "added", 0, 0, 0)],
    "DROP TABLE log": [(LOG, "removed", 0, 0, 3)],
    "DROP TABLE log; CREATE TABLE log (other DOUBLE)": [schema(LOG, 0, 0, 3)],
    "ALTER TABLE log RENAME TO events": [("events", "renamed", 0, 0, 0)],
    "ALTER TABLE orders RENAME TO ORDERS_OLD": [("ORDERS_OLD", "renamed", 0, 0, 0)],
    'ALTER TABLE orders RENAME TO "Orders"': [("Orders", "renamed", 0, 0, 0)],
    "ALTER TABLE orders RENAME TO bought; UPDATE bought SET amount = 0 WHERE id = 1": [("bought", "renamed", 0, 1, 0)],
    "ALTER TABLE log RENAME TO events; INSERT INTO events VALUES (3, 'out')": [("events", "renamed", 1, 0, 0)],
    "ALTER TABLE orders RENAME TO t; ALTER TABLE stock RENAME TO orders; ALTER TABLE t RENAME TO stock": [
        schema(ORDERS, 0, 0, 1),
        schema(STOCK, 1, 2, 0),
    ],
    "ALTER TABLE log RENAME TO was; CREATE TABLE log (day INTEGER, what VARCHAR)": [
        modified(LOG, 0, 0, 3),
        ("was", "added", 3, 0, 0),
    ],
    "ALTER TABLE orders ADD COLUMN note VARCHAR": [schema(ORDERS)],
    "ALTER TABLE orders ADD COLUMN note VARCHAR DEFAULT 'none'": [schema(ORDERS)],
    "ALTER TABLE log ADD COLUMN rate DOUBLE DEFAULT 0.5": [schema(LOG)],
    "ALTER TABLE orders ADD COLUMN note VARCHAR; UPDATE orders SET note = 'x' WHERE id < 3": [schema(ORDERS, 0, 2, 0)],
    "ALTER TABLE orders ADD COLUMN made TIMESTAMP DEFAULT current_timestamp": [schema(ORDERS, 0, 3, 0)],
    "ALTER TABLE orders ADD COLUMN made TIMESTAMPTZ DEFAULT '2020-01-01 12:00'": [schema(ORDERS, 0, 3, 0)],
    "ALTER TABLE orders DROP COLUMN amount": [schema(ORDERS)],
    "ALTER TABLE orders DROP COLUMN amount; DELETE FROM orders WHERE id = 1": [schema(ORDERS, 0, 0, 1)],
    "ALTER TABLE log DROP COLUMN what": [schema(LOG, 2, 0, 2)],
    "ALTER TABLE orders RENAME COLUMN item TO thing": [schema(ORDERS)],
    'ALTER TABLE orders RENAME COLUMN item TO "ITEM"': [schema(ORDERS)],
    "ALTER TABLE orders RENAME COLUMN amount TO price; UPDATE orders SET price = 0 WHERE id = 1": [
        schema(ORDERS, 0, 1, 0)
    ],
    "ALTER TABLE orders RENAME COLUMN id TO number": [schema(ORDERS)],
    "ALTER TABLE orders ALTER amount TYPE BIGINT": [schema(ORDERS)],
    "ALTER TABLE orders ALTER amount TYPE BIGINT; UPDATE orders SET amount = 5000000000 WHERE id = 1": [
        schema(ORDERS, 0, 1, 0)
    ],
    "ALTER TABLE orders ALTER amount TYPE TINYINT": [schema(ORDERS)],
    "ALTER TABLE orders ALTER amount TYPE VARCHAR": [schema(ORDERS)],
    "ALTER TABLE orders ALTER amount TYPE VARCHAR USING 'EUR ' || amount": [schema(ORDERS, 0, 3, 0)],
    "ALTER TABLE orders ALTER amount SET DEFAULT 5": [schema(ORDERS)],
    "ALTER TABLE orders ALTER amount SET NOT NULL": [schema(ORDERS)],
    "CREATE INDEX by_item ON orders (item)": [schema(ORDERS)],
    "CREATE UNIQUE INDEX by_item ON orders (item, amount)": [schema(ORDERS)],
    "COMMENT ON TABLE orders IS 'what was bought'": [schema(ORDERS)],
    "COMMENT ON COLUMN orders.item IS 'it''s a thing'": [schema(ORDERS)],
    "ALTER TABLE stock ADD COLUMN i INTEGER": [schema(STOCK)],
    "ALTER TABLE log ADD COLUMN id INTEGER; UPDATE log SET id = rowid; ALTER TABLE log ADD PRIMARY KEY (id)": [
        schema(LOG, 3, 0, 3)
    ],
    "CREATE SCHEMA sales; CREATE TABLE sales.orders (id INTEGER PRIMARY KEY); INSERT INTO sales.orders VALUES (1)": [
        ("sales", "added", 0, 0, 0),
        ("sales.orders", "added", 1, 0, 0),
    ],
    "CREATE VIEW cheap AS SELECT * FROM orders WHERE amount < 20": [("cheap", "added", 0, 0, 0)],
    "CREATE VIEW cheap AS SELECT 1; COMMENT ON VIEW cheap IS 'c'": [("cheap", "added", 0, 0, 0)],
    "CREATE MACRO plus(a, b := 1) AS a + b": [("plus", "added", 0, 0, 0)],
    "CREATE MACRO top_orders(n) AS TABLE FROM orders LIMIT n": [("top_orders", "added", 0, 0, 0)],
    "CREATE SEQUENCE numbers START 5": [("numbers", "added", 0, 0, 0)],
    "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE moods (m mood); INSERT INTO moods VALUES ('bad')": [
        ("mood", "added", 0, 0, 0),
        ("moods", "added", 1, 0, 0),
    ],
    """ALTER TABLE orders ADD COLUMN note VARCHAR; INSERT INTO orders VALUES (4, 'bag', 40, 'n'); DELETE FROM log;
       DROP TABLE stock; CREATE TABLE fresh (i INTEGER); INSERT INTO fresh VALUES (1); CREATE VIEW seen AS FROM fresh;
       CREATE SCHEMA far; CREATE SEQUENCE far.next; CREATE INDEX by_item ON orders (item)""": [
        ("far", "added", 0, 0, 0),
        ("far.next", "added", 0, 0, 0),
        ("fresh", "added", 1, 0, 0),
        modified(LOG, 0, 0, 3),
        schema(ORDERS, 1, 0, 0),
        ("seen", "added", 0, 0, 0),
        (STOCK, "removed", 0, 0, 2),
    ],
}


def assert_noticed(repo: Repo, change: Callable[[], Any], expected: list[Status]) -> None:
    """The change is counted, committed, read, and undone and redone by checkouts."""
    before = picture(repo)
    change()
    after = picture(repo)
    assert repo.status() == expected
    rows = [sum(counts) for counts in zip(*(row[2:] for row in expected), strict=True)]
    assert repo.commit()[1:] == tuple(rows)
    assert repo.status() == []
    assert picture(repo) == after
    assert_reads(repo, "HEAD", after)
    assert_reads(repo, "HEAD~1", before)
    for ref, seen in (("HEAD~1", before), ("main", after)):
        repo("CALL epoch_checkout(?)", ref)
        assert picture(repo) == seen
        assert repo.status() == []
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    assert picture(repo) == before
    assert repo.status() == []


def assert_reads(repo: Repo, ref: str, seen: Picture) -> None:
    for name, rows in seen.rows.items():
        assert repo("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM epoch_at(?, ?) ORDER BY ALL", ref, name) == rows


@pytest.fixture
def shop(make_repo: MakeRepo) -> Repo:
    return make_repo(SHOP)


@pytest.fixture(scope="module")
def same_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A repository that every scenario takes as it was and leaves as it was."""
    repo = Repo(tmp_path_factory.mktemp("detect") / "shop.duckdb")
    repo(SHOP)
    repo("CALL epoch_init()")
    yield repo
    repo.close()


@pytest.mark.grid(every=8)
@pytest.mark.parametrize("change", ROWS)
def test_rows_that_change(same_shop: Repo, change: str) -> None:
    assert_noticed(same_shop, lambda: same_shop(change), ROWS[change])


@pytest.mark.grid(every=10)
@pytest.mark.parametrize("change", TABLES)
def test_definitions_that_change(same_shop: Repo, change: str) -> None:
    assert_noticed(same_shop, lambda: same_shop(change), TABLES[change])


def test_what_is_no_change(same_shop: Repo) -> None:
    for change in NOTHING:
        same_shop(change)
        assert same_shop.status() == [], change
    assert "EpochNothingToCommit" in same_shop.refused("CALL epoch_commit('nothing')")


def test_bulk_loads(shop: Repo, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("id,item,amount\n4,bag,40\n5,box,50\n")
    assert_noticed(shop, lambda: shop(f"COPY orders FROM '{file}' (HEADER)"), [modified(ORDERS, 2, 0, 0)])


@pytest.mark.slow
def test_arrow_tables(shop: Repo) -> None:
    import pyarrow as pa

    def insert() -> None:
        arrow = pa.table({"id": [6, 7], "item": ["a", None], "amount": [1, 2]})
        shop.con.register("arriving", arrow)
        shop.con.execute("INSERT INTO orders FROM arriving")
        shop.con.unregister("arriving")

    assert_noticed(shop, insert, [modified(ORDERS, 2, 0, 0)])


def test_appended_frames(shop: Repo) -> None:
    import pandas

    frame = pandas.DataFrame({"id": [6, 7], "item": ["a", "b"], "amount": [1, 2]})
    assert_noticed(shop, lambda: shop.con.append("orders", frame), [modified(ORDERS, 2, 0, 0)])


def test_many_rows_at_once_by_executemany(shop: Repo) -> None:
    rows = [[n, "x", n] for n in range(10, 20)]
    assert_noticed(
        shop, lambda: shop.con.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows), [modified(ORDERS, 10, 0, 0)]
    )


def test_another_process_between_two_runs(shop: Repo) -> None:
    statements = "UPDATE orders SET amount = 1 WHERE id = 1; ALTER TABLE log ADD COLUMN n INTEGER; CREATE TABLE later (i INTEGER)"

    def elsewhere() -> None:
        shop.close()
        program = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"
        subprocess.run([sys.executable, "-c", program, str(shop.path), statements], check=True)
        shop.reopen()

    expected = [("later", "added", 0, 0, 0), schema(LOG), modified(ORDERS, 0, 1, 0)]
    assert_noticed(shop, elsewhere, expected)


def test_another_connection_of_the_process(shop: Repo) -> None:
    other = duckdb.connect(str(shop.path))
    assert_noticed(shop, lambda: other.execute("DELETE FROM orders WHERE id = 1"), [modified(ORDERS, 0, 0, 1)])
    other.close()


# A declared key.


def test_a_declared_key_turns_copies_into_changes_of_rows(shop: Repo) -> None:
    shop("DELETE FROM log; INSERT INTO log VALUES (1, 'a'), (2, 'b')")
    assert shop("CALL epoch_key('log', ['day'])") == [("log", ["day"])]
    assert shop.commit() == (1, 2, 0, 3)
    assert shop("SELECT key_columns FROM epoch_tables() WHERE table_name = 'log'") == [(["day"],)]
    assert_noticed(shop, lambda: shop("UPDATE log SET what = 'c' WHERE day = 1"), [modified(LOG, 0, 1, 0)])


BROKEN = {
    "INSERT INTO log VALUES (7, 'x'), (7, 'y')": '{"day":7}',
    "INSERT INTO log VALUES (NULL, 'x')": '{"day":null}',
    "UPDATE log SET day = 42": '{"day":42}',
}


@pytest.mark.parametrize("change", BROKEN)
def test_a_declared_key_that_does_not_hold_is_refused_by_its_values(shop: Repo, change: str) -> None:
    shop("DELETE FROM log; INSERT INTO log VALUES (1, 'a'), (2, 'b')")
    shop("CALL epoch_key('log', ['day'])")
    shop.commit()
    head = shop.head()
    shop(change)
    message = shop.refused("CALL epoch_commit('broken')")
    assert "EpochTableError: table log" in message
    assert "(day)" in message
    assert BROKEN[change] in message
    assert shop.head() == head


def test_a_declared_key_of_several_columns(shop: Repo) -> None:
    shop("CALL epoch_key('log', ['day', 'what'])")
    message = shop.refused("CALL epoch_commit('broken')")
    assert '{"day":1,"what":"in"}' in message
    assert '{"day":2,"what":null}' in message


def test_a_declared_key_follows_its_table_and_columns(shop: Repo) -> None:
    shop("DELETE FROM log; INSERT INTO log VALUES (1, 'a'), (2, 'b')")
    shop("CALL epoch_key('log', ['DAY'])")
    shop.commit()
    shop("ALTER TABLE log RENAME TO events")
    assert shop.status() == [("events", "renamed", 0, 0, 0)]
    shop.commit()
    shop("ALTER TABLE events RENAME COLUMN day TO hour")
    assert shop.status() == [schema("events")]
    shop.commit()
    assert shop("SELECT key_columns FROM epoch_tables() WHERE table_name = 'events'") == [(["hour"],)]


def test_a_declared_key_that_lost_its_column(shop: Repo) -> None:
    shop("DELETE FROM log; INSERT INTO log VALUES (1, 'a'), (2, 'b')")
    shop("CALL epoch_key('log', ['day'])")
    shop.commit()
    shop("ALTER TABLE log DROP COLUMN day")
    shop("INSERT INTO orders (id) VALUES (99)")
    assert dict(shop("SELECT table_name, change FROM epoch_status()")) == {"log": "unkeyed", "orders": "modified"}
    assert "EpochTableError: table log has lost day of its key" in shop.refused("CALL epoch_commit('x')")
    shop("CALL epoch_key('log', ['what'])")
    shop.commit()
    assert shop("SELECT key_columns FROM epoch_tables() WHERE table_name = 'log'") == [(["what"],)]


REFUSED_KEYS = {
    "CALL epoch_key('orders', ['item'])": "EpochTableError: table orders has a primary key (id)",
    "CALL epoch_key('logg', ['day'])": "EpochTableError: there is no table logg in the working database (hint: did you mean log?)",
    "CALL epoch_key('log', ['dayy'])": "EpochTableError: there is no column dayy in table log (hint: did you mean day",
    "CALL epoch_key('log', ['day', 'DAY'])": "EpochTableError: a column is named twice in the key of log",
}


@pytest.mark.parametrize("call", REFUSED_KEYS)
def test_keys_that_cannot_be_declared(shop: Repo, call: str) -> None:
    assert REFUSED_KEYS[call] in shop.refused(call)


# What is ignored.


def test_ignored_tables_are_left_alone(shop: Repo) -> None:
    assert shop("CALL epoch_ignore('scratch*')") == [("scratch*",)]
    shop(
        "CREATE TABLE scratch1 (i INTEGER); CREATE VIEW Scratch_view AS FROM scratch1; INSERT INTO scratch1 VALUES (1)"
    )
    assert shop.status() == []
    shop("UPDATE orders SET amount = 0")
    shop.commit()
    shop("INSERT INTO scratch1 VALUES (2)")
    shop("CALL epoch_checkout('HEAD~1')")
    assert shop("FROM scratch1 ORDER BY ALL") == [(1,), (2,)]
    assert shop("FROM epoch_ignored()") == [("scratch*",)]


# Odd tables.


@pytest.mark.slow
def test_a_large_table_is_narrowed_down_by_buckets(make_repo: MakeRepo) -> None:
    rows = 250_000
    repo = make_repo(
        f"CREATE TABLE big (id BIGINT PRIMARY KEY, v VARCHAR); INSERT INTO big SELECT i, 'v' || i FROM range({rows}) AS r(i);"
        f"CREATE TABLE bag AS SELECT i % 100000 AS i, 'w' AS w FROM range({rows}) AS r(i)"
    )
    for number in range(2):
        change = (
            f"UPDATE big SET v = 'changed {number}' WHERE id % 50000 = {number};"
            f"DELETE FROM big WHERE id = {100 + number}; INSERT INTO big VALUES ({-number - 1}, NULL);"
            f"DELETE FROM bag WHERE i = {number}; INSERT INTO bag VALUES (NULL, 'x'), (NULL, 'x')"
        )
        copies = 3
        assert_noticed(
            repo, lambda change=change: repo(change), [modified("bag", 2, 0, copies), modified("big", 1, 5, 1)]
        )
    repo("UPDATE big SET v = (SELECT v FROM big WHERE id = 8) WHERE id = 9; UPDATE big SET v = 'v9' WHERE id = 8")
    assert repo.status() == [modified("big", 0, 2, 0)]
    repo("UPDATE big SET v = 'v' || id WHERE id IN (8, 9)")
    assert repo.status() == []


@pytest.mark.slow
def test_one_row_among_a_thousand_tables(make_repo: MakeRepo) -> None:
    tables = ";".join(f"CREATE TABLE t{n} AS SELECT {n} AS i" for n in range(1000))
    repo = make_repo(tables)
    assert repo.status() == []
    repo("UPDATE t777 SET i = 0")
    assert repo.status() == [("t777", "modified", 1, 0, 1)]
    subtrees = repo.one("SELECT count(DISTINCT subtree_id) FROM epoch.trees")
    assert repo.commit() == (1, 1, 0, 1)
    assert repo.one("SELECT count(DISTINCT subtree_id) FROM epoch.trees") == subtrees + 1


@pytest.mark.slow
def test_five_hundred_columns(make_repo: MakeRepo) -> None:
    columns = ", ".join(f"c{n} INTEGER" for n in range(500))
    repo = make_repo(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
    repo("INSERT INTO wide (id, c499) VALUES (1, 1), (2, 2)")
    repo.commit()
    repo("UPDATE wide SET c250 = 7 WHERE id = 2")
    assert repo("SELECT changed_columns FROM epoch_diff('HEAD', 'WORKING', table_name := 'wide')") == [(["c250"],)]
    assert repo.commit() == (1, 0, 1, 0)
