"""After any history, every branch and tag of the Iceberg tables has the rows that it has in Epoch."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo, opened
from tests.support.lakes import files, same, tables

SQL = """
CREATE SCHEMA sales;
CREATE TABLE keyed (id INTEGER PRIMARY KEY, v VARCHAR, n INTEGER, f FLOAT);
INSERT INTO keyed SELECT i, 'v' || i, i % 7, CASE WHEN i % 3 = 0 THEN '-0.0' ELSE i END FROM range(300) AS r(i);
CREATE TABLE sales.pairs (a VARCHAR, b INTEGER, v DECIMAL(9,2), PRIMARY KEY (b, a));
INSERT INTO sales.pairs SELECT 'a' || i % 10, i // 10, i FROM range(200) AS r(i);
CREATE TABLE bag AS SELECT i % 20 AS a, CASE WHEN i % 3 = 0 THEN NULL ELSE i % 4 END AS b FROM range(200) AS r(i);
CREATE TABLE wide (id BIGINT PRIMARY KEY, huge HUGEINT, whole UINTEGER);
INSERT INTO wide SELECT i, i * 10000000000000000000::HUGEINT, 4294967295 - i FROM range(100) AS r(i);
"""


def changes(rng: random.Random, number: int) -> list[str]:
    """Statements, of which DuckDB refuses some."""
    at, few = rng.randrange(300), rng.randrange(1, 12)
    rows = [
        f"UPDATE keyed SET n = n + {number} WHERE id BETWEEN {at} AND {at + few}",
        f"UPDATE keyed SET f = '-0.0' WHERE id % 50 = {few}",
        f"DELETE FROM keyed WHERE id BETWEEN {at} AND {at + few}",
        f"INSERT OR REPLACE INTO keyed BY NAME SELECT i AS id, 'new' AS v, 1 AS n FROM range({at}, {at + few}) AS r(i)",
        f"INSERT INTO keyed (id, n) SELECT {1000 * number} + i, {number} FROM range({few}) AS r(i)",
        f"UPDATE sales.pairs SET v = v + 1 WHERE b = {few}",
        f"DELETE FROM sales.pairs WHERE a = 'a{few}' AND b < {few}",
        f"INSERT INTO sales.pairs (a, b) VALUES ('x', {1000 + number})",
        f"INSERT INTO bag (a) SELECT {few} FROM range({few})",
        f"DELETE FROM bag WHERE a = {few} AND b IS NULL",
        f"DELETE FROM bag WHERE rowid IN (SELECT rowid FROM bag WHERE a = {few} LIMIT 1)",
        f"UPDATE wide SET huge = huge - {number} WHERE id % 10 = {few}",
        f"DELETE FROM wide WHERE id = {at}",
        "DELETE FROM keyed WHERE id % 4 = 1" if rng.random() < 0.2 else "SELECT 1",
    ]
    columns = [
        f"ALTER TABLE keyed ADD COLUMN c{number} INTEGER",
        f"ALTER TABLE keyed ADD COLUMN d{number} VARCHAR DEFAULT 'd'",
        "ALTER TABLE keyed RENAME COLUMN v TO w",
        "ALTER TABLE keyed DROP COLUMN f",
        "ALTER TABLE keyed ALTER n TYPE BIGINT",
        "ALTER TABLE keyed ALTER n TYPE VARCHAR",
        "ALTER TABLE sales.pairs ALTER v TYPE DECIMAL(12,2)",
        "ALTER TABLE sales.pairs ALTER v TYPE DECIMAL(12,4)",
        f"ALTER TABLE bag ADD COLUMN e{number} INTEGER DEFAULT {number}",
        "ALTER TABLE bag DROP COLUMN b",
        "ALTER TABLE wide DROP COLUMN huge",
        "ALTER TABLE wide ALTER whole TYPE BIGINT",
        "ALTER TABLE bag RENAME TO sack",
        "ALTER TABLE sack RENAME TO bag",
        "ALTER TABLE bag RENAME TO held; ALTER TABLE keyed RENAME TO bag; ALTER TABLE held RENAME TO keyed",
        "DROP TABLE wide",
        f"CREATE TABLE wide AS SELECT i AS id, {number} AS other FROM range(50) AS r(i)",
    ]
    return [*rng.sample(rows, 5), *(rng.sample(columns, 2) if rng.random() < 0.7 else [])]


def history(repo: Repo, rng: random.Random, number: int) -> None:
    """A few commits, and what moves branches otherwise."""
    branches = ["main", "dev"]
    for round in range(rng.randrange(1, 4)):
        for text in changes(rng, number * 10 + round):
            try:
                repo(text)
            except duckdb.Error:
                continue
        if repo.status():
            repo.commit()
    moved(repo, rng, branches, number)
    repo(f"CALL epoch_checkout('{rng.choice(branches)}')")


def moved(repo: Repo, rng: random.Random, branches: list[str], number: int) -> None:
    """A reset, a merge, a tag or a compaction."""
    kind = rng.choice(["reset", "merge", "tag", "compact", "none", "none"])
    current = repo("SELECT name FROM epoch_branches() WHERE is_current")[0][0]
    other = branches[current == "main"]
    if kind == "reset" and len(repo("FROM epoch_log(first_parent := true)")) > 3:
        repo("CALL epoch_reset('HEAD~2', hard := true)")
    elif kind == "merge":
        try:
            repo("CALL epoch_merge(?, strategy := 'theirs')", other)
        except duckdb.Error as error:
            # Where the key of a table changed, no merge begins.
            if "in progress" in str(error):
                repo("CALL epoch_merge_abort()")
    elif kind == "tag":
        repo(f"CALL epoch_tag('v{number}')")
    elif kind == "compact":
        repo("CALL epoch_compact()")


def exported(repo: Repo, lake: Path) -> None:
    """Export every branch and tag, and compare each of their tables. Exported again, nothing is written."""
    refs = [row[0] for row in repo("SELECT name FROM epoch_branches() UNION ALL SELECT name FROM epoch_tags()")]
    repo("CALL epoch_export_iceberg(refs := ?, warehouse := ?)", refs, str(lake))
    there = {table.properties["epoch.table"]: table for table in tables(lake)}
    shown = {(table_id, ref) for table_id, table in there.items() for ref in table.metadata.refs}
    with opened(repo) as call:
        held = {(i, ref): e.name for ref in refs for i, e in call.tree(call.resolve(ref)).tables.items()}
    assert shown == {*held}
    for (table_id, ref), name in held.items():
        *namespace, called = there[table_id].name()
        same(repo, lake, ref, called, ".".join(namespace), str(name))
        if ref == "main":
            assert (*namespace, called) == (name.schema, name.name)
    before = files(lake)
    made = repo("SELECT status FROM epoch_export_iceberg(refs := ?, warehouse := ?)", refs, str(lake))
    assert {*made} == {("unchanged",)}
    assert files(lake) == before


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_branch_and_tag_after_random_changes(make_repo: MakeRepo, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    repo = make_repo(SQL)
    repo("CALL epoch_branch('dev'); CALL epoch_tag('first')")
    # The first one is quick, so it is shorter.
    for number in range(5 if seed else 2):
        history(repo, rng, number)
        exported(repo, tmp_path / "lake")
