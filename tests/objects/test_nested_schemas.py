"""Schemas within schemas (DuckDB 2.0): a schema is a path wherever it is named, read or written."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo

BASE = """
    CREATE SCHEMA a; CREATE SCHEMA a.b; CREATE SCHEMA a.b.c; CREATE SCHEMA b; CREATE SCHEMA "a.b"; CREATE SCHEMA main.sub; CREATE SCHEMA sub;
    CREATE SCHEMA a.epoch; CREATE SCHEMA shop;
    CREATE TYPE a.b.mood AS ENUM ('sad', 'glad'); CREATE SEQUENCE a.b.numbers START 5; CREATE SEQUENCE b.numbers;
    CREATE MACRO a.b.m(q, r := 3) AS q + r; CREATE MACRO b.m(q) AS q * 2; CREATE MACRO a.b.c.m(q) AS a.b.m(q); CREATE MACRO m(q) AS q;
    CREATE TABLE a.b.x (i INTEGER PRIMARY KEY, v VARCHAR); CREATE TABLE b.x (i INTEGER); CREATE TABLE x (i INTEGER);
    CREATE TABLE "a.b".x (i INTEGER PRIMARY KEY); CREATE TABLE a.b.c.x (i INTEGER); CREATE TABLE "a.b" (i INTEGER); CREATE TABLE a.b (i INTEGER);
    CREATE TABLE main.sub.x (i INTEGER); CREATE TABLE sub.x (i INTEGER); CREATE TABLE a.epoch.commits (i INTEGER); CREATE TABLE shop.x (i INTEGER);
    CREATE TABLE a.b.child (i INTEGER DEFAULT nextval('a.b.numbers'), f INTEGER REFERENCES a.b.x (i), w a.b.mood, CHECK (a.b.m(f) > 0));
    CREATE INDEX by_v ON a.b.x (v); CREATE UNIQUE INDEX by_i ON "a.b".x (i);
    CREATE VIEW a.b.v AS SELECT i, a.b.m(i) AS n FROM a.b.x; CREATE VIEW b.v AS FROM a.b.v; CREATE MACRO a.b.t() AS TABLE FROM a.b.x;
    COMMENT ON TABLE a.b.x IS 'table'; COMMENT ON COLUMN a.b.x.v IS 'column'; COMMENT ON INDEX a.b.by_v IS 'index'; COMMENT ON VIEW a.b.v IS 'view';
    COMMENT ON COLUMN a.b.v.n IS 'column of a view'; COMMENT ON MACRO a.b.m IS 'macro'; COMMENT ON MACRO TABLE a.b.t IS 'table macro';
    COMMENT ON SEQUENCE a.b.numbers IS 'sequence'; COMMENT ON TYPE a.b.mood IS 'type';
    CREATE TRIGGER noted AFTER INSERT ON a.b.x REFERENCING NEW TABLE AS n FOR EACH STATEMENT INSERT INTO a.b.c.x SELECT i FROM n;
    INSERT INTO a.b.x VALUES (1, 'one'), (2, 'two'); INSERT INTO b.x VALUES (10); INSERT INTO x VALUES (20); INSERT INTO "a.b".x VALUES (30);
    INSERT INTO a.b.child (f, w) VALUES (2, 'glad'); INSERT INTO main.sub.x VALUES (40); INSERT INTO sub.x VALUES (50);
    INSERT INTO a.epoch.commits VALUES (60); INSERT INTO "a.b" VALUES (70); INSERT INTO a.b VALUES (80); INSERT INTO shop.shop.x VALUES (90);
"""
TABLES = (
    *("a.b.x", "a.b.child", "a.b.c.x", "b.x", "x", '"a.b".x', "main.sub.x", "sub.x", "a.epoch.commits"),
    *("shop.x", '"a.b"', "a.b"),
)
NOTHING_NESTED = """
    DROP TABLE a.b.child; DROP VIEW b.v; DROP VIEW a.b.v; DROP TABLE a.b.x; DROP SCHEMA a.b CASCADE; DROP SCHEMA a CASCADE;
    DROP SCHEMA "a.b" CASCADE; DROP SCHEMA main.sub CASCADE
