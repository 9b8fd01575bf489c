"""Views, macros, enums, sequences and schemas: each is taken as a whole, by its name."""

from __future__ import annotations

from tests.merge.playing import Conflict, Resolve, Scenario

_T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (1, 1); "
_V = "CREATE VIEW v AS SELECT 1 AS x; "
_VIEWS = "SELECT view_name FROM duckdb_views() WHERE schema_name = current_schema() AND NOT internal ORDER BY ALL"


def _view(text: str) -> str:
    return f"CREATE OR REPLACE VIEW v AS SELECT {text} AS x"


CLEAN = (
    Scenario("view added on one side", _T, _V, "UPDATE t SET a = 2", {"v": [(1,)], "t": [(1, 2)]}),
    Scenario("views added on both sides", _T, _V, "CREATE VIEW w AS SELECT 2 AS x", {"v": [(1,)], "w": [(2,)]}),
    Scenario("the same view added on both sides", _T, _V, _V, {"v": [(1,)]}),
    Scenario("view dropped on one side", _V, "DROP VIEW v", "", {_VIEWS: []}),
    Scenario("view dropped on both", _V, "DROP VIEW v", "DROP VIEW v", {_VIEWS: []}),
    Scenario("view redefined on one side", _V, _view("2"), "", {"v": [(2,)]}),
    Scenario("view redefined alike on both", _V, _view("2"), _view("2"), {"v": [(2,)]}),
    Scenario("macro added on one side", _T, "CREATE MACRO m(x) AS x + 1", "", {"SELECT m(1)": [(2,)]}),
    Scenario("table macro redefined on one side", "CREATE MACRO m() AS TABLE SELECT 1 AS x",
             "CREATE OR REPLACE MACRO m() AS TABLE SELECT 2 AS x", "", {"FROM m()": [(2,)]}),
    Scenario("macros of both sides", _T, "CREATE MACRO m(x) AS x + 1", "CREATE MACRO n(x) AS x + 2", {"SELECT m(1), n(1)": [(2, 3)]}),
    Scenario("enum added and used on one side", _T, "CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TABLE t ADD COLUMN f mood; UPDATE t SET f = 'ok'", "UPDATE t SET a = 2",
             {"SELECT id, a, f::VARCHAR FROM t": [(1, 2, "ok")]}),
    Scenario("enum cells of both sides", "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id INTEGER PRIMARY KEY, f mood, g mood); INSERT INTO t VALUES (1, 'sad', 'sad')",
             "UPDATE t SET f = 'ok'", "UPDATE t SET g = 'ok'", {"SELECT id, f::VARCHAR, g::VARCHAR FROM t": [(1, "ok", "ok")]}),
    Scenario("sequence added on one side", _T, "CREATE SEQUENCE q START 5", "UPDATE t SET a = 2", {"SELECT start_value FROM duckdb_sequences() WHERE schema_name = current_schema()": [(5,)], "t": [(1, 2)]}),
    Scenario("the same index added on both sides", _T, "CREATE INDEX i ON t (a)", "CREATE INDEX i ON t (a); UPDATE t SET a = 2", {"t": [(1, 2)]}),
    Scenario("schema added on one side", _T, "CREATE SCHEMA extra; CREATE TABLE extra.n AS SELECT 1 AS x", "UPDATE t SET a = 2", {"FROM extra.n": [(1,)], "t": [(1, 2)]}, alone=True),
    Scenario("schema dropped on one side", f"{_T} CREATE SCHEMA extra", "DROP SCHEMA extra", "UPDATE t SET a = 2",
             {"SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'extra' AND database_name = current_database()": [(0,)], "t": [(1, 2)]}, alone=True),
    Scenario("view over a table that the other side changes", f"{_T} CREATE VIEW v AS SELECT id, a FROM t", "CREATE OR REPLACE VIEW v AS SELECT id, a + 1 AS b FROM t", "UPDATE t SET a = 5; ALTER TABLE t ADD COLUMN c INTEGER",
             {"FROM v": [(1, 6)]}, alone=True),
)


def _conflict(name: str, base: str, ours: str, theirs: str, rows: dict[str, list[tuple[object, ...]]], side: str = "ours") -> Scenario:
    """One object in conflict; what the conflict shows is up to DuckDB's printer."""
    return Scenario(name, base, ours, theirs, rows, [Conflict("v", None, None, "schema", ..., ..., ...)], resolve=[Resolve("v", side)])


CONFLICTS = (
    _conflict("view redefined differently", _V, _view("2"), _view("3"), {"v": [(2,)]}),
    _conflict("view redefined differently, theirs", _V, _view("2"), _view("3"), {"v": [(3,)]}, "theirs"),
    _conflict("view redefined differently, the base", _V, _view("2"), _view("3"), {"v": [(1,)]}, "base"),
    _conflict("view added differently on both", _T, _view("2"), _view("3"), {"v": [(2,)]}),
    _conflict("view dropped and redefined", _V, "DROP VIEW v", _view("3"), {_VIEWS: []}),
    _conflict("view dropped and redefined, kept", _V, "DROP VIEW v", _view("3"), {"v": [(3,)]}, "theirs"),
    _conflict("macro redefined differently", "CREATE MACRO v(x) AS x", "CREATE OR REPLACE MACRO v(x) AS x + 1", "CREATE OR REPLACE MACRO v(x) AS x + 2", {"SELECT v(1)": [(2,)]}),
    _conflict("enum changed differently", "CREATE TYPE v AS ENUM ('a')", "DROP TYPE v; CREATE TYPE v AS ENUM ('a', 'b')", "DROP TYPE v; CREATE TYPE v AS ENUM ('a', 'c')",
              {"SELECT 'b'::v::VARCHAR": [("b",)]}),
    _conflict("sequence changed differently", "CREATE SEQUENCE v", "DROP SEQUENCE v; CREATE SEQUENCE v INCREMENT 2", "DROP SEQUENCE v; CREATE SEQUENCE v INCREMENT 3",
              {"SELECT increment_by FROM duckdb_sequences() WHERE schema_name = current_schema()": [(2,)]}),
    _conflict("a view here, a table of its name there", _T, _V, "CREATE TABLE v (x INTEGER); INSERT INTO v VALUES (7)", {"v": [(1,)]}),
    _conflict("a view here, a table of its name there: the table", _T, _V, "CREATE TABLE v (x INTEGER); INSERT INTO v VALUES (7)", {"v": [(7,)]}, "theirs"),
)
