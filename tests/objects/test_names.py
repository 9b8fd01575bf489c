"""Names that are hard to quote: of schemas, tables and columns, of the database file, and of references."""

from __future__ import annotations

import pytest

import epoch_sql
from epoch_sql.model.names import ObjectName
from tests.conftest import MakeRepo, Repo, begun

# fmt: off
NAMES = [
    # What SQL and Python could trip over.
    "select", "Order", "a b", 'a"b', "it's", "a.b", "🦆", "é", "{{x}}", "{{epoch}}", "{{table}}", "{0}", "100%", "%s", "a\\b", "a\nb",
    "\t", " ", "$1", "?", "--", "/*", ";", "(", ",", "x" * 200, "rowid", "NULL", "1", "*",
    # What Epoch calls its own relations and columns.
    "op", "k1", "n1", "o1", "c1", "c0", "n0", "o0", "step", "state", "from_x", "to_x", "epoch", "delta", "base", "target",
    "changes", "present", "copy", "number", "bucket", "checksum", "result", "epoch_state", "key", "multiplicity", "steps",
    "diff_type", "changed_columns", "table_name", "working", "stored", "complete", "net", "existed", "exists_now", "dirty",
    "value", "pending", "position", "copies", "surplus", "main", "shop", "memory", "temp", "system", "epoch_changes_0",
]
# fmt: on


def written(name: str) -> str:
    """The name of a table of schema main as tables of names have it."""
    return str(ObjectName("main", name))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@begun()
def named(repo: Repo) -> None:
    """For each name a keyed table and a bag called so, with columns called so."""
    for name in NAMES:
        table, bag = quoted(name), quoted(f"{name} bag")
        repo(f"CREATE TABLE {table} ({table} INTEGER PRIMARY KEY, {quoted(name + '2')} VARCHAR, plain INTEGER)")
        repo(f"INSERT INTO {table} VALUES (1, 'a', 1), (2, 'b', 2)")
        repo(f"CREATE TABLE {bag} ({table} INTEGER); INSERT INTO {bag} VALUES (1), (1), (2)")
    repo.commit()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tables_and_columns(named: Repo) -> None:
    for name in NAMES:
        table, bag = quoted(name), quoted(f"{name} bag")
        named(f"UPDATE {table} SET {quoted(name + '2')} = 'c' WHERE {table} = 1; DELETE FROM {table} WHERE {table} = 2")
        named(
            f"INSERT INTO {table} VALUES (3, 'd', 3); ALTER TABLE {table} RENAME COLUMN plain TO {quoted(name + '3')}"
        )
        named(f"DELETE FROM {bag} WHERE {table} = 2; INSERT INTO {bag} VALUES (1)")
    status = {row[0]: row[1:] for row in named.status()}
    assert status == {
        **dict.fromkeys(map(written, NAMES), ("schema", 1, 1, 1)),
        **dict.fromkeys([written(f"{name} bag") for name in NAMES], ("modified", 1, 0, 1)),
    }
    named.commit()
    for name in NAMES:
        assert named.at("HEAD", name) == [(1, "c", 1), (3, "d", 3)]
        assert named.at("HEAD~1", name) == [(1, "a", 1), (2, "b", 2)]
        assert named("FROM epoch_diff('HEAD~1', 'HEAD', table_name := ?) ORDER BY 1", name) == [
            ("added", [], None, 3, None, "d", None, 3),
            ("modified", [f"{name}2"], 1, 1, "a", "c", 1, 1),
            ("removed", [], 2, None, "b", None, 2, None),
        ]
        assert [
            c
            for c, _ in named.columns(
                f"FROM epoch_diff('HEAD~1', 'HEAD', table_name := '{name.replace(chr(39), chr(39) * 2)}')"
            )
        ][2:] == [
            *(f"{side}_{name}" for side in ("from", "to")),
            *(f"{side}_{name}2" for side in ("from", "to")),
            "from_plain",
            f"to_{name}3",
        ]
        assert named.at("HEAD", f"{name} bag") == [(1,), (1,), (1,)]
    assert named.one("SELECT count(*) FROM epoch_diff('HEAD~1', 'HEAD')") == 5 * len(NAMES)
    assert sorted(named("SELECT DISTINCT table_name FROM epoch_schema_diff('HEAD~1', 'HEAD')")) == sorted(
        (written(n),) for n in NAMES
    )
    named("CALL epoch_checkout('HEAD~1')")
    for name in NAMES:
        assert named(f"FROM {quoted(name)} ORDER BY ALL") == [(1, "a", 1), (2, "b", 2)]
        assert named(f"FROM {quoted(f'{name} bag')} ORDER BY ALL") == [(1,), (1,), (2,)]
    assert named.status() == []
    named("CALL epoch_checkout('main')")
    assert named.status() == []
    for name in NAMES:
        assert named(f"FROM {quoted(name)} ORDER BY ALL") == [(1, "c", 1), (3, "d", 3)]
        assert named(f"FROM {quoted(f'{name} bag')} ORDER BY ALL") == [(1,), (1,), (1,)]


