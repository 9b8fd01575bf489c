"""Whatever the user did to the working tables is noticed, committed, and comes back exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

START = """
    CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR);
    INSERT INTO t VALUES (1, 10, 'x'), (2, 20, 'y'), (3, 30, NULL);
    CREATE TABLE bag (n INTEGER, s VARCHAR); INSERT INTO bag VALUES (1, 'x'), (1, 'x'), (2, NULL);
    CREATE TABLE source (id INTEGER, a INTEGER, b VARCHAR); INSERT INTO source VALUES (2, 21, 'y'), (4, 40, 'z')
"""

# What was done, and what epoch_status() says: table, change, rows added, modified and removed.
DONE = [
    ("INSERT INTO t VALUES (4, 40, 'z')", [("t", "modified", 1, 0, 0)]),
    ("UPDATE t SET a = 11 WHERE id = 1", [("t", "modified", 0, 1, 0)]),
    ("DELETE FROM t WHERE id = 2", [("t", "modified", 0, 0, 1)]),
    ("UPDATE t SET a = a, b = b", []),
    ("DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 20, 'y')", []),
    ("UPDATE t SET id = 9 WHERE id = 1", [("t", "modified", 1, 0, 1)]),
    ("UPDATE t SET a = CASE id WHEN 1 THEN 20 WHEN 2 THEN 10 ELSE a END", [("t", "modified", 0, 2, 0)]),
    ("UPDATE t SET b = '' WHERE id = 3", [("t", "modified", 0, 1, 0)]),
    ("INSERT OR REPLACE INTO t VALUES (1, 99, 'x'), (5, 50, 'v')", [("t", "modified", 1, 1, 0)]),
    (
        "MERGE INTO t USING source USING (id) WHEN MATCHED THEN UPDATE SET a = source.a WHEN NOT MATCHED THEN INSERT",
        [("t", "modified", 1, 1, 0)],
    ),
    ("TRUNCATE t", [("t", "modified", 0, 0, 3)]),
    ("CREATE OR REPLACE TABLE bag AS SELECT 1 AS n, 'x' AS s", [("bag", "modified", 0, 0, 2)]),
    ("INSERT INTO bag VALUES (1, 'x')", [("bag", "modified", 1, 0, 0)]),
    ("DELETE FROM bag WHERE rowid = 0", [("bag", "modified", 0, 0, 1)]),
    ("UPDATE bag SET s = 'q' WHERE n = 2", [("bag", "modified", 1, 0, 1)]),
    ("ALTER TABLE t ADD COLUMN c INTEGER", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7; UPDATE t SET c = 8 WHERE id = 1", [("t", "schema", 0, 1, 0)]),
    ("ALTER TABLE t DROP COLUMN a", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t RENAME COLUMN a TO amount", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t RENAME COLUMN b TO text", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t ALTER a TYPE BIGINT", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t ALTER a SET DEFAULT 5", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t ALTER a SET NOT NULL", [("t", "schema", 0, 0, 0)]),
    ("ALTER TABLE t RENAME TO renamed", [("renamed", "renamed", 0, 0, 0)]),
    ("ALTER TABLE t RENAME TO renamed; UPDATE renamed SET a = 0 WHERE id = 1", [("renamed", "renamed", 0, 1, 0)]),
    ("DROP TABLE t", [("t", "removed", 0, 0, 3)]),
    ("CREATE TABLE u (i INTEGER); INSERT INTO u VALUES (1), (2)", [("u", "added", 2, 0, 0)]),
    ("CREATE TABLE empty (i INTEGER)", [("empty", "added", 0, 0, 0)]),
    (
        "CREATE SCHEMA s; CREATE TABLE s.t (i INTEGER PRIMARY KEY); INSERT INTO s.t VALUES (1)",
        [("s", "added", 0, 0, 0), ("s.t", "added", 1, 0, 0)],
    ),
    ("CREATE VIEW v AS SELECT a FROM t", [("v", "added", 0, 0, 0)]),
    ("CREATE MACRO twice(x, times := 2) AS x * times", [("twice", "added", 0, 0, 0)]),
    ("CREATE SEQUENCE numbers START 5", [("numbers", "added", 0, 0, 0)]),
    ("CREATE TYPE mood AS ENUM ('sad', 'ok')", [("mood", "added", 0, 0, 0)]),
    ("CREATE INDEX by_a ON t (a)", [("t", "schema", 0, 0, 0)]),
    ("COMMENT ON TABLE t IS 'orders'", [("t", "schema", 0, 0, 0)]),
    ("CREATE TEMP TABLE scratch (i INTEGER)", []),
]


def everything(repo: Repo) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every working table."""
    names = [
        f'"{schema}"."{name}"'
        for schema, name in repo(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'epoch' AND NOT temporary ORDER BY ALL"
        )
    ]
    return {name: repo(f"FROM {name} ORDER BY ALL") for name in names}


