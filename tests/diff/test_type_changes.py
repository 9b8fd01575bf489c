"""A column's type changes: a row is modified unless its old value and its new one turn into each other, both ways."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core
_J = re.compile(r"\bj\b")


@dataclass(frozen=True)
class Change:
    """A column's type becomes another: ``kept`` values turn into each other, ``lost`` do not."""

    old: str
    new: str
    kept: tuple[str, ...]
    lost: tuple[str, ...]
    using: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        return (*self.kept, *self.lost)


CHANGES = [
    Change("VARCHAR", "INTEGER", ("'7'", "'-12'"), ("'007'", "' 8'", "'9.4'")),
    Change("VARCHAR", "INTEGER", ("'1'",), ("'x'", "'2y'"), "TRY_CAST(j AS INTEGER)"),
    Change("INTEGER", "VARCHAR", ("7", "-1"), ("12",), "CASE j WHEN 12 THEN '012' ELSE j::VARCHAR END"),
    Change("DOUBLE", "INTEGER", ("2.0", "-3.0"), ("1.75", "2.5")),
    Change("DOUBLE", "FLOAT", ("0.5", "'inf'::DOUBLE", "'nan'::DOUBLE"), ("0.1", "1e-300")),
    Change("FLOAT", "DOUBLE", ("0.1::FLOAT", "0.5"), (), "j"),
    Change("BIGINT", "DOUBLE", ("5", "9007199254740992"), ("9007199254740993",)),
    Change("BIGINT", "INTEGER", ("5", "-2147483648"), ("2147483648",), "TRY_CAST(j AS INTEGER)"),
    Change("INTEGER", "BIGINT", ("5", "2147483647"), ("6",), "CASE j WHEN 6 THEN 60 ELSE j END"),
    Change("INTEGER", "UINTEGER", ("5",), ("-1",), "TRY_CAST(j AS UINTEGER)"),
    Change("HUGEINT", "BIGINT", ("5",), ("170141183460469231731687303715884105727",), "TRY_CAST(j AS BIGINT)"),
    Change("INTEGER", "BOOLEAN", ("0", "1"), ("2",)),
    Change("DECIMAL(10,4)", "DECIMAL(10,2)", ("1.5", "2.25"), ("1.2345", "0.001")),
    Change("DECIMAL(10,2)", "DECIMAL(12,4)", ("1.5", "2.25"), ()),
    Change("DECIMAL(10,2)", "INTEGER", ("3.00",), ("3.01", "3.99")),
    Change("TIMESTAMP", "DATE", ("'2024-01-01 00:00:00'",), ("'2024-01-01 10:00:00'", "'2024-02-01 00:00:00.000001'")),
    Change("TIMESTAMP", "TIMESTAMP_S", ("'2024-01-01 10:00:01'",), ("'2024-01-01 10:00:01.5'",)),
    Change("TIMESTAMP_NS", "TIMESTAMP", ("'2024-01-01 10:00:01.000001'",), ("'2024-01-01 10:00:01.000000001'",)),
    Change("TIMESTAMP", "TIMESTAMP_NS", ("'2024-01-01 10:00:01'",), ("'2400-01-01 10:00:00'",), "CASE WHEN year(j) < 2200 THEN j END"),
    Change("TIMESTAMP", "TIMESTAMPTZ", ("'2024-01-01 10:00:00'", "'infinity'"), ("'2024-07-01 10:00:00'",),
           "j AT TIME ZONE CASE month(j) WHEN 7 THEN 'America/New_York' ELSE 'UTC' END"),
    Change("TIMESTAMPTZ", "TIMESTAMP", ("'2024-01-01 10:00:00+00'",), ("'2024-07-01 10:00:00+00'",),
           "j AT TIME ZONE CASE WHEN j > '2024-06-01 00:00:00+00' THEN 'Asia/Tokyo' ELSE 'UTC' END"),
    Change("TIMESTAMPTZ", "DATE", ("'2024-01-01 00:00:00+00'",), ("'2024-07-01 10:00:00+00'",), "(j AT TIME ZONE 'UTC')::DATE"),
    Change("TIMESTAMPTZ", "VARCHAR", ("'2024-01-01 10:00:00.5+00'",), ("'2024-07-01 10:00:00+00'",),
           "CASE WHEN j > '2024-06-01 00:00:00+00' THEN 'July' WHEN j > '2024-01-01 00:00:00+00' THEN '2024-01-01 10:00:00.5+00' END"),
    Change("TIMETZ", "TIME", ("'10:00:00+00'",), ("'10:00:00+02'",)),
    Change("INTERVAL", "VARCHAR", ("INTERVAL 3 DAY",), ("INTERVAL 24 HOUR",), "CASE day(j) WHEN 3 THEN '3 days' WHEN 0 THEN '1 day' END"),
    Change("BLOB", "VARCHAR", ("'a'::BLOB",), ("'b'::BLOB",), "CASE j WHEN 'a'::BLOB THEN 'a' WHEN 'b'::BLOB THEN 'c' END"),
    Change("VARCHAR", "UUID", ("'550e8400-e29b-41d4-a716-446655440000'",), ("'550E8400-E29B-41D4-A716-446655440001'",)),
    Change("VARCHAR", "JSON", ("'{\"a\":1}'",), ("'{\"a\":2}'",), "CASE j WHEN '{\"a\":1}' THEN j WHEN '{\"a\":2}' THEN '{\"a\":3}' END"),
    Change("ENUM('a', 'b')", "ENUM('b', 'c')", ("'b'",), ("'a'",), "CASE j WHEN 'a' THEN 'c' ELSE j::VARCHAR END"),
    Change("ENUM('a', 'b')", "ENUM('a')", ("'a'",), ("'b'",), "CASE j WHEN 'a' THEN 'a' END"),
    Change("ENUM('a')", "ENUM('a', 'b')", ("'a'",), ()),
    Change("ENUM('a', 'b')", "VARCHAR", ("'a'",), ("'b'",), "CASE j WHEN 'b' THEN 'B' ELSE j::VARCHAR END"),
    Change("VARCHAR", "ENUM('a', 'b')", ("'a'",), ("'B'",), "lower(j)"),
    Change("INTEGER", "INTEGER[]", (), ("1", "2"), "CASE WHEN j IS NOT NULL THEN [j] END"),
    Change("INTEGER", "INTEGER[]", (), ("1",), "NULL"),
    Change("VARCHAR", "DATE", (), ("'2024-01-01'",), "NULL"),
    Change("JSON", "STRUCT(a DOUBLE)", ("'{\"a\":1.5}'",), ("'{\"a\":1}'", "'{\"b\":1}'"), "TRY_CAST(j AS STRUCT(a DOUBLE))"),
    Change("STRUCT(a VARCHAR, b INTEGER)", "STRUCT(a INTEGER, b INTEGER)", ("{'a': '7', 'b': 1}", "{'a': NULL, 'b': 2}"), ("{'a': '007', 'b': 1}",)),
    Change("STRUCT(a DECIMAL(10,4))", "STRUCT(a DECIMAL(10,2))", ("{'a': 1.5}",), ("{'a': 1.2345}",)),
    Change("STRUCT(a INTEGER, b INTEGER)", "STRUCT(a INTEGER)", ("{'a': 1, 'b': NULL}",), ("{'a': 1, 'b': 2}",), "CASE WHEN j IS NOT NULL THEN {'a': j.a} END"),
    Change("STRUCT(a INTEGER)", "STRUCT(b INTEGER)", (), ("{'a': 1}", "{'a': 2}"), "CASE WHEN j IS NOT NULL THEN {'b': j.a} END"),
    Change("STRUCT(a STRUCT(b DOUBLE[]))", "STRUCT(a STRUCT(b INTEGER[]))", ("{'a': {'b': [1.0, NULL]}}", "{'a': NULL}"), ("{'a': {'b': [1.0, 1.75]}}",)),
    Change("VARCHAR[]", "INTEGER[]", ("['1', NULL, '2']", "[]"), ("['1', '02']", "['007']")),
    Change("INTEGER[]", "BIGINT[]", ("[1, 2]",), ("[3]",), "list_transform(j, lambda x: CASE x WHEN 3 THEN 4 ELSE x END)"),
    Change("TIMESTAMP[]", "DATE[]", ("[TIMESTAMP '2024-01-01 00:00:00']",), ("[TIMESTAMP '2024-01-01 00:00:01']",)),
    Change("TIMESTAMPTZ[]", "TIMESTAMP[]", ("[TIMESTAMPTZ '2024-01-01 10:00:00+00']",), ("[TIMESTAMPTZ '2024-07-01 10:00:00+00']",),
           "list_transform(j, lambda x: x AT TIME ZONE CASE WHEN x > '2024-06-01 00:00:00+00'::TIMESTAMPTZ THEN 'Asia/Tokyo' ELSE 'UTC' END)"),
    Change("DOUBLE[2]", "INTEGER[2]", ("[1.0, 2.0]",), ("[1.0, 2.25]",)),
    Change("INTEGER[]", "INTEGER[2]", ("[1, 2]",), ("[1]",), "CASE len(j) WHEN 2 THEN j END::INTEGER[2]"),
    Change("MAP(VARCHAR, DOUBLE)", "MAP(VARCHAR, INTEGER)", ("MAP {'a': 1.0}", "MAP {}"), ("MAP {'a': 1.5, 'b': 2.0}",)),
    Change("MAP(VARCHAR, INTEGER)", "MAP(INTEGER, INTEGER)", ("MAP {'1': 1}",), ("MAP {'01': 1}", "MAP {'x': 2}"),
           "CASE map_keys(j)[1] WHEN 'x' THEN MAP {} WHEN '01' THEN MAP {1: 1} WHEN '1' THEN MAP {1: 1} END"),
    Change("UNION(n INTEGER, s VARCHAR)", "UNION(n BIGINT, s VARCHAR)", ("union_value(n := 1)", "union_value(s := 'x')"), ("union_value(n := 2)",),
           "CASE union_tag(j) WHEN 's' THEN union_value(s := j.s)::UNION(n BIGINT, s VARCHAR) WHEN 'n' THEN union_value(n := CASE j.n WHEN 2 THEN 3 ELSE j.n END)::UNION(n BIGINT, s VARCHAR) END"),
    Change("UNION(n DOUBLE, s VARCHAR)", "UNION(s VARCHAR, n INTEGER)", ("union_value(n := 1)", "union_value(s := '1')"), ("union_value(n := 1.5)",),
           "CASE union_tag(j) WHEN 's' THEN union_value(s := j.s)::UNION(s VARCHAR, n INTEGER) WHEN 'n' THEN union_value(n := j.n::INTEGER)::UNION(s VARCHAR, n INTEGER) END"),
    Change("UNION(n INTEGER, s VARCHAR)", "UNION(s VARCHAR)", ("union_value(s := '1')",), ("union_value(n := 1)",),
           "CASE union_tag(j) WHEN 's' THEN union_value(s := j.s) WHEN 'n' THEN union_value(s := j.n::VARCHAR) END"),
    Change("INTEGER", "UNION(n INTEGER, s VARCHAR)", (), ("1",), "CASE WHEN j IS NOT NULL THEN union_value(n := j) END"),
]  # fmt: skip
SHOWN = [0, 12, 15, 33, 36, 43, 49, 50]
"""A few changes of different kinds, whose rows without a key are looked at one by one."""
DEPTH = max(len(change.values) for change in CHANGES)
NUMBERS = range(len(CHANGES))


