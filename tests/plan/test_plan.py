"""One plan for every way from one state to another: in the order of what depends on what, whatever its kind."""

from __future__ import annotations

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo
from tests.support.databases import Picture, apply, picture, state

pytestmark = pytest.mark.core

RATE = "CREATE MACRO rate() AS 42;"

# What is there, and how it changes: DuckDB refuses to drop or alter what something else depends on.
DEPENDING = {
    "a default that calls a macro": ("", RATE + "CREATE TABLE t (id INTEGER, d INTEGER DEFAULT rate()); INSERT INTO t VALUES (1, 2)"),
    "a check that calls a macro": ("", RATE + "CREATE TABLE t (d INTEGER CHECK (d < rate())); INSERT INTO t VALUES (1)"),
    "a generated column that calls a macro": ("", RATE + "CREATE TABLE t (id INTEGER, d INTEGER AS (id + rate())); INSERT INTO t (id) VALUES (1)"),
    "an index that calls a macro": (
        "CREATE TABLE t (s VARCHAR); INSERT INTO t VALUES ('A');",
        "CREATE MACRO norm(x) AS lower(x); CREATE INDEX ix ON t ((norm(s)))",
    ),
    "only the macro changes": (
        RATE + "CREATE TABLE t (id INTEGER, d INTEGER AS (id + rate())); INSERT INTO t (id) VALUES (1);",
        "DROP TABLE t; DROP MACRO rate; CREATE MACRO rate() AS 43; CREATE TABLE t (id INTEGER, d INTEGER AS (id + rate())); INSERT INTO t (id) VALUES (1)",
    ),
    "only the macro below the macro changes": (
        "CREATE MACRO base() AS 1; CREATE MACRO rate() AS base() + 1; CREATE TABLE t (d INTEGER DEFAULT rate(), CHECK (d > base())); INSERT INTO t VALUES (5);",
        "DROP TABLE t; DROP MACRO rate; DROP MACRO base; CREATE MACRO base() AS 2; CREATE MACRO rate() AS base() + 1;"
        "CREATE TABLE t (d INTEGER DEFAULT rate(), CHECK (d > base())); INSERT INTO t VALUES (5)",
    ),
    "a default that stops calling a macro": (
        RATE + "CREATE TABLE t (d INTEGER DEFAULT rate()); INSERT INTO t VALUES (1);",
        "CREATE OR REPLACE TABLE t (d INTEGER DEFAULT 7); INSERT INTO t VALUES (1); DROP MACRO rate",
    ),
    "macros over macros over a sequence in a default": (
        "",
        "CREATE SEQUENCE q; CREATE MACRO one() AS nextval('q'); CREATE MACRO two() AS one() * 2; CREATE TABLE t (d BIGINT DEFAULT two()); INSERT INTO t VALUES (0)",
    ),
    "a macro that is called like a column": (
        RATE + "CREATE TABLE t (rate INTEGER CHECK (rate < rate())); INSERT INTO t VALUES (1);",
        "DROP TABLE t; DROP MACRO rate; CREATE MACRO rate() AS 50; CREATE TABLE t (rate INTEGER CHECK (rate < rate())); INSERT INTO t VALUES (1)",
    ),
    "a type in columns, a cast, a macro and a view": (
        "",
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE MACRO feel(x) AS CAST(x AS mood); CREATE TABLE t (m mood, s VARCHAR CHECK (CAST(s AS mood) = 'a'));"
        "INSERT INTO t VALUES ('a', 'a'); CREATE VIEW v AS SELECT feel('b') AS f, m FROM t",
    ),
    "a type over a type, the later name first": (
        "CREATE TABLE keep (i INTEGER);",
        "CREATE TYPE z AS ENUM ('a'); CREATE TYPE y AS STRUCT (f z); CREATE TABLE t (c y); INSERT INTO t VALUES ({'f': 'a'})",
    ),
    "a type over a type, the earlier name first": ("CREATE TABLE keep (i INTEGER);", "CREATE TYPE a AS ENUM ('a'); CREATE TYPE b AS STRUCT (f a); CREATE TABLE t (c b[])"),
    "a view over a macro over a table over a macro": (
        RATE + "CREATE TABLE t (i INTEGER DEFAULT rate()); INSERT INTO t VALUES (3);",
        "CREATE MACRO most() AS (SELECT max(i) FROM t); CREATE VIEW v AS SELECT most() AS m; CREATE MACRO rows_of() AS TABLE FROM v",
    ),
    "a view and a table that change places": (
        "CREATE TABLE a (i INTEGER); INSERT INTO a VALUES (1); CREATE VIEW b AS FROM a;",
        "DROP VIEW b; ALTER TABLE a RENAME TO b; CREATE VIEW a AS FROM b",
    ),
    "a column called like a macro, a table and a view": (
        "CREATE TABLE v (m INTEGER, t INTEGER); CREATE MACRO m(t) AS t + 1; CREATE VIEW t AS SELECT m(v.t) AS v FROM v; INSERT INTO v VALUES (1, 2);",
        "DROP VIEW t; CREATE OR REPLACE MACRO m(t) AS t + 2; ALTER TABLE v ADD COLUMN w INTEGER; CREATE VIEW t AS SELECT m(v.t) AS v FROM v",
    ),
    "everything in a schema of its own": (
        "CREATE TABLE keep (i INTEGER);",
        "CREATE SCHEMA s; CREATE MACRO s.rate() AS 1; CREATE SEQUENCE s.q; CREATE TABLE s.p (i INTEGER PRIMARY KEY DEFAULT s.rate());"
        "CREATE TABLE s.c (i INTEGER REFERENCES s.p (i), n BIGINT DEFAULT nextval('s.q')); CREATE VIEW s.v AS FROM s.c",
    ),
    "parents whose macro changes, and their children": (
        RATE + "CREATE TABLE p (i INTEGER PRIMARY KEY DEFAULT rate()); CREATE TABLE c (i INTEGER REFERENCES p (i)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);",
        "DROP TABLE c; DROP TABLE p; DROP MACRO rate; CREATE MACRO rate() AS 1; CREATE TABLE p (i INTEGER PRIMARY KEY DEFAULT rate());"
        "CREATE TABLE c (i INTEGER REFERENCES p (i)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)",
    ),
}  # fmt: skip