"""


def picture(ask: Any) -> dict[str, Any]:
    """All that is defined, but for what Epoch itself made, with its comments; and the rows of all tables."""
    paths: dict[int, str] = {}
    for oid, name, parent in ask(
        "SELECT oid, schema_name, parent_schema_oid FROM duckdb_schemas() WHERE database_name = current_database() ORDER BY oid"
    ):
        paths[oid] = f'{paths[parent]}."{name}"' if parent else f'"{name}"'
    tables = ask("SELECT schema_oid, table_name, comment FROM duckdb_tables() WHERE database_name = current_database()")
    found: dict[str, Any] = {
        f'{paths[oid]}."{name}"': (comment, sorted(ask(f'FROM {_database(ask)}.{paths[oid]}."{name}"'), key=str))
        for oid, name, comment in tables
        if paths[oid] != '"epoch"'
    }
    found["schemas"] = sorted(path for path in paths.values() if path != '"epoch"')
    for kind in ("view", "index", "sequence", "type"):
        rows = ask(
            f"SELECT schema_oid, {kind}_name, comment FROM duckdb_{_plural(kind)}() WHERE database_name = current_database() {_OWN.get(kind, '')}"
        )
        found[kind] = sorted(((paths[oid], *row) for oid, *row in rows if paths[oid] != '"epoch"'), key=str)
    found["macros"] = sorted(
        ask(
            "SELECT schema_name, function_name, macro_definition, comment FROM duckdb_functions() WHERE NOT internal AND function_name IN ('m', 't')"
        ),
        key=str,
    )
    found["columns"] = sorted(
        ask("SELECT table_name, column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL")
    )
    found["triggers"] = ask("SELECT schema_name, table_name, trigger_name FROM duckdb_triggers()")
    return found


_OWN = {"view": "AND NOT internal", "type": "AND NOT internal"}


def _plural(kind: str) -> str:
    return "indexes" if kind == "index" else f"{kind}s"


def _database(ask: Any) -> str:
    return f'"{ask("SELECT current_database()")[0][0]}"'


@pytest.fixture
def nested(make_repo: MakeRepo) -> Repo:
    """A repository with two tables of each name that could be taken for another."""
    return make_repo(BASE.replace("CREATE TABLE shop.x", "CREATE TABLE shop.shop.x"))


def test_each_table_is_one_of_its_own(nested: Repo) -> None:
    counts = dict(nested("SELECT table_name, row_count FROM epoch_tables() WHERE row_count IS NOT NULL"))
    assert counts == {**dict.fromkeys(TABLES, 1), "a.b.x": 2, "a.b.c.x": 2}
    nested(
        'DELETE FROM a.b.c.x; DELETE FROM b.x; UPDATE "a.b".x SET i = 31; INSERT INTO main.sub.x VALUES (41); DELETE FROM a.epoch.commits'
    )
    changed = {row[0]: row[1:] for row in nested.status()}
    assert changed == {
        '"a.b".x': ("modified", 1, 0, 1),
        "a.b.c.x": ("modified", 0, 0, 2),
        "a.epoch.commits": ("modified", 0, 0, 1),
        "b.x": ("modified", 0, 0, 1),
        "main.sub.x": ("modified", 1, 0, 0),
    }
    nested.commit()
    for name in TABLES:
        assert len(nested.at("HEAD~1", name)) == counts[name]
        assert len(nested("FROM epoch_diff('HEAD~1', 'HEAD', table_name := ?)", name)) == (
            sum(changed[name][1:]) if name in changed else 0
        )
        assert nested("FROM epoch_log(table_name := ?)", name)
    assert nested("SELECT DISTINCT table_name FROM epoch_diff('HEAD~1', 'HEAD') ORDER BY 1") == [
        (name,) for name in sorted(changed)
    ]


@pytest.mark.slow
def test_going_away_and_coming_back(nested: Repo, make_repo: MakeRepo, tmp_path: Any) -> None:
    main = picture(nested)
    assert nested.status() == []
    nested("CALL epoch_checkout('flat', new_branch := true)")
    nested(NOTHING_NESTED)
    nested.commit()
    flat = picture(nested)
    for ref, expected in (("main", main), ("flat", flat), ("main", main)):
        nested("CALL epoch_checkout(?)", ref)
        assert picture(nested) == expected
        assert nested.status() == []
        nested.reopen()
        assert nested.status() == []
    nested("CALL epoch_merge('flat')")
    assert picture(nested) == flat
    nested("CALL epoch_revert('HEAD')")
    assert picture(nested) == main
    nested("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    nested("CALL epoch_push()")
    clone = make_repo(init=False)
    clone("CALL epoch_clone(?)", str(tmp_path / "store"))
    assert picture(clone) == main
    assert clone.status() == nested("CALL epoch_fsck()") == clone("CALL epoch_fsck()") == []


def test_patches_name_the_whole_path(make_repo: MakeRepo) -> None:
    repo = make_repo(name="other.duckdb")
    repo(BASE.replace("shop.shop", "shop"))
    repo.commit()
    main = picture(repo)
    con = duckdb.connect()
    for from_ref, to_ref in (("HEAD~1", "HEAD"), ("HEAD", "HEAD~1"), ("HEAD~1", "HEAD")):
        for (statement,) in repo("SELECT statement FROM epoch_patch(?, ?) ORDER BY statement_order", from_ref, to_ref):
            con.execute(statement)
    assert picture(lambda sql: con.execute(sql).fetchall()) == main


def test_queries_as_of_a_reference_read_the_whole_path(nested: Repo) -> None:
    nested(
        'DELETE FROM a.b.child; DELETE FROM a.b.x; DELETE FROM b.x; DELETE FROM x; DELETE FROM "a.b".x; DELETE FROM "a.b"; DELETE FROM a.b'
    )
    for query, expected in {
        "FROM a.b.x ORDER BY ALL": [(1, "one"), (2, "two")],
        "FROM shop.a.b.x WHERE i = 1": [(1, "one")],
        "SELECT a.b.x.i, shop.a.b.x.v, x.i FROM a.b.x WHERE a.b.x.i = 2": [(2, "two", 2)],
        "FROM b.x": [(10,)],
        "FROM x": [(20,)],
        'FROM "a.b".x': [(30,)],
        'FROM "a.b"': [(70,)],
        "FROM a.b": [(80,)],
        "SELECT n FROM a.b.v WHERE i = 1": [(4,)],
        "SELECT n FROM b.v WHERE i = 2": [(5,)],
        "WITH x AS (SELECT 5 AS i) SELECT x.i, o.i FROM x, a.b.x AS o WHERE o.i = 1": [(5, 1)],
    }.items():
        assert nested("FROM epoch_query('HEAD', ?)", query) == expected, query
    assert "no table a.b.nothing in HEAD" in nested.refused("FROM epoch_query('HEAD', 'FROM a.b.nothing')")


def test_keys_ignored_names_and_renames(nested: Repo) -> None:
    nested("CALL epoch_key('a.b.c.x', ['i']); CALL epoch_key('b.x', ['i'])")
    assert nested.status() == [("a.b.c.x", "schema", 0, 0, 0), ("b.x", "schema", 0, 0, 0)]
    nested.commit()
    nested("UPDATE a.b.c.x SET i = 5 WHERE i = 1; ALTER TABLE a.b.child RENAME TO kid")
    assert nested.status() == [("a.b.c.x", "modified", 1, 0, 1), ("a.b.kid", "renamed", 0, 0, 0)]
    nested.commit()
    nested(
        "CREATE SCHEMA a.tmp; CREATE TABLE a.tmp.x (i INTEGER); CREATE TABLE tmp (i INTEGER); CALL epoch_ignore('a.tmp.*')"
    )
    assert [row[0] for row in nested.status()] == ["a.tmp", "tmp"]


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.slow
def test_conflicts_name_the_whole_path(nested: Repo, side: str) -> None:
    nested("DELETE FROM a.b.child; CALL epoch_commit('no row refers to another')")
    nested("CALL epoch_checkout('theirs', new_branch := true)")
    nested(
        "UPDATE a.b.x SET v = 'theirs'; UPDATE \"a.b\".x SET i = 33; CREATE OR REPLACE MACRO a.b.c.m(q) AS q + 7; CALL epoch_commit('t')"
    )
    nested("CALL epoch_checkout('main')")
    nested(
        "UPDATE a.b.x SET v = 'ours' WHERE i = 1; CREATE OR REPLACE MACRO a.b.c.m(q) AS q + 8; CALL epoch_commit('o')"
    )
    nested.refused("CALL epoch_merge('theirs')")
    assert [row[0] for row in nested("FROM epoch_conflicts() ORDER BY 1")] == ["a.b.c.m", "a.b.x"]
    nested("CALL epoch_resolve('a.b.x', side := ?); CALL epoch_resolve('a.b.c.m', side := ?)".replace("?", f"'{side}'"))
    nested("CALL epoch_merge_continue()")
    assert nested("FROM a.b.x ORDER BY i") == [(1, side), (2, "theirs")]
    assert nested('SELECT a.b.c.m(0), i FROM "a.b".x') == [({"ours": 8, "theirs": 7}[side], 33)]
    assert nested("FROM b.x") == [(10,)] and nested.status() == []