def build(repo: Repo) -> None:
    """A table ``keyed`` with a column for each change, and a table without a key for each; both with a row of NULL."""
    repo(f"CREATE TABLE keyed (id INTEGER PRIMARY KEY, {', '.join(f'j{n} {CHANGES[n].old}' for n in NUMBERS)})")
    for row in range(DEPTH + 1):
        values = ", ".join(CHANGES[n].values[row] if row < len(CHANGES[n].values) else "NULL" for n in NUMBERS)
        repo(f"INSERT INTO keyed VALUES ({row}, {values})")
    for n in NUMBERS:
        values = ", ".join(f"({row}, {value})" for row, value in enumerate(CHANGES[n].values))
        repo(f"CREATE TABLE bag{n} (id INTEGER, j {CHANGES[n].old}); INSERT INTO bag{n} VALUES {values}, (99, NULL)")


def retype(repo: Repo) -> None:
    """By ALTER where that does it on all versions of DuckDB, else by building the table anew."""
    computed = [n for n in NUMBERS if CHANGES[n].using]
    for n in NUMBERS:
        change = CHANGES[n]
        if change.using:
            repo(f"CREATE OR REPLACE TABLE bag{n} AS SELECT id, CAST({change.using} AS {change.new}) AS j FROM bag{n}")
        else:
            repo(f"ALTER TABLE bag{n} ALTER j TYPE {change.new}; ALTER TABLE keyed ALTER j{n} TYPE {change.new}")
    values = ", ".join(f"CAST({_J.sub(f'j{n}', CHANGES[n].using)} AS {CHANGES[n].new}) AS j{n}" for n in computed)
    repo(f"CREATE TEMP TABLE next AS SELECT * REPLACE ({values}) FROM keyed")
    repo(
        f"CREATE OR REPLACE TABLE keyed (id INTEGER PRIMARY KEY, {', '.join(f'j{n} {CHANGES[n].new}' for n in NUMBERS)})"
    )
    repo("INSERT INTO keyed FROM next; DROP TABLE next")