def there_and_back(repo: Repo, change: str) -> None:
    """A change: stashed and popped, discarded, committed, left and come back to, reverted."""
    before = picture(repo)
    repo(change)
    after = picture(repo)
    for call, seen in (("epoch_stash()", before), ("epoch_stash_pop()", after)):
        repo(f"CALL {call}")
        assert picture(repo) == seen, call
    repo.commit()
    repo("CALL epoch_branch('old', start := 'HEAD~1')")
    for call, seen in (
        ("epoch_checkout('old')", before),
        ("epoch_checkout('main')", after),
        ("epoch_reset('old', hard := true)", before),
        ("epoch_merge('changed', ff := true)", after),
        ("epoch_revert('HEAD')", before),
        ("epoch_cherry_pick('changed')", after),
    ):
        if call.startswith("epoch_reset"):
            repo("CALL epoch_branch('changed')")
        assert repo.one(f"SELECT warnings FROM {call}") == []
        assert picture(repo) == seen, call
        assert repo.status() == []


@pytest.mark.grid(every=12)
@pytest.mark.parametrize("case", DEPENDING)
@pytest.mark.slow
@pytest.mark.older
def test_everything_goes_and_comes_in_the_order_of_its_dependencies(case: str, make_repo: MakeRepo) -> None:
    start, change = DEPENDING[case]
    repo = make_repo(start)
    there_and_back(repo, change)


