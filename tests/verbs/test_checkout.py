"""A checkout makes the working database equal to a commit, whatever constrains its tables, and loses nothing unasked."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo, begun
from tests.support.databases import picture

FAMILY = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR, tags VARCHAR[]);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id), v INTEGER CHECK (v > 0));
    INSERT INTO parent VALUES (1, 'a', ['x']), (2, 'b', NULL), (3, 'c', []);
    INSERT INTO child VALUES (1, 1, 5), (2, 2, 6), (3, NULL, 7);
"""
TREE = """
    CREATE TABLE tree (id INTEGER PRIMARY KEY, up INTEGER REFERENCES tree (id), name VARCHAR);
    INSERT INTO tree VALUES (1, NULL, 'root'); INSERT INTO tree VALUES (2, 1, 'a'), (3, 1, 'b'); INSERT INTO tree VALUES (4, 3, 'c');
"""
UNIQUE = """
    CREATE TABLE u (id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b VARCHAR, UNIQUE (b, a));
    INSERT INTO u VALUES (1, 10, 'x'), (2, 20, 'y'), (3, 30, 'z'); CREATE UNIQUE INDEX by_b ON u (b);
"""
COMPUTED = """
    CREATE TABLE g (id INTEGER PRIMARY KEY, a INTEGER, d INTEGER GENERATED ALWAYS AS (a * 2), e INTEGER GENERATED ALWAYS AS (d + 1),
        b VARCHAR DEFAULT 'x');
    INSERT INTO g (id, a) VALUES (1, 5), (2, 6);
"""
NUMBERED = """
    CREATE SEQUENCE numbers START 5; CREATE TABLE n (id INTEGER DEFAULT nextval('numbers'), v INTEGER);
    INSERT INTO n (v) VALUES (1), (2);
"""
VIEWS = "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT * FROM t; CREATE VIEW w AS SELECT * FROM v;"