def lost(n: int) -> range:
    """The rows of a change that are lost."""
    return range(len(CHANGES[n].kept), len(CHANGES[n].values))


MODIFIED = {
    row: [f"j{n}" for n in NUMBERS if row in lost(n)] for row in range(DEPTH) if any(row in lost(n) for n in NUMBERS)
}
COUNTS = {
    "keyed": (0, len(MODIFIED), 0),
    **{f"bag{n}": (len(lost(n)), 0, len(lost(n))) for n in NUMBERS},
}


def check(repo: Repo, back: str, forth: str) -> None:
    """Both directions of a difference name the rows that were lost, and nothing else, and are mirror images."""
    for one, other in ((back, forth), (forth, back)):
        found = {row[0]: row[1:4] for row in repo("FROM epoch_diff_stat(?, ?)", one, other)}
        assert found == {name: count for name, count in COUNTS.items() if any(count)}, (one, other)
        changed = dict(repo("SELECT table_name, data_change FROM epoch_diff_summary(?, ?)", one, other))
        assert changed == {name: any(count) for name, count in COUNTS.items()}
        check_keyed(repo, one, other)
    swapped = {"added": "removed", "removed": "added", "modified": "modified"}
    forwards, backwards = repo("FROM epoch_diff(?, ?)", back, forth), repo("FROM epoch_diff(?, ?)", forth, back)
    mirrored = [(t, swapped[op], key, columns, after, before) for t, op, key, columns, before, after in forwards]
    assert sorted(mirrored, key=str) == sorted(backwards, key=str)


