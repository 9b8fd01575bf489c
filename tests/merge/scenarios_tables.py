"""Whole tables: added, dropped, renamed on one side or both."""

from __future__ import annotations

from tests.merge.playing import Conflict, Resolve, Scenario

_T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1), (2, 2); "
_ADD = "CREATE TABLE n (id INTEGER PRIMARY KEY, a INTEGER); "
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = current_schema() ORDER BY ALL"
_TEXT = "t(id INTEGER NOT NULL, a INTEGER)"

CLEAN = (
    Scenario(
        "table added on one side",
        _T,
        f"{_ADD} INSERT INTO n VALUES (1, 1)",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"n": [(1, 1)], "t": [(1, 9), (2, 2)]},
    ),
    Scenario(
        "tables added on both sides",
        _T,
        f"{_ADD} INSERT INTO n VALUES (1, 1)",
        "CREATE TABLE m AS SELECT 5 AS x",
        {"n": [(1, 1)], "m": [(5,)]},
    ),
    Scenario(
        "the same table added on both, equal rows",
        _T,
        f"{_ADD} INSERT INTO n VALUES (1, 1)",
        f"{_ADD} INSERT INTO n VALUES (1, 1)",
        {"n": [(1, 1)]},
    ),
    Scenario(
        "the same table added on both, different rows",
        _T,
        f"{_ADD} INSERT INTO n VALUES (1, 1)",
        f"{_ADD} INSERT INTO n VALUES (2, 2)",
        {"n": [(1, 1), (2, 2)]},
    ),
    Scenario(
        "the same table added on both, another column on one",
        _T,
        f"{_ADD} INSERT INTO n VALUES (1, 1)",
        "CREATE TABLE n (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER DEFAULT 5); INSERT INTO n VALUES (2, 2, 3)",
        {"SELECT id, a, b FROM n ORDER BY ALL": [(1, 1, 5), (2, 2, 3)]},
    ),
    Scenario(
        "the same keyless table added on both",
        _T,
        "CREATE TABLE n AS SELECT 1 AS x",
        "CREATE TABLE n AS SELECT 1 AS x",
        {"n": [(1,)]},
    ),
    Scenario("table dropped on one side", _T, "DROP TABLE t", "", {_TABLES: []}),
    Scenario("table dropped on both", _T, "DROP TABLE t", "DROP TABLE t", {_TABLES: []}),
    Scenario("table dropped on one side, another added on the other", _T, "DROP TABLE t", _ADD, {_TABLES: [("n",)]}),
    Scenario(
        "table renamed on one side, edited on the other",
        _T,
        "ALTER TABLE t RENAME TO n",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"n": [(1, 9), (2, 2)], _TABLES: [("n",)]},
    ),
    Scenario(
        "table renamed on both to the same name",
        _T,
        "ALTER TABLE t RENAME TO n; UPDATE n SET a = 8 WHERE id = 2",
        "ALTER TABLE t RENAME TO n; UPDATE n SET a = 9 WHERE id = 1",
        {"n": [(1, 9), (2, 8)], _TABLES: [("n",)]},
    ),
    Scenario(
        "table renamed and edited, altered on the other",
        _T,
        "ALTER TABLE t RENAME TO n; UPDATE n SET a = 8 WHERE id = 2",
        "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 5",
        {"n": [(1, 1, 5), (2, 8, 5)], _TABLES: [("n",)]},
    ),
    Scenario(
        "empty table filled on both sides",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)",
        "INSERT INTO t VALUES (1, 1)",
        "INSERT INTO t VALUES (2, 2)",
        {"t": [(1, 1), (2, 2)]},
    ),
    Scenario(
        "table dropped and made again, alike",
        _T,
        "DROP TABLE t; " + _T,
        "UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9), (2, 2)]},
    ),
)

CONFLICTS = (
    Scenario(
        "table dropped on one side, edited on the other",
        _T,
        "DROP TABLE t",
        "UPDATE t SET a = 9 WHERE id = 1",
        {_TABLES: []},
        [Conflict("t", None, None, "schema", _TEXT, None, _TEXT)],
    ),
    Scenario(
        "table dropped on one side, edited on the other, kept",
        _T,
        "DROP TABLE t",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9), (2, 2)]},
        [Conflict("t", None, None, "schema", _TEXT, None, _TEXT)],
        resolve=[Resolve("t", "theirs")],
    ),
    Scenario(
        "table dropped on one side, edited on the other, back to the base",
        _T,
        "DROP TABLE t",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 1), (2, 2)]},
        [Conflict("t", None, None, "schema", _TEXT, None, _TEXT)],
        resolve=[Resolve("t", "base")],
    ),
    Scenario(
        "table dropped on one side, altered on the other",
        _T,
        "DROP TABLE t",
        "ALTER TABLE t ADD COLUMN b INTEGER",
        {_TABLES: []},
        [Conflict("t", None, None, "schema", _TEXT, None, "t(id INTEGER NOT NULL, a INTEGER, b INTEGER)")],
    ),
    Scenario(
        "table dropped on one side, renamed on the other",
        _T,
        "DROP TABLE t",
        "ALTER TABLE t RENAME TO n",
        {"n": [(1, 1), (2, 2)]},
        [Conflict("n", None, None, "schema", _TEXT, None, "n(id INTEGER NOT NULL, a INTEGER)")],
        resolve=[Resolve("n", "theirs")],
    ),
    Scenario(
        "table renamed to different names",
        _T,
        "ALTER TABLE t RENAME TO n; UPDATE n SET a = 8 WHERE id = 2",
        "ALTER TABLE t RENAME TO m; UPDATE m SET a = 9 WHERE id = 1",
        {"n": [(1, 9), (2, 8)], _TABLES: [("n",)]},
        [Conflict(("n", "m"), None, None, "schema", "t", "n", "m")],
    ),
    Scenario(
        "table added on both with another key",
        "",
        "CREATE TABLE n (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO n VALUES (1, 1)",
        "CREATE TABLE n (id INTEGER, a INTEGER PRIMARY KEY); INSERT INTO n VALUES (2, 2)",
        {"n": [(1, 1)]},
        [
            Conflict(
                "n",
                None,
                None,
                "schema",
                None,
                "n(id INTEGER NOT NULL, a INTEGER)",
                "n(id INTEGER, a INTEGER NOT NULL)",
            )
        ],
    ),
    Scenario(
        "two tables get one name",
        _T,
        "ALTER TABLE t RENAME TO n",
        "CREATE TABLE n (x INTEGER); INSERT INTO n VALUES (7)",
        {"n": [(1, 1), (2, 2)]},
        [Conflict("n", None, None, "schema", None, "n(id INTEGER NOT NULL, a INTEGER)", "n(x INTEGER)")],
        resolve=[Resolve("n", "ours")],
    ),
)