@pytest.mark.parametrize(("done", "status"), DONE, ids=[done for done, _ in DONE])
def test_statement(make_repo: MakeRepo, done: str, status: list[tuple[object, ...]]) -> None:
    repo = make_repo(START)
    before = everything(repo)
    repo(done)
    after = everything(repo)
    assert repo.status() == status
    if not status:
        assert "EpochNothingToCommit" in repo.refused("CALL epoch_commit('x')")
        return
    repo.commit()
    assert repo.status() == []
    assert everything(repo) == after
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo.status() == []
    assert everything(repo) == before
    repo("CALL epoch_checkout('main')")
    assert repo.status() == []
    assert everything(repo) == after
    for name, rows in after.items():
        assert repo.at("main", name.replace('"', "")) == rows


def test_copy_appender_and_arrow(repo: Repo, tmp_path: Path) -> None:
    repo("CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR)")
    repo.commit()
    (tmp_path / "rows.csv").write_text("id,a\n1,x\n2,y\n")
    repo(f"COPY t FROM '{tmp_path / 'rows.csv'}' (HEADER)")
    arrow = pa.table({"id": [3, 4], "a": ["z", None]})
    repo.con.register("arrow", arrow)
    repo("INSERT INTO t SELECT * FROM arrow")
    repo.con.unregister("arrow")
    repo.con.executemany("INSERT INTO t VALUES (?, ?)", [(5, "v"), (6, "w")])
    assert repo.status() == [("t", "modified", 6, 0, 0)]
    repo.commit()
    assert [row[0] for row in repo.at("main", "t")] == [1, 2, 3, 4, 5, 6]


def test_from_another_process_between_two_runs(make_repo: MakeRepo) -> None:
    repo = make_repo(START)
    repo.con.close()
    statement = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(\"UPDATE t SET b = 'other' WHERE id = 2\")"
    subprocess.run([sys.executable, "-c", statement, str(repo.path)], check=True)
    repo.reopen()
    assert repo.status() == [("t", "modified", 0, 1, 0)]


def test_one_row_among_a_thousand_tables(make_repo: MakeRepo) -> None:
    tables = ";".join(f"CREATE TABLE t{n} AS SELECT {n} AS i" for n in range(1000))
    repo = make_repo(tables)
    assert repo.status() == []
    repo("UPDATE t777 SET i = 0")
    assert repo.status() == [("t777", "modified", 1, 0, 1)]
    subtrees = repo.one("SELECT count(DISTINCT subtree_id) FROM epoch.trees")
    assert repo.commit() == (1, 1, 0, 1)
    assert repo.one("SELECT count(DISTINCT subtree_id) FROM epoch.trees") == subtrees + 1


def test_five_hundred_columns(make_repo: MakeRepo) -> None:
    columns = ", ".join(f"c{n} INTEGER" for n in range(500))
    repo = make_repo(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
    repo("INSERT INTO wide (id, c499) VALUES (1, 1), (2, 2)")
    repo.commit()
    repo("UPDATE wide SET c250 = 7 WHERE id = 2")
    assert repo("SELECT changed_columns FROM epoch_diff('HEAD', 'WORKING', table_name := 'wide')") == [(["c250"],)]
    assert repo.commit() == (1, 0, 1, 0)


def test_a_declared_key_is_checked(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (a INTEGER, b INTEGER, v VARCHAR); INSERT INTO t VALUES (1, 1, 'x'), (1, 2, 'y')")
    assert repo("CALL epoch_key('t', ['a', 'b'])") == [("t", ["a", "b"])]
    repo.commit()
    repo("UPDATE t SET v = 'z' WHERE b = 2")
    assert repo.status() == [("t", "modified", 0, 1, 0)]
    repo("INSERT INTO t VALUES (1, 2, 'again')")
    told = repo.refused("CALL epoch_commit('x')")
    assert "EpochTableError" in told and '{"a":1,"b":2}' in told and "(a, b)" in told
    repo("DELETE FROM t WHERE v = 'again'; INSERT INTO t VALUES (NULL, 5, 'null')")
    assert '{"a":null,"b":5}' in repo.refused("CALL epoch_commit('x')")


def test_hundreds_of_small_commits_keep_few_levels(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, 0 FROM range(20000) r(i)"
    )
    for n in range(70):
        repo("UPDATE t SET v = v + 1 WHERE id % 2000 = ?", n)
        repo.commit(str(n))
    levels = repo.one(
        "SELECT len(level_ids) FROM epoch.versions ORDER BY (SELECT max(rowid) FROM epoch.levels), rowid DESC LIMIT 1"
    )
    assert levels <= 12
    assert repo("FROM epoch_at('main', 't') EXCEPT FROM t") == []
    assert repo.one("SELECT sum(v) FROM epoch_at('HEAD~30', 't')") == 400
    assert repo("SELECT rows_modified FROM epoch_diff_stat('HEAD~69', 'HEAD')") == [(690,)]


def test_equal_content_has_equal_trees_whatever_the_way(make_repo: MakeRepo) -> None:
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
