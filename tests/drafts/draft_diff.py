"""What differs between two references: rows typed and as JSON, statistics, summaries, definitions, in both directions."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

START = """
    CREATE TABLE orders (id INTEGER PRIMARY KEY, item VARCHAR, amount INTEGER);
    INSERT INTO orders VALUES (1, 'pen', 10), (2, 'cup', 20), (3, 'hat', 30), (4, 'bag', 40);
    CREATE TABLE log (day INTEGER, what VARCHAR);
    INSERT INTO log VALUES (1, 'in'), (1, 'in'), (1, 'in'), (2, NULL);
    CREATE TABLE same (i INTEGER PRIMARY KEY);
    INSERT INTO same VALUES (1);
"""


@pytest.fixture
def shop(make_repo: MakeRepo) -> Repo:
    """A tag ``old`` before, and ``new`` after: rows added, modified and removed in a keyed and a keyless table."""
    repo = make_repo(START)
    repo("CALL epoch_tag('old')")
    repo("UPDATE orders SET item = 'ink', amount = NULL WHERE id = 1; UPDATE orders SET amount = 21 WHERE id = 2")
    repo("DELETE FROM orders WHERE id = 3; INSERT INTO orders VALUES (5, NULL, 50)")
    repo("DELETE FROM log; INSERT INTO log VALUES (1, 'in'), (2, NULL), (2, NULL), (3, 'out')")
    repo.commit()
    repo("CALL epoch_tag('new')")
    return repo


def test_rows_of_all_tables_as_json(shop: Repo) -> None:
    assert shop.columns("FROM epoch_diff('old', 'new')") == [
        ("table_name", "VARCHAR"),
        ("diff_type", "VARCHAR"),
        ("key", "JSON"),
        ("changed_columns", "VARCHAR[]"),
        ("from_row", "JSON"),
        ("to_row", "JSON"),
    ]
    assert shop("FROM epoch_diff('old', 'new') ORDER BY ALL") == sorted(
        [
            ("log", "added", None, [], None, '{"day":2,"what":null}'),
            ("log", "added", None, [], None, '{"day":3,"what":"out"}'),
            ("log", "removed", None, [], '{"day":1,"what":"in"}', None),
            ("log", "removed", None, [], '{"day":1,"what":"in"}', None),
            ("orders", "added", '{"id":5}', [], None, '{"id":5,"item":null,"amount":50}'),
            (
                *("orders", "modified", '{"id":1}', ["item", "amount"]),
                *('{"id":1,"item":"pen","amount":10}', '{"id":1,"item":"ink","amount":null}'),
            ),
            (
                *("orders", "modified", '{"id":2}', ["amount"]),
                *('{"id":2,"item":"cup","amount":20}', '{"id":2,"item":"cup","amount":21}'),
            ),
            ("orders", "removed", '{"id":3}', [], '{"id":3,"item":"hat","amount":30}', None),
        ],
        key=lambda row: [(value is None, str(value)) for value in row],
    )


def test_rows_of_one_table_with_its_types(shop: Repo) -> None:
    call = "epoch_diff('old', 'new', table_name := 'orders')"
    assert shop.columns(f"FROM {call}") == [
        ("diff_type", "VARCHAR"),
        ("changed_columns", "VARCHAR[]"),
        *((f"{side}_id", "INTEGER") for side in ("from", "to")),
        *((f"{side}_item", "VARCHAR") for side in ("from", "to")),
        *((f"{side}_amount", "INTEGER") for side in ("from", "to")),
    ]
    assert shop(f"FROM {call} ORDER BY coalesce(from_id, to_id)") == [
        ("modified", ["item", "amount"], 1, 1, "pen", "ink", 10, None),
        ("modified", ["amount"], 2, 2, "cup", "cup", 20, 21),
        ("removed", [], 3, None, "hat", None, 30, None),
        ("added", [], None, 5, None, None, None, 50),
    ]
    assert shop("FROM epoch_diff('old', 'new', table_name := 'log') ORDER BY ALL") == [
        ("added", [], None, 2, None, None),
        ("added", [], None, 3, None, "out"),
        ("removed", [], 1, None, "in", None),
        ("removed", [], 1, None, "in", None),
    ]


def test_the_other_direction_is_the_mirror_image(shop: Repo) -> None:
    swapped = {"added": "removed", "removed": "added", "modified": "modified"}
    forwards = shop("FROM epoch_diff('old', 'new')")
    mirrored = [(t, swapped[kind], key, columns, after, before) for t, kind, key, columns, before, after in forwards]
    assert sorted(shop("FROM epoch_diff('new', 'old')"), key=str) == sorted(mirrored, key=str)


def test_the_working_tables_on_either_side(shop: Repo) -> None:
    shop("INSERT INTO orders VALUES (9, 'new', 1); UPDATE log SET what = 'later' WHERE day = 3")
    orders = "table_name := 'orders'"
    assert shop(f"FROM epoch_diff('HEAD', 'WORKING', {orders})") == [("added", [], None, 9, None, "new", None, 1)]
    assert shop(f"FROM epoch_diff('WORKING', 'HEAD', {orders})") == [("removed", [], 9, None, "new", None, 1, None)]
    assert shop("SELECT table_name, count(*) FROM epoch_diff('WORKING', 'new') GROUP BY 1 ORDER BY 1") == [
        ("log", 2),
        ("orders", 1),
    ]
    assert shop.one("SELECT count(*) FROM epoch_diff('old', 'WORKING')") == 9
    assert shop("FROM epoch_diff('WORKING', 'WORKING')") == []
    for table in ("orders", "log"):
        for back, forth in (("old", "WORKING"), ("WORKING", "old")):
            assert_leads(shop, back, forth, table)


def assert_leads(repo: Repo, back: str, forth: str, table: str) -> None:
    """The older rows without those that went and with those that came are the newer rows."""
    columns = [name for name, _ in repo.columns(f"FROM epoch_at('{back}', '{table}')")]
    went, came = (", ".join(f'"{side}_{name}"' for name in columns) for side in ("from", "to"))
    diff = f"epoch_diff('{back}', '{forth}', table_name := '{table}')"
    before, after = f"epoch_at('{back}', '{table}')", f"epoch_at('{forth}', '{table}')"
    led = (
        f"(FROM {before} EXCEPT ALL SELECT {went} FROM {diff} WHERE diff_type <> 'added')"
        f" UNION ALL SELECT {came} FROM {diff} WHERE diff_type <> 'removed'"
    )
    assert repo(f"SELECT * FROM ({led}) ORDER BY ALL") == repo(f"FROM {after} ORDER BY ALL")


def test_statistics(shop: Repo) -> None:
    assert shop.columns("FROM epoch_diff_stat('old', 'new')") == [
        ("table_name", "VARCHAR"),
        *(
            (name, "BIGINT")
            for name in ("rows_added", "rows_modified", "rows_removed", "rows_unmodified", "cells_modified")
        ),
        *((name, "BIGINT") for name in ("old_row_count", "new_row_count")),
    ]
    assert shop("FROM epoch_diff_stat('old', 'new') ORDER BY 1") == [
        ("log", 2, 0, 2, 2, 0, 4, 4),
        ("orders", 1, 2, 1, 1, 3, 4, 4),
    ]
    assert shop("FROM epoch_diff_stat('old', 'new', table_name := 'same')") == [("same", 0, 0, 0, 1, 0, 1, 1)]
    shop("CREATE TABLE fresh (i INTEGER PRIMARY KEY); INSERT INTO fresh VALUES (1), (2); DROP TABLE log")
    assert shop("FROM epoch_diff_stat('HEAD', 'WORKING') ORDER BY 1") == [
        ("fresh", 2, 0, 0, 0, 0, None, 2),
        ("log", 0, 0, 4, 0, 0, 4, None),
    ]


def test_summaries(shop: Repo) -> None:
    shop("ALTER TABLE log RENAME TO events; ALTER TABLE orders ADD COLUMN note VARCHAR; DROP TABLE same")
    shop("CREATE TABLE fresh (i INTEGER); INSERT INTO fresh VALUES (1); CREATE TABLE empty (i INTEGER)")
    shop.commit()
    assert shop.columns("FROM epoch_diff_summary('new', 'HEAD')") == [
        ("table_name", "VARCHAR"),
        ("diff_type", "VARCHAR"),
        ("data_change", "BOOLEAN"),
        ("schema_change", "BOOLEAN"),
    ]
    assert shop("FROM epoch_diff_summary('new', 'HEAD') ORDER BY 1") == [
        ("empty", "added", False, True),
        ("events", "renamed", False, True),
        ("fresh", "added", True, True),
        ("orders", "modified", False, True),
        ("same", "removed", True, True),
    ]
    assert shop("FROM epoch_diff_summary('HEAD', 'new') ORDER BY 1") == [
        ("empty", "removed", False, True),
        ("fresh", "removed", True, True),
        ("log", "renamed", False, True),
        ("orders", "modified", False, True),
        ("same", "added", True, True),
    ]
    assert shop("FROM epoch_diff_summary('old', 'new') ORDER BY 1") == [
        ("log", "modified", True, False),
        ("orders", "modified", True, False),
    ]


def test_differences_of_definitions(shop: Repo) -> None:
    shop(
        """
        ALTER TABLE orders ADD COLUMN note VARCHAR DEFAULT 'none'; ALTER TABLE orders RENAME COLUMN item TO thing;
        ALTER TABLE log ALTER day TYPE BIGINT; ALTER TABLE log DROP COLUMN what; DROP TABLE same;
        CREATE INDEX by_amount ON orders (amount); CREATE VIEW cheap AS SELECT id FROM orders
        """
    )
    shop.commit()
    assert shop.columns("FROM epoch_schema_diff('new', 'HEAD')") == [
        (name, "VARCHAR") for name in ("table_name", "object", "name", "diff_type", "from_definition", "to_definition")
    ]
    found = shop("SELECT table_name, object, name, diff_type FROM epoch_schema_diff('new', 'HEAD') ORDER BY ALL")
    assert found == [
        ("cheap", "view", "cheap", "added"),
        ("log", "column", "day", "modified"),
        ("log", "column", "what", "removed"),
        ("orders", "column", "note", "added"),
        ("orders", "column", "thing", "renamed"),
        ("orders", "index", "by_amount", "added"),
        ("same", "table", "same", "removed"),
    ]
    back = shop("SELECT table_name, object, name, diff_type FROM epoch_schema_diff('HEAD', 'new') ORDER BY ALL")
    assert ("orders", "column", "item", "renamed") in back
    assert ("orders", "column", "note", "removed") in back
    assert ("log", "column", "what", "added") in back
    assert len(back) == len(found)
    assert shop("SELECT from_definition, to_definition FROM epoch_schema_diff('new', 'HEAD') WHERE name = 'day'") == [
        ("day INTEGER", "day BIGINT")
    ]


# What happens to the columns between the commits ``old`` and ``new``, and the rows that the difference then has, forwards.
# "|" stands for a commit between.
COLUMNS = {
    "ALTER TABLE orders ADD COLUMN note VARCHAR | UPDATE orders SET note = 'x' WHERE id = 1": [
        ("modified", ["note"], 1, 1, "pen", "pen", 10, 10, None, "x"),
    ],
    "ALTER TABLE orders ADD COLUMN note VARCHAR DEFAULT 'd' | UPDATE orders SET note = 'x' WHERE id = 1": [
        ("modified", ["note"], 1, 1, "pen", "pen", 10, 10, None, "x"),
    ],
    "UPDATE orders SET amount = 0 WHERE id = 1 | ALTER TABLE orders DROP COLUMN amount | UPDATE orders SET item = 'z' WHERE id IN (1, 2)": [
        ("modified", ["item"], 1, 1, "pen", "z", 10, None),
        ("modified", ["item"], 2, 2, "cup", "z", 20, None),
    ],
    "ALTER TABLE orders RENAME COLUMN amount TO price | UPDATE orders SET price = 0 WHERE id = 1 | DELETE FROM orders WHERE id = 4": [
        ("modified", ["price"], 1, 1, "pen", "pen", 10, 0),
        ("removed", [], 4, None, "bag", None, 40, None),
    ],
    "ALTER TABLE orders ALTER amount TYPE BIGINT | UPDATE orders SET amount = 5000000000 WHERE id = 1": [
        ("modified", ["amount"], 1, 1, "pen", "pen", 10, 5_000_000_000),
    ],
    "ALTER TABLE orders ALTER amount TYPE VARCHAR | UPDATE orders SET amount = 'x' WHERE id = 1": [
        ("modified", ["amount"], 1, 1, "pen", "pen", 10, "x"),
    ],
    "UPDATE orders SET amount = 11 WHERE id = 1 | ALTER TABLE orders ALTER amount TYPE TINYINT | UPDATE orders SET item = NULL WHERE id = 2": [
        ("modified", ["amount"], 1, 1, "pen", "pen", 10, 11),
        ("modified", ["item"], 2, 2, "cup", None, 20, 20),
    ],
    "ALTER TABLE orders DROP COLUMN amount | ALTER TABLE orders ADD COLUMN amount INTEGER | UPDATE orders SET amount = 20 WHERE id = 2": [
        ("modified", ["amount"], 1, 1, "pen", "pen", 10, None),
        ("modified", ["amount"], 3, 3, "hat", "hat", 30, None),
        ("modified", ["amount"], 4, 4, "bag", "bag", 40, None),
    ],
    "ALTER TABLE orders DROP COLUMN amount; UPDATE orders SET item = item || '!' | ALTER TABLE orders ADD COLUMN amount INTEGER DEFAULT 10": [
        ("modified", ["item"], 1, 1, "pen", "pen!", 10, 10),
        ("modified", ["item", "amount"], 2, 2, "cup", "cup!", 20, 10),
        ("modified", ["item", "amount"], 3, 3, "hat", "hat!", 30, 10),
        ("modified", ["item", "amount"], 4, 4, "bag", "bag!", 40, 10),
    ],
    "ALTER TABLE orders RENAME TO bought | UPDATE bought SET item = 'z' WHERE id = 1 | ALTER TABLE bought RENAME TO orders": [
        ("modified", ["item"], 1, 1, "pen", "z", 10, 10),
    ],
    "CREATE TABLE kept AS FROM orders | DROP TABLE orders | CREATE TABLE orders (id INTEGER PRIMARY KEY, item VARCHAR, amount INTEGER);"
    " INSERT INTO orders SELECT id, item, CASE id WHEN 1 THEN 0 ELSE amount END FROM kept": [
        ("modified", ["amount"], 1, 1, "pen", "pen", 10, 0),
    ],
    "UPDATE orders SET id = 7 WHERE id = 1 | UPDATE orders SET id = 1 WHERE id = 7": [],
    "DELETE FROM orders WHERE id = 1 | INSERT INTO orders VALUES (1, 'new', 1)": [
        ("modified", ["item", "amount"], 1, 1, "pen", "new", 10, 1),
    ],
    "INSERT INTO orders VALUES (5, 'x', 5) | UPDATE orders SET item = 'y' WHERE id = 5": [
        ("added", [], None, 5, None, "y", None, 5)
    ],
    "INSERT INTO orders VALUES (5, 'x', 5) | DELETE FROM orders WHERE id = 5": [],
    "UPDATE orders SET amount = 0 | UPDATE orders SET amount = id * 10": [],
}


@pytest.mark.parametrize("history", COLUMNS)
def test_columns_that_come_go_and_change(make_repo: MakeRepo, history: str) -> None:
    repo = make_repo(START)
    repo("CALL epoch_tag('old')")
    for step in history.split("|"):
        repo(step)
        repo.commit()
    call = "epoch_diff('old', 'HEAD', table_name := 'orders')"
    assert repo(f"FROM {call} ORDER BY coalesce(from_id, to_id)") == COLUMNS[history]
    swapped = {"added": "removed", "removed": "added", "modified": "modified"}
    back = repo("FROM epoch_diff('HEAD', 'old', table_name := 'orders')")
    assert {(row[0], row[2], row[3]) for row in back} >= {
        (swapped[row[0]], row[3], row[2]) for row in COLUMNS[history] if row[1] != ["note"]
    }
    repo("CALL epoch_checkout('old')")
    assert repo.at("old", "orders") == repo("FROM orders ORDER BY ALL")
    repo("CALL epoch_checkout('main')")
    assert repo.at("main", "orders") == repo("FROM orders ORDER BY ALL")


def test_names_that_meet_after_a_rename(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 10, 20)")
    repo("ALTER TABLE t DROP COLUMN b")
    repo.commit()
    repo("ALTER TABLE t RENAME COLUMN a TO b; UPDATE t SET b = 11")
    repo.commit()
    call = "epoch_diff('HEAD~2', 'HEAD', table_name := 't')"
    assert [name for name, _ in repo.columns(f"FROM {call}")][2:] == ["from_id", "to_id", "from_a", "to_b", "from_b"]
    assert repo(f"FROM {call}") == [("modified", ["b"], 1, 1, 10, 11, 20)]


def test_a_column_that_two_branches_added_with_different_values(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    repo("CALL epoch_branch('other')")
    repo("ALTER TABLE t ADD COLUMN v INTEGER DEFAULT 5")
    repo.commit()
    repo("CALL epoch_checkout('other')")
    repo("ALTER TABLE t ADD COLUMN v INTEGER DEFAULT 6")
    repo.commit()
    assert repo("FROM epoch_diff('main', 'other', table_name := 't') ORDER BY ALL") == [
        ("modified", ["v"], 1, 1, 5, 6),
        ("modified", ["v"], 2, 2, 5, 6),
    ]
    repo("CALL epoch_checkout('main')")
    assert repo("FROM t ORDER BY ALL") == [(1, 5), (2, 5)]
    assert repo.status() == []


def test_a_value_before_its_column_existed_is_rounded_as_it_was(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    repo("ALTER TABLE t ADD COLUMN f FLOAT DEFAULT 0.1; ALTER TABLE t ADD COLUMN d DECIMAL(4, 1) DEFAULT 0.25")
    repo.commit()
    repo("ALTER TABLE t ALTER f TYPE DOUBLE; ALTER TABLE t ALTER d TYPE DECIMAL(9, 4)")
    held = repo("FROM t")
    repo.commit()
    assert repo.at("HEAD", "t") == held
    repo("CALL epoch_checkout('HEAD~1')")
    repo("CALL epoch_checkout('main')")
    assert repo("FROM t") == held


def test_a_column_that_was_dropped_does_not_come_back(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER); INSERT INTO t VALUES (1, 10)")
    for _ in range(3):
        repo("ALTER TABLE t DROP COLUMN x")
        repo.commit()
        repo("ALTER TABLE t ADD COLUMN x INTEGER")
        repo.commit()
        assert repo.at("HEAD", "t") == [(1, None)]
        repo("UPDATE t SET x = 7")
        repo.commit()
    assert repo.at("main~9", "t") == [(1, 10)]


def test_tables_and_references_that_do_not_exist(shop: Repo) -> None:
    assert "EpochTableError: there is no table order in either side (hint: did you mean orders?)" in shop.refused(
        "FROM epoch_diff('old', 'new', table_name := 'order')"
    )
    for function in ("epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"):
        assert "EpochReferenceError: unknown reference 'odl'" in shop.refused(f"FROM {function}('odl', 'new')")
    assert "EpochReferenceError" in shop.refused("FROM epoch_at('', 'orders')")


@pytest.mark.parametrize("query", ["epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"])
def test_nothing_differs(shop: Repo, query: str) -> None:
    shop("CALL epoch_branch('twin', start := 'new')")
    columns = shop.columns(f"FROM {query}('old', 'new')")
    for one, other in (("new", "new"), ("new", "twin"), ("HEAD", "WORKING"), ("WORKING", "twin")):
        assert shop(f"FROM {query}(?, ?)", one, other) == []
        assert shop.columns(f"FROM {query}('{one}', '{other}')") == columns


# Ways to the same content.

SAME = {
    "rows in another order": "DELETE FROM orders; INSERT INTO orders FROM (FROM epoch_at('old', 'orders')) ORDER BY id DESC",
    "through another state": "UPDATE orders SET amount = -amount | UPDATE orders SET amount = -amount",
    "through a copy": "CREATE TABLE c AS FROM orders | DELETE FROM orders | INSERT INTO orders FROM c; DROP TABLE c",
    "through another type": "ALTER TABLE orders ALTER amount TYPE BIGINT | ALTER TABLE orders ALTER amount TYPE INTEGER",
    "through another name": "ALTER TABLE orders RENAME TO o | ALTER TABLE o RENAME COLUMN item TO i | ALTER TABLE o RENAME COLUMN i TO item | ALTER TABLE o RENAME TO orders",
    "through a column more": "ALTER TABLE orders ADD COLUMN z INTEGER DEFAULT 1 | ALTER TABLE orders DROP COLUMN z",
    "dropped and made again": "DROP TABLE log | CREATE TABLE log (day INTEGER, what VARCHAR); INSERT INTO log VALUES (2, NULL) |"
    " INSERT INTO log VALUES (1, 'in') | INSERT INTO log VALUES (1, 'in'), (1, 'in')",
    "through an index": "CREATE INDEX x ON orders (item) | DROP INDEX x",
}


@pytest.mark.parametrize("way", SAME)
def test_equal_contents_have_equal_trees_and_no_difference(make_repo: MakeRepo, way: str) -> None:
    repo = make_repo(START)
    repo("CALL epoch_tag('old')")
    for step in SAME[way].split("|"):
        repo(step)
        if repo.status():
            repo.commit()
    assert repo.tree("HEAD") == repo.tree("old")
    for one, other in (("old", "HEAD"), ("HEAD", "old"), ("old", "WORKING"), ("WORKING", "old")):
        for query in ("epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"):
            assert repo(f"FROM {query}(?, ?)", one, other) == []


def test_contents_that_differ_a_little_have_other_trees(make_repo: MakeRepo) -> None:
    repo = make_repo(START)
    trees = {repo.tree()}
    for number, change in enumerate(
        [
            "UPDATE orders SET amount = amount + 1 WHERE id = 1; UPDATE orders SET amount = amount - 1 WHERE id = 2",
            "INSERT INTO log VALUES (1, 'in')",
            "ALTER TABLE orders ALTER amount TYPE BIGINT",
            "COMMENT ON COLUMN orders.item IS 'c'",
            "ALTER TABLE orders ALTER item SET DEFAULT 'x'",
            "ALTER TABLE log RENAME TO log2",
            "CREATE VIEW v AS SELECT 1",
            "CREATE OR REPLACE VIEW v AS SELECT 2",
            "UPDATE log2 SET what = '' WHERE what IS NULL",
        ],
        2,
    ):
        repo(change)
        repo.commit()
        trees.add(repo.tree())
        assert len(trees) == number


# Many commits.


@pytest.mark.timeout(600)
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_hundreds_of_small_commits(make_repo: MakeRepo, key: str) -> None:
    """Levels are folded, the base is rewritten, columns come and go: every state reads as it was, every difference leads on."""
    repo = make_repo(f"CREATE TABLE t (id INTEGER {key}, v INTEGER); INSERT INTO t SELECT i, 0 FROM range(400) AS r(i)")
    repo("CALL epoch_ignore('was_*')")
    commits = 120
    for n in range(commits):
        repo(
            f"UPDATE t SET v = {n} WHERE id % 97 = {n % 97}; DELETE FROM t WHERE id = {n * 3}; INSERT INTO t (id, v) VALUES ({1000 + n}, {n})"
        )
        if n % 40 == 20:
            repo("ALTER TABLE t ADD COLUMN w INTEGER DEFAULT 5; UPDATE t SET w = id WHERE id % 50 = 0")
        if n % 40 == 35:
            repo("ALTER TABLE t DROP COLUMN w")
        insert = "INSERT INTO t (id, v) SELECT -id - 1, id FROM range(3) AS r(id)"
        if n % 60 == 50:
            repo(f"{insert}; ALTER TABLE t ALTER v TYPE {'BIGINT' if n < 60 else 'HUGEINT'}")
        repo.commit(str(n))
        repo(f"CREATE TABLE was_{n} AS FROM t")
        if n % 60 == 50:
            repo("DELETE FROM t WHERE id < 0")
    levels = [len(ids) for (ids,) in repo("SELECT level_ids FROM epoch.versions")]
    assert max(levels) <= 12
    for n in range(0, commits, 7):
        assert repo.at(f"main~{commits - 1 - n}", "t") == repo(f"FROM was_{n} ORDER BY ALL")
    for one, other in ((0, commits - 1), (commits - 1, 0), (10, 17), (19, 22), (30, 37), (45, 55), (70, 30)):
        back, forth = f"main~{commits - 1 - one}", f"main~{commits - 1 - other}"
        shared = [c for c, _ in repo.columns(f"FROM was_{one}") if c in dict(repo.columns(f"FROM was_{other}"))]
        went, came = (", ".join(f"{side}_{name}" for name in shared) for side in ("from", "to"))
        diff = f"epoch_diff('{back}', '{forth}', table_name := 't')"
        names = ", ".join(shared)
        led = (
            f"(SELECT {names} FROM was_{one} EXCEPT ALL SELECT {went} FROM {diff} WHERE diff_type <> 'added')"
            f" UNION ALL SELECT {came} FROM {diff} WHERE diff_type <> 'removed'"
        )
        assert repo(f"SELECT * FROM ({led}) ORDER BY ALL") == repo(f"SELECT {names} FROM was_{other} ORDER BY ALL")
    for n in (0, 21, 51, 100):
        repo("CALL epoch_checkout(?)", f"main~{commits - 1 - n}")
        assert repo("FROM t ORDER BY ALL") == repo(f"FROM was_{n} ORDER BY ALL")
