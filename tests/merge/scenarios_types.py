"""Values of every type as merged cells: each column of ``test_all_types()`` edited on one side beside an edit of the other."""

from __future__ import annotations

import duckdb

from epoch_sql.errors import EpochError
from epoch_sql.storage.encoding import check_supported
from tests.merge.playing import Conflict, Resolve, Scenario, Shown


def _columns() -> list[tuple[str, str]]:
    """The columns of ``test_all_types()`` that can be versioned, with their types; not those whose type has no name to declare."""
    with duckdb.connect() as connection:
        found = connection.execute("DESCRIBE SELECT * FROM test_all_types()").fetchall()
    return [(row[0], row[1]) for row in found if _supported(row[1])]


def _supported(type: str) -> bool:
    try:
        check_supported(type)
    except EpochError:
        return False
    return True


def _all_types() -> Scenario:
    """Row 1 has the smallest values, row 2 the largest, row 3 NULLs; the sides turn 1 into 2, 2 into 3 and 3 into 1, by halves."""
    names = [f'"{name}"' for name, _ in _columns()]
    columns = ", ".join(names)
    numbered = f"SELECT row_number() OVER () AS id, 0 AS note, {columns} FROM test_all_types()"
    base = f"CREATE TABLE t AS {numbered}; ALTER TABLE t ADD PRIMARY KEY (id); CREATE TABLE was AS FROM t"

    def turn(part: list[str]) -> str:
        sets = ", ".join(f"{name} = o.{name}" for name in part)
        return f"UPDATE t SET {sets} FROM was AS o WHERE o.id = t.id % 3 + 1"

    same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM o.{name}" for name in names)
    half = len(names) // 2
    query = f"SELECT t.id FROM t JOIN was AS o ON o.id = t.id % 3 + 1 WHERE {same} ORDER BY ALL"
    ours, theirs = turn(names[:half]), f"{turn(names[half:])}; UPDATE t SET note = 1"
    return Scenario("all types: cells of both sides", base, ours, theirs, {query: [(1,), (2,), (3,)]})


_PAIRS = (
    ("DOUBLE", "1.5", "'nan'", "'inf'", "1.5", "NaN", "Infinity"),
    ("DOUBLE", "1.5", "2.5", "NULL", "1.5", "2.5", None),
    ("INTERVAL", "INTERVAL 1 MONTH", "INTERVAL 40 DAY", "INTERVAL 2 MONTH", '"1 month"', '"40 days"', '"2 months"'),
    ("DECIMAL(38, 10)", "1.0000000001", "1.0000000002", "1.0000000003", "1.0000000001", "1.0000000002", "1.0000000003"),
    ("HUGEINT", "1", "170141183460469231731687303715884105727", "-170141183460469231731687303715884105727", "1",
     "170141183460469231731687303715884105727", "-170141183460469231731687303715884105727"),
    ("BLOB", "'a'", "'\\xFF'", "'b'", '"a"', '"\\\\xFF"', '"b"'),
    ("TIMESTAMP", "'2026-01-01'", "'2026-01-01 00:00:00.000001'", "'infinity'", '"2026-01-01 00:00:00"', '"2026-01-01 00:00:00.000001"', '"infinity"'),
    ("INTEGER[]", "[1]", "[1, NULL]", "[]", "[1]", "[1,null]", "[]"),
    ("STRUCT(a INTEGER, b VARCHAR)", "{a: 1, b: 'x'}", "{a: 1, b: NULL}", "{a: 2, b: 'x'}", '{"a":1,"b":"x"}', '{"a":1,"b":null}', '{"a":2,"b":"x"}'),
    ("MAP(VARCHAR, INTEGER)", "MAP {'a': 1}", "MAP {'a': 2}", "MAP {}", '{"a":1}', '{"a":2}', "{}"),
    ("UUID", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'", "'00000000-0000-0000-0000-000000000003'",
     '"00000000-0000-0000-0000-000000000001"', '"00000000-0000-0000-0000-000000000002"', '"00000000-0000-0000-0000-000000000003"'),
    ("VARCHAR", "'x'", "''", "'null'", '"x"', '""', '"null"'),
    ("BOOLEAN", "true", "false", "NULL", "true", "false", None),
    ("JSON", "'{\"a\": 1}'", "'null'", "'[1, 2]'", '{"a":1}', "null", "[1,2]"),
)


def _pairs() -> list[Scenario]:
    found = []
    for number, (type, base, ours, theirs, *shown) in enumerate(_PAIRS):
        found.append(
            Scenario(
                f"{type} in conflict ({number})",
                f"CREATE TABLE t (id INTEGER PRIMARY KEY, a {type}); INSERT INTO t VALUES (1, {base})",
                f"UPDATE t SET a = {ours}",
                f"UPDATE t SET a = {theirs}",
                {f"SELECT a IS NOT DISTINCT FROM CAST({theirs} AS {type}) FROM t": [(True,)]},
                [Conflict("t", 1, "a", "modify/modify", *(None if text is None else Shown(text) for text in shown))],
                resolve=[Resolve("t", "theirs", 1, "a")],
            )
        )
    return found


_D = "CREATE TABLE t (id INTEGER PRIMARY KEY, a DOUBLE, b DOUBLE); "
_EQUAL = (
    Scenario("-0.0 is 0.0", f"{_D} INSERT INTO t VALUES (1, 0.0, 1)", "UPDATE t SET a = '-0.0'::DOUBLE", "UPDATE t SET a = 5, b = 2",
             {"t": [(1, 5.0, 2.0)]}),
    Scenario("NaN is NaN", f"{_D} INSERT INTO t VALUES (1, 0.0, 1)", "UPDATE t SET a = 'nan'", "UPDATE t SET a = 'nan', b = 2",
             {"SELECT isnan(a), b FROM t": [(True, 2.0)]}),
    Scenario("NaN kept beside another edit", f"{_D} INSERT INTO t VALUES (1, 'nan', 1)", "UPDATE t SET b = 3", "UPDATE t SET a = 7",
             {"t": [(1, 7.0, 3.0)]}),
    Scenario("NaN as a value of one side", f"{_D} INSERT INTO t VALUES (1, 1, 1)", "UPDATE t SET a = 'nan'", "UPDATE t SET b = '-inf'",
             {"SELECT isnan(a), b::VARCHAR FROM t": [(True, "-inf")]}),
    Scenario("text by its bytes", "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR COLLATE NOCASE, b INTEGER); INSERT INTO t VALUES (1, 'x', 1)",
             "UPDATE t SET a = 'X'", "UPDATE t SET b = 2", {"SELECT ascii(a), b FROM t": [(88, 2)]}),
)

TYPES = (_all_types(), *_pairs(), *_EQUAL)
