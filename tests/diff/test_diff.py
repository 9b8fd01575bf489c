"""What differs between two references: rows typed and as JSON, statistics, summaries, definitions, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import MakeRepo, Repo

ORDERS = """
    CREATE TABLE orders (id INTEGER PRIMARY KEY, item VARCHAR, amount INTEGER);
    INSERT INTO orders VALUES (1, 'pen', 10), (2, 'cup', 20), (3, 'hat', 30), (4, 'bag', 40)
"""
START = f"""{ORDERS};
    CREATE TABLE log (day INTEGER, what VARCHAR);
    INSERT INTO log VALUES (1, 'in'), (1, 'in'), (1, 'in'), (2, NULL);
    CREATE TABLE same (i INTEGER PRIMARY KEY);
    INSERT INTO same VALUES (1)
"""


def changed(repo: Repo) -> Repo:
    """A tag ``old`` before, and ``new`` after: rows added, modified and removed in a keyed and a keyless table."""
    repo(START)
    repo("CALL epoch_init(); CALL epoch_tag('old')")
    repo("UPDATE orders SET item = 'ink', amount = NULL WHERE id = 1; UPDATE orders SET amount = 21 WHERE id = 2")
    repo("DELETE FROM orders WHERE id = 3; INSERT INTO orders VALUES (5, NULL, 50)")
    repo("DELETE FROM log; INSERT INTO log VALUES (1, 'in'), (2, NULL), (2, NULL), (3, 'out')")
    repo.commit()
    repo("CALL epoch_tag('new'); CALL epoch_branch('twin')")
    return repo


@pytest.fixture
def shop(make_repo: MakeRepo) -> Repo:
    return changed(make_repo(init=False))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """The same, for tests that change nothing."""
    repo = changed(Repo(tmp_path_factory.mktemp("diff") / "shop.duckdb"))
    yield repo
    repo.close()


def test_rows_of_all_tables_as_json(shared: Repo) -> None:
    assert shared.columns("FROM epoch_diff('old', 'new')") == [
        ("table_name", "VARCHAR"),
        ("diff_type", "VARCHAR"),
        ("key", "JSON"),
        ("changed_columns", "VARCHAR[]"),
        ("from_row", "JSON"),
        ("to_row", "JSON"),
    ]
    assert shared("FROM epoch_diff('old', 'new') ORDER BY ALL") == sorted(
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


def test_rows_of_one_table_with_its_types(shared: Repo) -> None:
    call = "epoch_diff('old', 'new', table_name := 'orders')"
    assert shared.columns(f"FROM {call}") == [
        ("diff_type", "VARCHAR"),
        ("changed_columns", "VARCHAR[]"),
        *((f"{side}_id", "INTEGER") for side in ("from", "to")),
        *((f"{side}_item", "VARCHAR") for side in ("from", "to")),
        *((f"{side}_amount", "INTEGER") for side in ("from", "to")),
    ]
    assert shared(f"FROM {call} ORDER BY coalesce(from_id, to_id)") == [
        ("modified", ["item", "amount"], 1, 1, "pen", "ink", 10, None),
        ("modified", ["amount"], 2, 2, "cup", "cup", 20, 21),
        ("removed", [], 3, None, "hat", None, 30, None),
        ("added", [], None, 5, None, None, None, 50),
    ]
    assert shared("FROM epoch_diff('old', 'new', table_name := 'log') ORDER BY ALL") == [
        ("added", [], None, 2, None, None),
        ("added", [], None, 3, None, "out"),
        ("removed", [], 1, None, "in", None),
        ("removed", [], 1, None, "in", None),
    ]


def test_the_other_direction_is_the_mirror_image(shared: Repo) -> None:
    swapped = {"added": "removed", "removed": "added", "modified": "modified"}
    forwards = shared("FROM epoch_diff('old', 'new')")
    mirrored = [(t, swapped[kind], key, columns, after, before) for t, kind, key, columns, before, after in forwards]
    assert sorted(shared("FROM epoch_diff('new', 'old')"), key=str) == sorted(mirrored, key=str)


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
    shop("CREATE TABLE fresh (j VARCHAR); INSERT INTO fresh VALUES ('x'); CREATE TABLE empty (i INTEGER)")
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


def in_schema_of_its_own(repo: Repo, number: int, steps: str) -> None:
    """Run steps in the schema of that number, and commit each."""
    for step in steps.split(" | "):
        repo(f"USE s{number}")
        repo(step)
        repo("USE main")
        if repo.status():
            repo.commit()


@pytest.mark.slow
def test_columns_that_come_go_and_change(make_repo: MakeRepo) -> None:
    repo = make_repo("; ".join(f"CREATE SCHEMA s{n}; USE s{n}; {ORDERS}" for n in range(len(COLUMNS))) + "; USE main")
    repo("CALL epoch_tag('old')")
    for number, history in enumerate(COLUMNS):
        in_schema_of_its_own(repo, number, history)
    swapped = {"added": "removed", "removed": "added", "modified": "modified"}
    for number, (history, expected) in enumerate(COLUMNS.items()):
        orders = f"table_name := 's{number}.orders'"
        assert repo(f"FROM epoch_diff('old', 'HEAD', {orders}) ORDER BY coalesce(from_id, to_id)") == expected, history
        back = repo(f"FROM epoch_diff('HEAD', 'old', {orders})")
        assert {(row[0], row[2], row[3]) for row in back} >= {
            (swapped[row[0]], row[3], row[2]) for row in expected if row[1] != ["note"]
        }, history
    for ref in ("old", "main"):
        repo("CALL epoch_checkout(?)", ref)
        for number, history in enumerate(COLUMNS):
            table = f"s{number}.orders"
            assert repo.at(ref, table) == repo(f"FROM {table} ORDER BY ALL"), history


# A key column, or a column of a table without a key, that changes its type; an old value, the new one, and one in its new type.
KEYS = [
    ("TINYINT", "BIGINT", "1", "1", "5000000000", "6000000000"),
    ("BIGINT", "HUGEINT", "1", "1", "170141183460469231731687303715884105727", "9223372036854775808"),
    ("INTEGER", "UHUGEINT", "1", "1", "340282366920938463463374607431768211455", "340282366920938463463374607431768211454"),
    ("DECIMAL(4, 1)", "DECIMAL(20, 4)", "1.5", "1.5", "5000000000.1234", "5000000000.1235"),
    ("FLOAT", "DOUBLE", "0.5", "0.5", "0.1", "1e300"),
    ("VARCHAR", "INTEGER", "'7'", "7", "8", "9"),
    ("INTEGER", "VARCHAR", "7", "'7'", "'x'", "'07'"),
    ("ENUM ('a', 'b')", "ENUM ('c', 'a')", "'a'", "'a'", "'c'", None),
]  # fmt: skip


@pytest.mark.grid(every=2)
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_keys_that_change_their_type(make_repo: MakeRepo, key: str) -> None:
    """What one side cannot hold is told as what it is, in either direction."""
    tables = enumerate(KEYS)
    repo = make_repo(
        "; ".join(f"CREATE TABLE t{n} (k {k[0]} {key}); INSERT INTO t{n} VALUES ({k[2]})" for n, k in tables)
    )
    for number, (_, type_, _, kept, *more) in enumerate(KEYS):
        rows = ", ".join(f"({value})" for value in (kept, *more) if value)
        repo(f"CREATE OR REPLACE TABLE t{number} (k {type_} {key}); INSERT INTO t{number} VALUES {rows}")
    repo.commit()
    for number, (_, type_, _, _, *more) in enumerate(KEYS):
        new = repo(f"SELECT * FROM (VALUES {', '.join(f'(CAST({v} AS {type_}))' for v in more if v)}) ORDER BY ALL")
        for back, forth, kind, side in (("HEAD~1", "HEAD", "added", "to_k"), ("HEAD", "HEAD~1", "removed", "from_k")):
            found = f"epoch_diff('{back}', '{forth}', table_name := 't{number}')"
            assert repo(f"SELECT {side} FROM {found} ORDER BY ALL") == new, KEYS[number]
            assert repo(f"SELECT DISTINCT diff_type FROM {found}") == [(kind,)]
    repo("CALL epoch_checkout('HEAD~1'); CALL epoch_checkout('main')")
    assert repo.status() == []


UNCASTABLE = [
    ("STRUCT(a INTEGER)", "{'a': 5}", "UNION(n INTEGER, s VARCHAR)", "union_value(n := 5)"),
    ("STRUCT(a INTEGER)", "{'a': 5}", "STRUCT(b INTEGER)", "{'b': 5}"),
    ("STRUCT(a STRUCT(x INTEGER))[]", "[{'a': {'x': 5}}]", "STRUCT(a STRUCT(y INTEGER))[]", "[{'a': {'y': 5}}]"),
    ("INTEGER", "5", "UNION(n INTEGER, s VARCHAR)", "union_value(n := 5)"),
    ("UNION(n INTEGER, s VARCHAR)", "union_value(n := 5)", "INTEGER", "5"),
    ("STRUCT(a INTEGER)", "{'a': 5}", "INTEGER", "5"),
    ("MAP(INTEGER, INTEGER)", "MAP {1: 2}", "INTEGER[]", "[1]"),
    ("INTEGER", "5", "DATE", "DATE '2020-01-01'"),
]


def test_types_that_do_not_cast_to_each_other(make_repo: MakeRepo) -> None:
    """A row is modified where it has a value; NULL stays NULL."""
    repo = make_repo(
        "; ".join(
            f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, v {old}); INSERT INTO t{n} VALUES (1, {value}), (2, NULL);"
            f"CREATE TABLE b{n} (v {old}); INSERT INTO b{n} VALUES ({value}), (NULL)"
            for n, (old, value, _, _) in enumerate(UNCASTABLE)
        )
    )
    for n, (_, _, new, value) in enumerate(UNCASTABLE):
        repo(
            f"CREATE OR REPLACE TABLE t{n} (id INTEGER PRIMARY KEY, v {new}); INSERT INTO t{n} VALUES (1, {value}), (2, NULL)"
        )
        repo(f"CREATE OR REPLACE TABLE b{n} (v {new}); INSERT INTO b{n} VALUES ({value}), (NULL)")
    count = len(UNCASTABLE)
    expected = [
        *((f"b{n}", "schema", 1, 0, 1) for n in range(count)),
        *((f"t{n}", "schema", 0, 1, 0) for n in range(count)),
    ]
    assert repo.status() == expected
    values = [repo.one(f"SELECT v FROM t{n} WHERE id = 1") for n in range(count)]
    repo.commit()
    for n, value in enumerate(values):
        found = repo(f"SELECT from_id, to_v FROM epoch_diff('HEAD~1', 'HEAD', table_name := 't{n}')")
        assert found == [(1, value)], UNCASTABLE[n]
        assert repo(f"SELECT from_id FROM epoch_diff('HEAD', 'HEAD~1', table_name := 't{n}')") == [(1,)]
    for ref in ("HEAD~1", "main"):
        repo("CALL epoch_checkout(?)", ref)
        assert repo.status() == []
    assert [repo.one(f"SELECT v FROM t{n} WHERE id = 1") for n in range(count)] == values


def test_values_that_a_new_type_cannot_hold_are_no_longer_there(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE bag (v VARCHAR); INSERT INTO bag VALUES ('7'), ('x'), (NULL)")
    repo("ALTER TABLE bag ALTER v TYPE INTEGER USING TRY_CAST(v AS INTEGER)")
    repo.commit()
    assert repo("FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'bag') ORDER BY ALL") == [
        ("added", [], None, None),
        ("removed", [], "x", None),
    ]
    assert repo("FROM epoch_diff_stat('HEAD~1', 'HEAD')") == [("bag", 1, 0, 1, 2, 0, 3, 3)]


def test_names_that_meet_after_a_rename(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 10, 20), (2, 11, 21)"
    )
    repo("ALTER TABLE t DROP COLUMN b")
    repo.commit()
    repo("ALTER TABLE t RENAME COLUMN a TO b; UPDATE t SET b = 11 WHERE id = 1")
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


def test_tables_and_references_that_do_not_exist(shared: Repo) -> None:
    assert "EpochTableError: there is no table order in either side (hint: did you mean orders?)" in shared.refused(
        "FROM epoch_diff('old', 'new', table_name := 'order')"
    )
    for function in ("epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"):
        assert "EpochReferenceError: unknown reference 'odl'" in shared.refused(f"FROM {function}('odl', 'new')")
    assert "EpochReferenceError" in shared.refused("FROM epoch_at('', 'orders')")


def test_nothing_differs(shared: Repo) -> None:
    for query in ("epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"):
        columns = shared.columns(f"FROM {query}('old', 'new')")
        for one, other in (("new", "new"), ("new", "twin"), ("HEAD", "WORKING"), ("WORKING", "twin")):
            assert shared(f"FROM {query}(?, ?)", one, other) == []
            assert shared.columns(f"FROM {query}('{one}', '{other}')") == columns


# Ways to the same content.

SAME = {
    "rows in another order": "DELETE FROM orders; INSERT INTO orders FROM (VALUES (4, 'bag', 40), (3, 'hat', 30), (1, 'pen', 10), (2, 'cup', 20))",
    "through another state": "UPDATE orders SET amount = -amount | UPDATE orders SET amount = -amount",
    "through a copy": "CREATE TABLE c AS FROM orders | DELETE FROM orders | INSERT INTO orders FROM c; DROP TABLE c",
    "through another type": "ALTER TABLE orders ALTER amount TYPE BIGINT | ALTER TABLE orders ALTER amount TYPE INTEGER",
    "through another name": "ALTER TABLE orders RENAME TO o | ALTER TABLE o RENAME COLUMN item TO i | ALTER TABLE o RENAME COLUMN i TO item | ALTER TABLE o RENAME TO orders",
    "through a column more": "ALTER TABLE orders ADD COLUMN z INTEGER DEFAULT 1 | ALTER TABLE orders DROP COLUMN z",
    "dropped and made again": "DROP TABLE log | CREATE TABLE log (day INTEGER, what VARCHAR); INSERT INTO log VALUES (2, NULL) | "
    "INSERT INTO log VALUES (1, 'in') | INSERT INTO log VALUES (1, 'in'), (1, 'in')",
    "through an index": "CREATE INDEX x ON orders (item) | DROP INDEX x",
}


@pytest.mark.slow
def test_equal_contents_have_equal_trees_and_no_difference(make_repo: MakeRepo) -> None:
    repo = make_repo("; ".join(f"CREATE SCHEMA s{n}; USE s{n}; {START}" for n in range(len(SAME))) + "; USE main")
    repo("CALL epoch_tag('old')")
    for number, (way, steps) in enumerate(SAME.items()):
        in_schema_of_its_own(repo, number, steps)
        assert repo.tree("HEAD") == repo.tree("old"), way
        for one, other in (("old", "HEAD"), ("WORKING", "old")):
            assert repo("FROM epoch_diff_summary(?, ?)", one, other) == [], way
    for one, other in (("old", "HEAD"), ("HEAD", "old"), ("old", "WORKING"), ("WORKING", "old")):
        for query in ("epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"):
            assert repo(f"FROM {query}(?, ?)", one, other) == []


def test_equal_contents_have_equal_trees_in_two_databases(make_repo: MakeRepo) -> None:
    one = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    other = make_repo("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR)")
    other("INSERT INTO t VALUES (2, 'x'), (3, 'gone'), (1, 'a')")
    other.commit()
    other("DELETE FROM t WHERE id = 3; UPDATE t SET v = 'b' WHERE id = 2")
    other.commit()
    assert other.tree() == one.tree()
    other("ALTER TABLE t ADD COLUMN w INTEGER")
    other.commit()
    other("ALTER TABLE t DROP COLUMN w")
    other.commit()
    assert other.tree() == one.tree()


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


def test_a_summary_reads_no_row(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v DOUBLE); INSERT INTO t VALUES (1, 0.0), (2, 'nan');"
        "CREATE TABLE bag (n INTEGER); INSERT INTO bag VALUES (1), (1); CREATE TABLE gone AS SELECT 1 AS a; CREATE TABLE e (a INTEGER)"
    )
    repo("CALL epoch_tag('v1')")
    repo(
        "UPDATE t SET v = 1 WHERE id = 1; DELETE FROM bag; INSERT INTO bag VALUES (1); DROP TABLE gone; DROP TABLE e; CREATE TABLE made AS SELECT 'x' AS b, 2 AS c"
    )
    repo.commit()
    repo("CALL epoch_tag('v2')")
    repo("UPDATE t SET v = -0.0 WHERE id = 1; INSERT INTO bag VALUES (1); ALTER TABLE t ALTER v SET DEFAULT 5")
    repo.commit()
    (repo.path.parent / ".epoch" / "objects").rename(repo.path.parent / ".epoch" / "away")
    assert "is missing" in repo.refused("FROM epoch_diff('v1', 'v2')")
    assert repo("FROM epoch_diff_summary('v1', 'v2') ORDER BY ALL") == [
        ("bag", "modified", True, False),
        ("e", "removed", False, True),
        ("gone", "removed", True, True),
        ("made", "added", True, True),
        ("t", "modified", True, False),
    ]
    # There and back is no change, and neither is another zero.
    assert repo("FROM epoch_diff_summary('v1', 'HEAD') WHERE table_name IN ('bag', 't')") == [
        ("t", "modified", False, True)
    ]