CHANGES = [
    # Parents and children that come and go together, both ways.
    (FAMILY, "DELETE FROM child WHERE id = 2; DELETE FROM parent WHERE id = 2"),
    (FAMILY, "INSERT INTO parent VALUES (9, 'z', NULL); INSERT INTO child VALUES (7, 9, 1)"),
    (FAMILY, "INSERT INTO parent VALUES (9, 'z', NULL); UPDATE child SET parent = 9 WHERE id = 1; DELETE FROM parent WHERE id = 1"),
    (FAMILY, "UPDATE parent SET name = upper(name)"),
    (FAMILY, "DELETE FROM child WHERE id = 1; UPDATE parent SET tags = ['y'] WHERE id = 1; INSERT INTO child VALUES (1, 1, 5)"),
    (FAMILY, "DROP TABLE child; DROP TABLE parent"),
    (FAMILY, "ALTER TABLE parent ADD COLUMN z INTEGER DEFAULT 5"),
    (FAMILY, "DROP TABLE child; ALTER TABLE parent ALTER name TYPE BLOB USING encode(name)"),
    (FAMILY, "DROP TABLE child; DROP TABLE parent; CREATE TABLE parent (id VARCHAR PRIMARY KEY);"
             " CREATE TABLE child (id INTEGER PRIMARY KEY, parent VARCHAR REFERENCES parent (id)); INSERT INTO parent VALUES ('x')"),
    (FAMILY, "CREATE TABLE grandchild (id INTEGER REFERENCES child (id)); INSERT INTO grandchild VALUES (1), (1), (2)"),
    # A table that refers to itself.
    (TREE, "INSERT INTO tree VALUES (5, 4, 'd'); INSERT INTO tree VALUES (6, 5, 'e')"),
    (TREE, "DELETE FROM tree WHERE id = 4; DELETE FROM tree WHERE id = 3"),
    (TREE, "UPDATE tree SET name = name || '!'"),
    (TREE, "DROP TABLE tree"),
    # Unique values that change places.
    (UNIQUE, "UPDATE u SET a = 60 - a - 30 WHERE id IN (1, 2)"),
    (UNIQUE, "UPDATE u SET a = -a; UPDATE u SET a = CASE a WHEN -10 THEN 20 WHEN -20 THEN 10 ELSE 30 END"),
    (UNIQUE, "DELETE FROM u WHERE id = 1; INSERT INTO u VALUES (4, 10, 'x')"),
    (UNIQUE, "UPDATE u SET b = 'w' WHERE id = 1; UPDATE u SET b = 'x' WHERE id = 2"),
    (UNIQUE, "UPDATE u SET id = id + 1"),
    (UNIQUE, "DROP INDEX by_b"),
    (UNIQUE, "DROP INDEX by_b; CREATE INDEX by_b ON u (a, b)"),
    (UNIQUE, "ALTER TABLE u ADD COLUMN c INTEGER; UPDATE u SET c = id; CREATE UNIQUE INDEX by_c ON u (c)"),
    # Generated columns, defaults, checks.
    (COMPUTED, "UPDATE g SET a = 7 WHERE id = 1; INSERT INTO g (id) VALUES (9)"),
    (COMPUTED, "ALTER TABLE g ADD COLUMN z INTEGER DEFAULT 9"),
    (COMPUTED, "ALTER TABLE g DROP COLUMN b"),
    (COMPUTED, "ALTER TABLE g ALTER b SET DEFAULT 'it''s'; INSERT INTO g (id) VALUES (3)"),
    (COMPUTED, "CREATE OR REPLACE TABLE g (id INTEGER PRIMARY KEY, a INTEGER, d INTEGER GENERATED ALWAYS AS (a * 3))"),
    (COMPUTED, "CREATE OR REPLACE TABLE g (id INTEGER PRIMARY KEY, a INTEGER NOT NULL CHECK (a > 1))"),
    # Sequences, types, schemas, views, macros.
    (NUMBERED, "INSERT INTO n (v) VALUES (3)"),
    (NUMBERED, "DROP TABLE n; DROP SEQUENCE numbers; CREATE SEQUENCE numbers INCREMENT BY 10; CREATE TABLE n (id INTEGER DEFAULT nextval('numbers'), v INTEGER)"),
    ("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE e (m mood); INSERT INTO e VALUES ('a');",
     "DROP TABLE e; DROP TYPE mood; CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE e (m mood); INSERT INTO e VALUES ('a'), ('b')"),
    ("CREATE SCHEMA s; CREATE TYPE s.m AS ENUM ('x'); CREATE TABLE s.e (m s.m); INSERT INTO s.e VALUES ('x'); CREATE VIEW s.v AS FROM s.e;",
     "DROP SCHEMA s CASCADE"),
    (VIEWS, "CREATE OR REPLACE VIEW v AS SELECT i, 1 AS j FROM t"),
    (VIEWS, "DROP VIEW w; DROP VIEW v; CREATE TABLE v (i INTEGER)"),
    (VIEWS, "ALTER TABLE t RENAME TO t2; CREATE OR REPLACE VIEW v AS FROM t2"),
    (VIEWS, "DROP VIEW w; DROP VIEW v; DROP TABLE t; CREATE VIEW t AS SELECT 1 AS i"),
    ("CREATE MACRO f(a) AS a + 1; CREATE VIEW v AS SELECT f(1) AS x;", "CREATE OR REPLACE MACRO f(a, b := 2) AS a + b"),
    # Names that change places, or only their case.
    ("CREATE TABLE a (i INTEGER); CREATE TABLE b (j INTEGER); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);",
     "ALTER TABLE a RENAME TO z; ALTER TABLE b RENAME TO a; ALTER TABLE z RENAME TO b"),
    ("CREATE TABLE a (i INTEGER PRIMARY KEY); CREATE TABLE b (i INTEGER PRIMARY KEY); INSERT INTO a VALUES (1), (5); INSERT INTO b VALUES (2);",
     "ALTER TABLE a RENAME TO z; ALTER TABLE b RENAME TO a; ALTER TABLE z RENAME TO b"),
    ("CREATE TABLE a (i INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);", 'ALTER TABLE a RENAME TO "A"; ALTER TABLE a RENAME COLUMN i TO "I"'),
    # Odd keys and columns.
    ("CREATE TABLE t (a INTEGER, b VARCHAR, PRIMARY KEY (b, a)); INSERT INTO t VALUES (1, 'x');", "INSERT INTO t VALUES (2, 'x'); UPDATE t SET a = 5 WHERE a = 1"),
    ("CREATE TABLE t (c VARCHAR COLLATE NOCASE PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('a', 1), ('B', 2);",
     "UPDATE t SET v = 3 WHERE c = 'A'; DELETE FROM t WHERE c = 'b'; INSERT INTO t VALUES ('C', 3)"),
    ("CREATE TABLE t (c VARCHAR COLLATE NOCASE PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('a', 1);", "DELETE FROM t; INSERT INTO t VALUES ('A', 1)"),
    ("CREATE TABLE t (rowid INTEGER, x INTEGER); INSERT INTO t VALUES (7, 1), (7, 1), (7, 2);", "DELETE FROM t WHERE x = 2; INSERT INTO t VALUES (7, 1)"),
    ("CREATE TABLE t (rowid INTEGER, x INTEGER); INSERT INTO t VALUES (7, 1), (7, 1), (7, 1);", "CREATE OR REPLACE TABLE t AS SELECT 7 AS rowid, 1 AS x"),
    ("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER); INSERT INTO t VALUES (1, 2);", "CREATE OR REPLACE TABLE t (b INTEGER, a INTEGER PRIMARY KEY); INSERT INTO t VALUES (2, 1)"),
    ("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (1);", "ALTER TABLE t ADD COLUMN b INTEGER; UPDATE t SET b = rowid; ALTER TABLE t ADD PRIMARY KEY (b)"),
]  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A repository without a table, at the branch ``main``, which tests leave as they find it."""
    repo = Repo(tmp_path_factory.mktemp("checkout") / "shop.duckdb")
    repo("CALL epoch_init()")
    yield repo
    repo.close()


@pytest.mark.grid(every=15)
@pytest.mark.parametrize(("start", "change"), CHANGES, ids=[change[:60] for _, change in CHANGES])
def test_back_and_forth(empty: Repo, start: str, change: str) -> None:
    repo, nothing = empty, picture(empty)
    repo("CALL epoch_checkout('case', new_branch := true)")
    repo(start)
    repo.commit()
    before = picture(repo)
    repo(change)
    after = picture(repo)
    repo.commit()
    repo("CALL epoch_tag('before', 'HEAD~1')")
    for ref, seen in (("before", before), ("case", after), ("before", before)):
        repo("CALL epoch_checkout(?)", ref)
        assert picture(repo) == seen
        assert repo.status() == []
    for table in after.rows:
        assert len(repo.at("case", table)) == len(after.rows[table])
    repo(
        "CALL epoch_checkout('main'); CALL epoch_branch_delete('case', force := true); CALL epoch_tag_delete('before')"
    )
    assert picture(repo) == nothing


def test_constraints_hold_after_a_checkout(make_repo: MakeRepo) -> None:
    repo = make_repo(FAMILY + TREE + UNIQUE + COMPUTED + NUMBERED)
    repo(
        "DELETE FROM child WHERE id = 2; DELETE FROM parent WHERE id = 2; DROP TABLE u; UPDATE tree SET name = 'q'; TRUNCATE g"
    )
    repo.commit()
    repo("CALL epoch_checkout('HEAD~1')")
    for refused in (
        "INSERT INTO child VALUES (50, 99, 1)",
        "INSERT INTO child VALUES (50, 1, -1)",
        "DELETE FROM parent WHERE id = 2",
        "INSERT INTO tree VALUES (9, 99, 'x')",
        "INSERT INTO u VALUES (9, 10, 'q')",
        "INSERT INTO u VALUES (9, 90, 'x')",
        "INSERT INTO u VALUES (1, 90, 'q')",
    ):
        assert "Constraint Error" in repo.refused(refused)
    repo("INSERT INTO g (id, a) VALUES (9, 1); INSERT INTO n (v) VALUES (9)")
    assert repo("SELECT d, e, b FROM g WHERE id = 9") == [(2, 3, "x")]
    assert repo("SELECT id FROM n WHERE v = 9") == [(7,)]


def test_a_checkout_that_changes_nothing_leaves_sequences_where_they_are(make_repo: MakeRepo) -> None:
    repo = make_repo(NUMBERED)
    repo("CALL epoch_branch('other')")
    repo("SELECT nextval('numbers')")
    assert repo("SELECT tables_changed FROM epoch_checkout('other')") == [(0,)]
    assert repo.one("SELECT nextval('numbers')") == 8


def test_views_can_be_read_after_their_tables_changed(make_repo: MakeRepo) -> None:
    """DuckDB 1.4 keeps the columns that a view had, though its text has none."""
    repo = make_repo(
        "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT * FROM t;"
        "CREATE VIEW w AS SELECT * FROM v; COMMENT ON VIEW w IS 'both'; CREATE VIEW narrow AS SELECT i FROM t;"
        "CREATE TABLE gone (i INTEGER); CREATE VIEW broken AS SELECT * FROM gone"
    )
    repo("DROP TABLE gone; ALTER TABLE t ADD COLUMN j INTEGER DEFAULT 5; CREATE OR REPLACE VIEW v AS SELECT * FROM t")
    repo("CREATE OR REPLACE VIEW w AS SELECT * FROM v; COMMENT ON VIEW w IS 'both'")
    repo.commit()
    for ref, rows in (("HEAD~1", [(1,)]), ("main", [(1, 5)]), ("HEAD~1", [(1,)])):
        repo("CALL epoch_checkout(?)", ref)
        assert (repo("FROM v"), repo("FROM w"), repo("FROM narrow")) == (rows, rows, [(1,)])
        assert repo.status() == []
        assert len(repo("SELECT 1 FROM duckdb_views() WHERE view_name IN ('v', 'w', 'narrow', 'broken')")) == 4
    assert repo("FROM broken") == []


def test_tables_come_again_with_their_sequences_and_types(make_repo: MakeRepo) -> None:
    """DuckDB 1.4 cannot commit that before the database was closed, which is then told."""
    repo = make_repo("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE e (m mood); INSERT INTO e VALUES ('a');" + NUMBERED)
    before = picture(repo)
    repo("DROP TABLE e; DROP TYPE mood; DROP TABLE n; DROP SEQUENCE numbers")
    repo.commit()
    repo("CALL epoch_checkout('HEAD~1')")
    assert picture(repo) == before
    repo.reopen()
    repo("CALL epoch_checkout('main')")
    if duckdb.__version__.startswith("1.4."):
        told = repo.refused("CALL epoch_checkout('HEAD~1')")
        assert "EpochTransactionError: DuckDB 1.4 cannot make a table" in told
        assert "close the database, open it again, then retry" in told
        assert picture(repo).rows == {}
        repo.reopen()
    repo("CALL epoch_checkout('HEAD~1')")
    assert picture(repo) == before


# What would be lost.


@begun(
    "CREATE TABLE a (i INTEGER PRIMARY KEY); CREATE TABLE b (i INTEGER); CREATE TABLE c (i INTEGER); CREATE TABLE d (i INTEGER)"
)
def shop(repo: Repo) -> None:
    repo("CALL epoch_branch('other')")
    repo("INSERT INTO a VALUES (1)")
    repo.commit()


DIRTY = {
    "INSERT INTO b VALUES (1)": "uncommitted changes in b would be lost by checkout other",
    "INSERT INTO b VALUES (1); DROP TABLE c; CREATE TABLE e (j VARCHAR)": "uncommitted changes in b, c, e would be lost",
    "INSERT INTO b VALUES (1); DROP TABLE c; DROP TABLE d; CREATE TABLE e (j VARCHAR)": "uncommitted changes in b, c, d and 1 more would",
    "CREATE VIEW v AS SELECT 1": "uncommitted changes in v would be lost",
    "COMMENT ON TABLE a IS 'x'": "uncommitted changes in a would be lost",
}


def test_uncommitted_changes_are_named_and_kept(shop: Repo) -> None:
    for change, told in DIRTY.items():
        shop(change)
        before = picture(shop)
        message = shop.refused("CALL epoch_checkout('other')")
        assert f"EpochDirtyError: {told}" in message
        assert "or force, to lose them" in message
        assert picture(shop) == before
        assert shop("SELECT branch FROM epoch_head()") == [("main",)]
        assert shop("CALL epoch_checkout('other', force := true)")[0][0] == "other"
        assert shop.status() == []
        shop("CALL epoch_checkout('main')")
        assert shop("FROM a") == [(1,)]


def test_a_checkout_tells_what_it_did(shop: Repo) -> None:
    assert shop.columns("FROM epoch_checkout('other')") == [
        ("branch", "VARCHAR"),
        ("commit_id", "VARCHAR"),
        ("tables_changed", "BIGINT"),
        ("warnings", "VARCHAR[]"),
    ]
    main = shop.head()
    ((branch, commit_id, changed, _),) = shop("CALL epoch_checkout('other')")
    assert (branch, commit_id, changed) == ("other", shop.head(), 1)
    assert shop("CALL epoch_checkout('main')") == [("main", main, 1, [])]
    assert shop("CALL epoch_checkout('main')") == [("main", main, 0, [])]
    assert shop("CALL epoch_checkout('third', new_branch := true)") == [("third", main, 0, [])]
    assert shop("SELECT name FROM epoch_branches() WHERE is_current") == [("third",)]


def test_a_new_branch_takes_uncommitted_changes_along(shop: Repo) -> None:
    shop("INSERT INTO b VALUES (7)")
    shop("CALL epoch_checkout('side', new_branch := true)")
    assert shop.status() == [("b", "modified", 1, 0, 0)]
    shop.commit()
    shop("CALL epoch_checkout('main')")
    assert shop("FROM b") == []
    assert "EpochReferenceError: branch side exists already" in shop.refused(
        "CALL epoch_checkout('side', new_branch := true)"
    )


def test_a_detached_checkout_takes_no_commit(shop: Repo) -> None:
    shop("CALL epoch_tag('v1')")
    for ref in ("v1", "main~1", "HEAD"):
        assert_detached(shop, ref)


def assert_detached(shop: Repo, ref: str) -> None:
    ((branch, commit_id, *_),) = shop("CALL epoch_checkout(?)", ref)
    assert branch is None
    assert shop("FROM epoch_head()") == [(None, commit_id, True, False)]
    shop("INSERT INTO b VALUES (1)")
    message = shop.refused("CALL epoch_commit('x')")
    assert "EpochReferenceError" in message
    assert "CALL epoch_checkout('NAME')" in message
    assert "EpochReferenceError" in shop.refused("CALL epoch_reset('main')")
    shop("CALL epoch_checkout(?, new_branch := true)", f"rescue-{ref[:2]}")
    assert shop.commit() == (1, 1, 0, 0)
    shop("CALL epoch_checkout('main')")
    assert shop("FROM b") == []


def test_references_of_every_form(shop: Repo) -> None:
    tip = shop.head()
    for ref in (tip, tip[:7], tip[:4], "main", "HEAD", "other~0", "main~1", "main^", "main@{1}", "@"):
        shop("CALL epoch_checkout(?)", ref)
        assert shop("SELECT count(*) FROM a") == [(0 if ref in ("other~0", "main~1", "main^", "main@{1}") else 1,)]
        assert shop.status() == []
        shop("CALL epoch_checkout('main')")


def test_a_branch_is_at_a_commit_from_the_time_that_the_commit_states(shop: Repo) -> None:
    shop("CALL epoch_branch('side')")
    shop("INSERT INTO a VALUES (70)")
    shop.commit()
    shop("CALL epoch_checkout('side')")
    shop("CALL epoch_merge('main')")
    shop("CALL epoch_revert('HEAD')")
    states = shop("SELECT commit_id, committed_at FROM epoch_log(first_parent := true) ORDER BY committed_at")
    for commit_id, committed_at in states[-2:]:
        assert shop("FROM epoch_log(?, max_count := 1)", f"side@{{{committed_at}}}")[0][0] == commit_id
    for commit_id, committed_at in shop("SELECT commit_id, committed_at FROM epoch_log('main')"):
        assert shop("FROM epoch_log(?, max_count := 1)", f"main@{{{committed_at}}}")[0][0] == commit_id
    born = min(committed_at for _, committed_at in states)
    message = shop.refused("FROM epoch_log(?)", f"main@{{{born.replace(microsecond=0)}}}")
    assert f"did not exist at {born.replace(microsecond=0).isoformat(' ', 'microseconds')} UTC" in message


def test_references_that_do_not_exist(shop: Repo) -> None:
    before = picture(shop)
    assert "EpochReferenceError: unknown reference 'mian' (hint: did you mean 'main'?)" in shop.refused(
        "CALL epoch_checkout('mian')"
    )
    assert "EpochReferenceError" in shop.refused("CALL epoch_checkout('main~99')")
    assert "EpochReferenceError" in shop.refused("CALL epoch_checkout('WORKING')")
    assert picture(shop) == before


def test_a_failed_checkout_leaves_everything_as_it_was(shop: Repo) -> None:
    shop("INSERT INTO a VALUES (2)")
    shop.commit()
    before = picture(shop)
    files = shop(
        "SELECT file_ids FROM epoch.levels, epoch.versions v JOIN epoch.trees t USING (version_id) WHERE object_name = 'a'"
    )
    assert files
    shop("CALL epoch_ignore('far.*')")
    shop("CREATE SCHEMA far")
    shop.commit()
    shop("CREATE TABLE far.mine (i INTEGER); INSERT INTO far.mine VALUES (1)")
    assert shop.status() == []
    head = shop.head()
    shop.refused("CALL epoch_checkout('other')")
    assert shop.head() == head
    assert shop("FROM far.mine") == [(1,)]
    assert shop("FROM a ORDER BY i") == [(1,), (2,)]
    assert before.rows["main.a"] == picture(shop).rows["main.a"]
    assert shop.status() == []