SCHEMAS = [
    name for name in NAMES if name not in ("epoch", "main", "rowid", "shop", "temp", "system") and len(name) < 100
]


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_schemas(make_repo: MakeRepo) -> None:
    repo = make_repo()
    for name in SCHEMAS:
        schema = quoted(name)
        repo(
            f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.{schema} (i INTEGER PRIMARY KEY); INSERT INTO {schema}.{schema} VALUES (1)"
        )
        repo(f"CREATE VIEW {schema}.seen AS FROM {schema}.{schema}; CREATE SEQUENCE {schema}.counted")
    repo.commit()
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo("SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'shop' AND NOT internal") == [
        ("epoch",)
    ]
    repo("CALL epoch_checkout('main')")
    assert repo.status() == []
    for name in SCHEMAS:
        assert repo(f"FROM {quoted(name)}.seen") == [(1,)]
        assert repo.at("HEAD", f"{name}.{name}") == [(1,)]


def test_a_dot_in_a_name_and_a_schema(make_repo: MakeRepo) -> None:
    repo = make_repo(
        'CREATE SCHEMA a; CREATE TABLE a.b (i INTEGER PRIMARY KEY); CREATE TABLE "a.b" (i INTEGER PRIMARY KEY);'
        'INSERT INTO a.b VALUES (1); INSERT INTO "a.b" VALUES (2)'
    )
    repo('INSERT INTO a.b VALUES (11); INSERT INTO "a.b" VALUES (22), (23)')
    assert repo.status() == [('"a.b"', "modified", 2, 0, 0), ("a.b", "modified", 1, 0, 0)]
    assert repo.commit() == (2, 3, 0, 0)
    assert repo.at("HEAD", "a.b") == [(1,), (11,)]
    assert repo.at("HEAD", "main.a.b") == [(2,), (22,), (23,)]
    assert repo.at("HEAD", "MAIN.A.B") == [(2,), (22,), (23,)]
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo('SELECT (FROM a.b), (FROM "a.b")') == [(1, 2)]


def test_names_are_given_in_any_case_and_shown_as_they_were_made(make_repo: MakeRepo) -> None:
    repo = make_repo('CREATE TABLE "Orders" ("Id" INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)')
    for name in ("orders", "ORDERS", "main.Orders", "MAIN.orders"):
        assert repo.at("HEAD", name) == [(1,)]
    assert repo("SELECT table_name, key_columns FROM epoch_tables()") == [("Orders", ["Id"])]
    assert repo.columns("FROM epoch_at('HEAD', 'orders')") == [("Id", "INTEGER")]


FILES = [
    "epoch.duckdb",
    "main.duckdb",
    "select.db",
    'my shop\'s "best" {{x}}.duckdb',
    "🦆.duckdb",
    "a.b.c.duckdb",
    "shop",
    "temp.duckdb",
]


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("name", FILES)
def test_database_files(make_repo: MakeRepo, name: str) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)", name=name)
    catalog = repo.one("SELECT current_database()")
    repo(f"CREATE SCHEMA {quoted(catalog)}" if catalog not in ("epoch", "main") else "SELECT 1")
    repo("CREATE SCHEMA shop" if catalog != "shop" else "SELECT 1")
    repo("CREATE VIEW v AS FROM t; CREATE MACRO m(a) AS a + 1; CREATE SEQUENCE s; CREATE INDEX ix ON t (i)")
    repo("INSERT INTO t VALUES (2); CREATE TABLE child (i INTEGER REFERENCES t (i), n INTEGER DEFAULT nextval('s'))")
    repo.commit()
    repo.reopen()
    assert repo.status() == []
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo("FROM t") == [(1,)]
    repo.reopen()
    repo("CALL epoch_checkout('main')")
    assert repo("FROM v ORDER BY i") == [(1,), (2,)]
    assert repo("FROM epoch_diff('HEAD~1', 'HEAD', table_name := 't')") == [("added", [], None, 2)]
    assert (repo.path.parent / ".epoch" / "objects").is_dir()