@pytest.mark.grid(every=12)
@pytest.mark.parametrize("case", DEPENDING)
def test_patches_keep_that_order(case: str, make_repo: MakeRepo) -> None:
    start, change = DEPENDING[case]
    repo = make_repo(start)
    with duckdb.connect() as con:
        con.execute(start)
        before = state(con)
        repo(change)
        repo.commit()
        apply(con, repo, "HEAD~1", "HEAD")
        assert state(con) == state(repo.con)
        apply(con, repo, "HEAD", "HEAD~1")
        assert state(con) == before


VIEWED = {
    "a table is built anew": "DROP VIEW w; DROP VIEW v; CREATE OR REPLACE TABLE a (i INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);"
    "CREATE VIEW v AS FROM a; CREATE VIEW w AS FROM v",
    "a column goes": "DROP VIEW w; DROP VIEW v; ALTER TABLE a ADD COLUMN j INTEGER; CREATE VIEW v AS FROM a; CREATE VIEW w AS FROM v",
    "a table is renamed": "DROP VIEW w; DROP VIEW v; ALTER TABLE a RENAME TO b; CREATE VIEW v AS FROM b; CREATE VIEW w AS FROM v",
    "only rows change": "INSERT INTO a VALUES (7)",
    "a macro goes": "DROP MACRO f; CREATE MACRO f() AS 1",
}  # fmt: skip


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("change", VIEWED)
def test_what_duckdb_records_of_views_and_macros_is_heeded(change: str, make_repo: MakeRepo) -> None:
    repo = make_repo(
        "SET GLOBAL enable_view_dependencies = true; SET GLOBAL enable_macro_dependencies = true; CREATE TABLE a (i INTEGER);"
        "INSERT INTO a VALUES (1); CREATE VIEW v AS FROM a; CREATE VIEW w AS FROM v; CREATE MACRO f() AS (SELECT max(i) FROM w)"
    )
    if change != "a macro goes":
        repo("DROP MACRO f")
        repo.commit()
    there_and_back(repo, VIEWED[change])


@pytest.mark.grid(every=2)
@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("renames", [["c2"], ["c2", "c3", "c4"]])
def test_a_child_that_was_renamed_does_not_hold_its_parent(
    renames: list[str], reopened: bool, make_repo: MakeRepo
) -> None:
    """DuckDB goes on to know the child by its old name at the parent, and refuses to drop that."""
    repo = make_repo()
    empty = picture(repo)
    repo("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c1 (id INTEGER, pid INTEGER REFERENCES p (id))")
    repo("INSERT INTO p VALUES (1); INSERT INTO c1 VALUES (1, 1)")
    for old, new in zip(["c1", *renames], renames, strict=False):
        repo(f"ALTER TABLE {old} RENAME TO {new}")
    repo.commit()
    full = picture(repo)
    for ref, seen in (("HEAD~1", empty), ("main", full), ("HEAD~1", empty)):
        # DuckDB 1.4 cannot make what depends on each other again in the run in which it dropped it.
        if reopened or duckdb.__version__.startswith("1.4."):
            repo.reopen()
        repo("CALL epoch_checkout(?)", ref)
        assert picture(repo) == seen


