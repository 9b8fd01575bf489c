"""What the changes of a table have in common, as rows: case by case, hostile values and types of every kind."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo
from tests.support.values import SCALARS

_COLUMNS = "cells, pattern, matching, value"

# type, before, after (expressions over i = 1 … 10) → cells, pattern, matching, value
CELLS: list[tuple[str, str, str, list[tuple[object, ...]]]] = [
    ("INTEGER", "i", "i - 2", [(10, "delta", 10, "-2")]),
    ("UTINYINT", "i", "i - 1", [(10, "delta", 10, "-1")]),
    ("DECIMAL(9, 2)", "i", "i + 0.5", [(10, "delta", 10, "0.50")]),
    ("DOUBLE", "i / 10", "i / 10 + 0.1", [(10, "delta", 10, "0.1")]),
    ("HUGEINT", "i", "-170141183460469231731687303715884105728 + i", [(10, "delta", 10, "-170141183460469231731687303715884105728")]),
    ("BIGINT", "i", "-i", [(10, "sign flipped", 10, None)]),
    ("DOUBLE", "i", "i * 2.5", [(10, "scaled", 10, "2.5")]),
    ("INTEGER", "i", "i * i + 5 * (i % 2) + i % 3", [(10, None, 10, None)]),
    ("INTEGER", "i", "CASE WHEN i < 8 THEN i + 3 ELSE i * 100 END", [(10, "delta", 7, "3")]),
    ("INTEGER", "i", "CASE WHEN i < 4 THEN NULL ELSE i + 1 END", [(10, "became NULL", 3, None), (10, "delta", 7, "1")]),
    ("INTEGER", "CASE WHEN i > 4 THEN i END", "7 - 0 * i", [(9, "was NULL", 4, None), (9, "constant", 5, "7")]),
    ("VARCHAR", "'A' || i", "lower('A' || i)", [(10, "case", 10, None)]),
    ("VARCHAR", "' a' || i", "'a' || i", [(10, "trimmed", 10, None)]),
    ("VARCHAR", "'a' || i", "'''; DROP TABLE t; --'", [(10, "constant", 10, "'; DROP TABLE t; --")]),
    ("VARCHAR", "'a' || i", "'b' || i", [(10, None, 10, None)]),
    ("DATE", "DATE '2020-01-01' + CAST(i AS INTEGER)", "DATE '2020-01-02' + CAST(i AS INTEGER)", [(10, "delta", 10, "1")]),
    ("TIMESTAMP", "TIMESTAMP '2020-01-01 00:00:00' + to_days(CAST(i AS INTEGER))", "TIMESTAMP '2020-01-01 02:00:00' + to_days(CAST(i AS INTEGER))", [(10, "delta", 10, "02:00:00")]),
    ("INTEGER[]", "[i]", "[i, 1]", [(10, None, 10, None)]),
    ("STRUCT(a INTEGER)", "{'a': i}", "{'a': 1000}", [(10, "constant", 10, "{'a': 1000}")]),
    ("BOOLEAN", "i > 0", "i < 0", [(10, "constant", 10, "false")]),
    ("INTEGER", "i", "i", []),
]  # fmt: skip


def test_the_cells_of_a_column(make_repo: MakeRepo) -> None:
    names = [f"c{n}" for n in range(len(CELLS))]
    columns = ", ".join(f"{name} {case[0]}" for name, case in zip(names, CELLS, strict=True))
    repo = make_repo(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns});"
        f"INSERT INTO t SELECT i, {', '.join(case[1] for case in CELLS)} FROM range(1, 11) AS r (i)"
    )
    repo("CALL epoch_branch('before')")
    repo("CALL epoch_checkout('side', new_branch := true)")
    after = ", ".join(
        f"{name} = (SELECT {case[2]} FROM (SELECT id AS i))" for name, case in zip(names, CELLS, strict=True)
    )
    repo(f"UPDATE t SET {after}")
    repo.commit()
    found = repo(f"SELECT column_name, {_COLUMNS} FROM epoch_diff_changes('before', 'side')")
    for name, (kind, before, now, expected) in zip(names, CELLS, strict=True):
        assert [row[1:] for row in found if row[0] == name] == expected, (kind, before, now)
    assert repo(f"SELECT column_name, {_COLUMNS} FROM epoch_changes('side', 'before')") == found
    assert repo("SELECT DISTINCT table_name, diff_type FROM epoch_changes('side', 'main')") == [("t", "modified")]
    assert repo("FROM epoch_changes('before', 'side')") == []


def test_what_added_and_removed_rows_have_in_common(make_repo: MakeRepo) -> None:
    repo = make_repo(
        'CREATE TABLE t (id INTEGER PRIMARY KEY, "m;o" INTEGER, dep VARCHAR); INSERT INTO t VALUES (1, 3, NULL), (2, 4, NULL);'
        "CREATE TABLE bag (n INTEGER, day VARCHAR)"
    )
    repo("DELETE FROM t; INSERT INTO t SELECT 10 + i, 12, chr(97 + i::INTEGER) FROM range(3) AS r (i)")
    repo("INSERT INTO bag VALUES (1, 'x'), (1, 'y')")
    rows = "SELECT table_name, diff_type, column_name, cells, pattern, value FROM epoch_diff_changes('HEAD', 'WORKING') ORDER BY ALL"
    assert repo(rows) == [
        ("bag", "added", "n", 2, "always", "1"),
        ("t", "added", "m;o", 3, "always", "12"),
        ("t", "removed", "dep", 2, "always NULL", None),
    ]
    assert len(repo("FROM epoch_diff_changes('HEAD', 'WORKING', table_name := 'bag')")) == 1


def test_a_column_that_changed_its_type_or_came_or_went(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, gone INTEGER, g INTEGER AS (a * 2)); INSERT INTO t SELECT i, i, i FROM range(5) r (i)"
    )
    repo("CALL epoch_tag('v1')")
    repo("ALTER TABLE t DROP COLUMN g; ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ALTER a TYPE BIGINT")
    repo("UPDATE t SET a = a + 5000000000")
    repo.commit()
    assert repo(f"SELECT column_name, {_COLUMNS} FROM epoch_diff_changes('v1', 'HEAD')") == [
        ("a", 5, "delta", 5, "5000000000")
    ]


@pytest.mark.slow
def test_values_of_every_type(make_repo: MakeRepo) -> None:
    names = {f"c{n}": kind for n, kind in enumerate(SCALARS)}
    columns = ", ".join(f"{name} {kind}" for name, kind in names.items())
    repo: Repo = make_repo(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
    for number in range(10):
        values = ", ".join(f"CAST({SCALARS[kind][number % len(SCALARS[kind])]} AS {kind})" for kind in names.values())
        repo(f"INSERT INTO t VALUES ({number}, {values})")
    repo.commit()
    for name in names:
        repo(f"UPDATE t SET {name} = (SELECT o.{name} FROM t AS o WHERE o.id = (t.id + 1) % 10)")
    assert {row[0] for row in repo("SELECT column_name FROM epoch_diff_changes('HEAD', 'WORKING')")} == {
        row[0] for row in repo("SELECT DISTINCT unnest(changed_columns) FROM epoch_diff('HEAD', 'WORKING')")
    }
