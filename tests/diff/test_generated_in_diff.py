"""Generated columns in the difference of one table: computed on each side from that side's values, as it was then."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo

pytestmark = pytest.mark.core


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_they_are_shown_on_both_sides(make_repo: MakeRepo, key: str) -> None:
    repo = make_repo(
        f"""CREATE TABLE t (id INTEGER {key}, twice INTEGER AS (a * 2), a INTEGER, op VARCHAR, n1 INTEGER,
        "more ones" VARCHAR AS (coalesce(op, 'none') || twice));
        INSERT INTO t VALUES (1, 10, 'x', 0), (2, 20, NULL, 0), (3, 30, 'z', 0)"""
    )
    repo("UPDATE t SET a = 11 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 40, 'w', 0)")
    repo.commit()
    for back, forth, swapped in (("HEAD~1", "HEAD", False), ("HEAD", "HEAD~1", True)):
        diff = f"epoch_diff('{back}', '{forth}', table_name := 't')"
        names = [name for name, _ in repo.columns(f"FROM {diff}")][2:]
        assert names == [
            f"{side}_{c}" for c in ("id", "twice", "a", "op", "n1", "more ones") for side in ("from", "to")
        ]
        assert dict(repo.columns(f"FROM {diff}"))["from_twice"] == "INTEGER"
        for side, ref in (("from", back), ("to", forth)):
            ids = {("HEAD~1"): (1, 2), "HEAD": (1, 4)}[ref]
            assert repo(
                f'SELECT {side}_id, {side}_twice, "{side}_more ones" FROM {diff} WHERE {side}_id IS NOT NULL ORDER BY 1'
            ) == repo(f"SELECT id, twice, \"more ones\" FROM epoch_at('{ref}', 't') WHERE id IN {ids} ORDER BY 1")
        other = "from" if not swapped else "to"
        gone = f'SELECT DISTINCT {other}_twice, "{other}_more ones" FROM {diff} WHERE {other}_id IS NULL'
        assert repo(gone) == [(None, None)]


def test_an_expression_that_changed(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, g INTEGER AS (a * 2)); INSERT INTO t VALUES (1, 10)"
    )
    repo(
        "CREATE OR REPLACE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, g VARCHAR AS ('no ' || a), h INTEGER AS (a + 1))"
    )
    repo("INSERT INTO t VALUES (1, 11)")
    repo.commit()
    diff = "epoch_diff('HEAD~1', 'HEAD', table_name := 't')"
    assert repo(f"SELECT from_g, to_g, from_h, to_h FROM {diff}") == [(20, "no 11", None, 12)]
    repo("UPDATE t SET a = 12")
    assert repo("SELECT from_g, to_g FROM epoch_diff('HEAD', 'WORKING', table_name := 't')") == [("no 11", "no 12")]


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("to_plain", [True, False])
def test_a_generated_column_that_becomes_plain_and_back(make_repo: MakeRepo, key: str, to_plain: bool) -> None:
    generated, plain = (
        f"CREATE OR REPLACE TABLE t (id INTEGER {key}, a INTEGER, c INTEGER{e})" for e in (" AS (a * 2)", "")
    )
    filled = {
        generated: "INSERT INTO t VALUES (1, 10), (2, 20)",
        plain: "INSERT INTO t VALUES (1, 10, 20), (2, 20, 999)",
    }
    first, second = (generated, plain) if to_plain else (plain, generated)
    repo = make_repo(f"{first}; {filled[first]}")
    repo(f"{second}; {filled[second]}")
    repo.commit()
    rows = [(2, 40), (2, 999)] if to_plain else [(2, 999), (2, 40)]
    for back, forth, (old, new) in (("HEAD~1", "HEAD", rows), ("HEAD", "HEAD~1", rows[::-1])):
        diff = f"epoch_diff('{back}', '{forth}', table_name := 't')"
        if key:
            assert repo(f"SELECT changed_columns, from_id, from_c, to_id, to_c FROM {diff}") == [(["c"], *old, *new)]
        else:
            assert repo(f"SELECT from_id, from_c FROM {diff} WHERE diff_type = 'removed'") == [old]
            assert repo(f"SELECT to_id, to_c FROM {diff} WHERE diff_type = 'added'") == [new]
        counts = (0, 1, 0) if key else (1, 0, 1)
        assert [row[1:4] for row in repo("FROM epoch_diff_stat(?, ?)", back, forth)] == [counts]