def test_a_table_that_is_not_versioned_is_not_dropped_for_its_parent(make_repo: MakeRepo) -> None:
    repo = make_repo()
    repo("CALL epoch_ignore('scratch')")
    repo("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    repo.commit()
    repo("CREATE TABLE scratch (id INTEGER REFERENCES p (id))")
    before: Picture = picture(repo)
    told = repo.refused("CALL epoch_checkout('HEAD~1')")
    assert "EpochTableError: table p cannot be dropped, since scratch refers to it and stays" in told
    assert picture(repo) == before


def test_what_something_unversioned_uses_is_told(make_repo: MakeRepo) -> None:
    repo = make_repo()
    repo("CALL epoch_ignore('*scratch')")
    repo(RATE + "CREATE SCHEMA s")
    repo.commit()
    repo("CREATE TABLE scratch (i INTEGER DEFAULT rate())")
    before = picture(repo)
    told = repo.refused("CALL epoch_checkout('HEAD~1')")
    assert (
        "EpochTableError: macro rate cannot be dropped or altered, since something that is not versioned depends"
        in told
    )
    repo("DROP TABLE scratch; CREATE TABLE s.scratch (i INTEGER)")
    told = repo.refused("CALL epoch_checkout('HEAD~1')")
    assert (
        "EpochTableError: schema s cannot be dropped or altered, since something that is not versioned depends" in told
    )
    repo("DROP TABLE s.scratch; CREATE TABLE scratch (i INTEGER DEFAULT rate())")
    assert picture(repo) == before


def test_patches_leave_out_what_cannot_be_made(make_repo: MakeRepo) -> None:
    """What a view misses is not there in the other database either; hostile names do no harm."""
    hostile = '"x\nDROP TABLE t; --"'
    start = "CREATE TABLE t (i INTEGER, v VARCHAR); CREATE TABLE a (j INTEGER)"
    repo = make_repo(start)
    repo(
        f"CREATE VIEW {hostile} AS SELECT v FROM t; CREATE VIEW over AS FROM {hostile}; CREATE VIEW fine AS SELECT i FROM t; CREATE VIEW b AS FROM a"
    )
    repo("ALTER TABLE t RENAME COLUMN v TO w; DROP TABLE a")
    repo.commit()
    with duckdb.connect() as con:
        con.execute(start)
        before = state(con)
        statements = apply(con, repo, "HEAD~1", "HEAD")
        assert con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall() == [("fine",)]
        assert len([s for s in statements if "is left out: DuckDB could not make it" in s]) == 3
        apply(con, repo, "HEAD", "HEAD~1")
        assert state(con) == before


def test_a_macro_that_an_uncommitted_table_uses_holds_a_merge_up(make_repo: MakeRepo) -> None:
    repo = make_repo(RATE + "CREATE TABLE t (d INTEGER DEFAULT rate()); INSERT INTO t VALUES (1)")
    repo("CALL epoch_checkout('side', new_branch := true)")
    repo("DROP TABLE t; CREATE OR REPLACE MACRO rate() AS 43; CREATE TABLE t (d INTEGER DEFAULT rate()); INSERT INTO t VALUES (1)")  # fmt: skip
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo("INSERT INTO t VALUES (99)")
    before = picture(repo)
    told = repo.refused("CALL epoch_merge('side')")
    assert "EpochDirtyError: table t has uncommitted changes and would have to be rebuilt" in told
    assert picture(repo) == before
    repo.commit()
    repo("CALL epoch_merge('side')")
    repo("INSERT INTO t DEFAULT VALUES")
    assert repo("FROM t ORDER BY d") == [(1,), (43,), (99,)]


@pytest.mark.slow
def test_wide_tables_and_structs_have_patches(make_repo: MakeRepo) -> None:
    columns = ", ".join(f"c{n} INTEGER" for n in range(500))
    fields = ", ".join(f"f{n} INTEGER" for n in range(500))
    start = f"CREATE TABLE w (id INTEGER PRIMARY KEY, s STRUCT ({fields}), {columns}); CREATE TABLE bag ({columns});"
    start += "INSERT INTO w (id, c7) VALUES (1, 2), (2, 3); INSERT INTO bag (c5) VALUES (1), (1)"
    repo = make_repo(start)
    repo("UPDATE w SET c8 = c7; DELETE FROM w WHERE id = 2; DELETE FROM bag; INSERT INTO bag (c6) VALUES (2)")
    repo(f"INSERT INTO w (id, s) VALUES (3, {{{', '.join(f'f{n}: {n}' for n in range(500))}}})")
    with duckdb.connect() as con:
        con.execute(start)
        apply(con, repo, "HEAD", "WORKING")
        assert state(con) == state(repo.con)