def check_keyed(repo: Repo, one: str, other: str) -> None:
    diff = f"epoch_diff('{one}', '{other}', table_name := 'keyed')"
    assert repo(f"SELECT diff_type, changed_columns, from_id FROM {diff} ORDER BY from_id") == [
        ("modified", columns, row) for row, columns in MODIFIED.items()
    ]
    described = dict(repo.columns(f"FROM {diff}"))
    for side, ref in (("from", one), ("to", other)):
        at = f"FROM epoch_at('{ref}', 'keyed')"
        assert {f"{side}_{name}": type for name, type in repo.columns(at)}.items() <= described.items()
        shown = ", ".join(f"{side}_j{n}::VARCHAR" for n in NUMBERS)
        held = ", ".join(f"j{n}::VARCHAR" for n in NUMBERS)
        assert repo(f"SELECT {shown} FROM {diff} ORDER BY from_id") == repo(
            f"SELECT {held} {at} WHERE list_contains(?, id) ORDER BY id", list(MODIFIED)
        )


def check_bags(repo: Repo, one: str, other: str) -> None:
    """Removed rows have their old values, added ones their new values, each under its own type."""
    shown, held = [], []
    for n in SHOWN:
        diff = f"epoch_diff('{one}', '{other}', table_name := 'bag{n}')"
        for side, ref, op in (("from", one, "removed"), ("to", other, "added")):
            columns = "typeof({j}), {j}::VARCHAR"
            shown.append(
                f"SELECT {n} AS n, '{op}' AS op, diff_type, {side}_id AS id, {columns.format(j=f'{side}_j')} "
                f"FROM {diff} WHERE diff_type = '{op}'"
            )
            held.append(
                f"SELECT {n} AS n, '{op}' AS op, '{op}', id, {columns.format(j='j')} "
                f"FROM epoch_at('{ref}', 'bag{n}') WHERE list_contains({list(lost(n))}, id)"
            )
    assert repo(" UNION ALL ".join(shown) + " ORDER BY ALL") == repo(" UNION ALL ".join(held) + " ORDER BY ALL")


@pytest.mark.slow
def test_the_grid(make_repo: MakeRepo) -> None:
    repo = make_repo(init=False)
    build(repo)
    repo("CALL epoch_init()")
    retype(repo)
    assert repo.status() == sorted((name, "schema", *count) for name, count in COUNTS.items())
    total = tuple(map(sum, zip(*COUNTS.values(), strict=True)))
    assert repo.commit() == (len(COUNTS), *total)
    check(repo, "HEAD~1", "HEAD")
    check_bags(repo, "HEAD~1", "HEAD")
    ((_, *logged),) = repo(
        "SELECT message, rows_added, rows_modified, rows_removed FROM epoch_changelog('main') LIMIT 1"
    )
    assert tuple(logged) == total
    repo("CALL epoch_compact()")
    counted = {row[0]: row[1:4] for row in repo("FROM epoch_diff_stat('HEAD~1', 'HEAD')")}
    assert counted == {name: count for name, count in COUNTS.items() if any(count)}