def test_a_schema_named_like_the_database(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE SCHEMA shop.shop; CREATE TABLE shop.shop.shop (shop INTEGER PRIMARY KEY); INSERT INTO shop.shop.shop VALUES (1)",
        name="shop.duckdb",
    )
    repo("INSERT INTO shop.shop.shop VALUES (2)")
    assert repo.status() == [("shop.shop", "modified", 1, 0, 0)]
    repo.commit()
    assert repo.at("HEAD", "shop.shop") == [(1,), (2,)]
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo("FROM shop.shop.shop") == [(1,)]


def test_another_database_may_be_attached(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER)")
    repo("ATTACH ':memory:' AS elsewhere; CREATE TABLE elsewhere.t (i INTEGER); INSERT INTO elsewhere.t VALUES (7)")
    repo("INSERT INTO t VALUES (1)")
    assert repo.status() == [("t", "modified", 1, 0, 0)]
    repo.commit()
    assert repo.at("HEAD", "t") == [(1,)]


REFUSED_REFS = [
    "it's",
    'say "x"',
    "a b",
    "",
    "a..b",
    "-x",
    "HEAD",
    "WORKING",
    "a\nb",
    "x~1",
    "x^",
    "x:y",
    "a\\b",
    "x@{1}",
    "🦆 x",
    "a*",
    "x.lock",
]


@pytest.mark.parametrize("name", REFUSED_REFS)
def test_references_that_break_the_rules_are_refused(repo: Repo, name: str) -> None:
    for call in (
        "epoch_branch(?)",
        "epoch_tag(?)",
        "epoch_checkout(?, new_branch := true)",
        "epoch_branch_rename('main', ?)",
    ):
        assert "EpochReferenceError" in repo.refused(f"CALL {call}", name)
    assert repo("SELECT name FROM epoch_branches() UNION ALL SELECT name FROM epoch_tags()") == [("main",)]


@pytest.mark.grid(every=5)
@pytest.mark.parametrize(
    "name",
    ["feature/x", "🦆", "é", "a.b", "a-b_c", "select", "100%", "{{x}}", "x{y}", "#1", "a,b", "(x)", "v1.0", "Main"],
)
def test_references_that_may_be_odd(make_repo: MakeRepo, name: str) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER)")
    repo("CALL epoch_checkout(?, new_branch := true)", name)
    repo("INSERT INTO t VALUES (1)")
    repo.commit()
    repo("CALL epoch_tag(?)", f"{name}-tag")
    assert repo("FROM epoch_diff('main', ?, table_name := 't')", name) == [("added", [], None, 1)]
    repo("CALL epoch_checkout('main')")
    assert repo.at(f"{name}-tag", "t") == repo.at(name, "t") == [(1,)]
    repo("CALL epoch_branch_rename(?, ?)", name, f"{name}2")
    repo("CALL epoch_branch_delete(?, force := true)", f"{name}2")


def test_an_init_branch_that_breaks_the_rules(make_repo: MakeRepo) -> None:
    repo = make_repo(init=False)
    assert "EpochReferenceError" in repo.refused("CALL epoch_init(branch := 'it''s')")
    assert repo("CALL epoch_init(branch := 'trunk')")[0][0] == "trunk"


def test_what_needs_a_file_says_so() -> None:
    with epoch_sql.connect(":memory:") as connection:
        with pytest.raises(Exception, match="EpochRepositoryError: an in-memory database cannot be versioned"):
            connection.execute("CALL epoch_init()")