KEYS = "CREATE TABLE t (k VARCHAR, v INTEGER); INSERT INTO t VALUES ('1', 10), ('2', 20), ('007', 70), ('8', 80)"


def test_a_key_whose_type_changes(make_repo: MakeRepo) -> None:
    """A key that turns into the new one and back is the same row; any other goes, and another comes."""
    repo = make_repo(KEYS, init=False)
    repo("CALL epoch_init(); CALL epoch_key('t', ['k'])")
    repo.commit("key")
    repo("ALTER TABLE t ALTER k TYPE INTEGER; UPDATE t SET v = 21 WHERE k = 2; DELETE FROM t WHERE k = 8")
    assert repo.status() == [("t", "schema", 1, 1, 2)]
    assert repo.commit("retyped") == (1, 1, 1, 2)
    for one, other, swap in (("HEAD~1", "HEAD", False), ("HEAD", "HEAD~1", True)):
        found = repo(f"FROM epoch_diff('{one}', '{other}', table_name := 't') ORDER BY ALL")
        rows = [
            ("modified", ["v"], "2", 2, 20, 21),
            ("removed", [], "007", None, 70, None),
            ("removed", [], "8", None, 80, None),
            ("added", [], None, 7, None, 70),
        ]
        if swap:
            named = {"added": "removed", "removed": "added", "modified": "modified"}
            rows = [(named[op], c, new, old, w, v) for op, c, old, new, v, w in rows]
        assert sorted(found, key=str) == sorted(rows, key=str)
    keys = repo("SELECT diff_type, key FROM epoch_diff('HEAD~1', 'HEAD') ORDER BY ALL")
    assert keys == [("added", '{"k":7}'), ("modified", '{"k":2}'), ("removed", '{"k":"007"}'), ("removed", '{"k":"8"}')]
    assert repo("SELECT k, message FROM epoch_blame('t') ORDER BY k") == [
        (1, "Initial commit"),
        (2, "retyped"),
        (7, "retyped"),
    ]
    assert repo("SELECT diff_type, v FROM epoch_history('t', key := '2') ORDER BY v") == [
        ("added", 20),
        ("modified", 21),
    ]


@pytest.mark.slow
def test_over_several_commits_and_in_patches(make_repo: MakeRepo) -> None:
    """Deltas before and after the change, a value that is lost and comes back, and patches there and back."""
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t SELECT i, i FROM range(100) r(i);"
        "CREATE TABLE bag AS SELECT id, v FROM t"
    )
    for name in ("t", "bag"):
        repo(f"UPDATE {name} SET v = '007' WHERE id = 7; UPDATE {name} SET v = '08' WHERE id = 8")
    repo.commit("texts")
    for name in ("t", "bag"):
        repo(f"ALTER TABLE {name} ALTER v TYPE INTEGER; UPDATE {name} SET v = 900 WHERE id = 9")
    repo.commit("numbers")
    for name in ("t", "bag"):
        repo(f"UPDATE {name} SET v = 70 WHERE id = 7; UPDATE {name} SET v = 1000 WHERE id = 10")
    repo.commit("later")
    repo("ALTER TABLE t ALTER v TYPE BIGINT; ALTER TABLE bag ALTER v TYPE BIGINT")
    repo.commit("wider")
    expected = {"HEAD~4": {7, 9, 10}, "HEAD~3": {7, 8, 9, 10}, "HEAD~2": {7, 10}, "HEAD~1": set[int]()}
    for ref, ids in expected.items():
        for one, other in ((ref, "HEAD"), ("HEAD", ref)):
            for name in ("t", "bag"):
                diff = f"epoch_diff('{one}', '{other}', table_name := '{name}')"
                assert {row[0] for row in repo(f"SELECT coalesce(from_id, to_id) FROM {diff}")} == ids, (
                    one,
                    other,
                    name,
                )
    assert repo(
        "SELECT diff_type, v FROM epoch_history('t', key := '8') JOIN epoch_log() USING (commit_id) ORDER BY message"
    ) == [("added", 8), ("modified", 8), ("modified", 8)]
    for one, other in (("main~3", "main"), ("main", "main~3")):
        repo("CALL epoch_checkout(?)", one)
        for (statement,) in repo("SELECT statement FROM epoch_patch(?, ?) ORDER BY statement_order", one, other):
            repo(statement)
        for name in ("t", "bag"):
            assert repo(f"FROM {name} ORDER BY ALL") == repo.at(other, name)
        repo("CALL epoch_checkout('main', force := true)")
