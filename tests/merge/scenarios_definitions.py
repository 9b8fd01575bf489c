"""Definitions that name others: they follow renames of the other side, and stop the merge where they miss something."""

from __future__ import annotations

from tests.merge.playing import Resolve, Row, Scenario, Violation

_P = "CREATE TABLE p (id INTEGER PRIMARY KEY, n INTEGER UNIQUE); INSERT INTO p VALUES (1, 10), (2, 20); "
_C = "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER); INSERT INTO c VALUES (1, 1); "
_C_REFERS = "DROP TABLE c; CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id)); INSERT INTO c VALUES (1, 1); "
_D_REFERS = "CREATE TABLE d (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id)); INSERT INTO d VALUES (5, 2); "
_KEYS = (
    "SELECT table_name, constraint_column_names, referenced_table, referenced_column_names FROM duckdb_constraints() "
    "WHERE schema_name = current_schema() AND constraint_type = 'FOREIGN KEY' ORDER BY ALL"
)
_T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2); "
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = current_schema() ORDER BY ALL"
_VIEWS = "SELECT view_name FROM duckdb_views() WHERE schema_name = current_schema() AND NOT internal ORDER BY ALL"
_INDEXED = "SELECT index_name, contains(expressions, 'x'), contains(expressions, 'a') FROM duckdb_indexes() WHERE schema_name = current_schema() ORDER BY ALL"
_TEXTS = (
    "SELECT constraint_type, constraint_column_names FROM duckdb_constraints() WHERE schema_name = current_schema() "
    "AND constraint_type IN ('CHECK', 'UNIQUE') ORDER BY ALL"
)
_RENAME = "ALTER TABLE t RENAME a TO x; UPDATE t SET x = 9 WHERE id = 2"


def _again(columns: str) -> str:
    """The table t made anew with other definitions: the only way to add constraints and generated columns."""
    return f"DROP TABLE t; CREATE TABLE t ({columns}); INSERT INTO t (id, a, b) VALUES (1, 1, 1), (2, 2, 2)"


def _keys(*rows: Row) -> dict[str, list[Row]]:
    return {_KEYS: list(rows)}


FOLLOWED = (
    Scenario("foreign key added on one side, its parent's column renamed on the other", f"{_P}{_C}", _C_REFERS,
             "ALTER TABLE p RENAME id TO number", {**_keys(("c", ["p"], "p", ["number"])), "c": [(1, 1)]}),
    Scenario("foreign key added on one side, its parent renamed on the other", f"{_P}{_C}", _C_REFERS,
             "ALTER TABLE p RENAME TO parents", {**_keys(("c", ["p"], "parents", ["id"])), "c": [(1, 1)]}),
    Scenario("child table added on one side, its parent renamed on the other", f"{_P}", _D_REFERS,
             "ALTER TABLE p RENAME TO parents; INSERT INTO parents VALUES (3, 30)",
             {**_keys(("d", ["p"], "parents", ["id"])), "d": [(5, 2)], "parents": [(1, 10), (2, 20), (3, 30)]}),
    Scenario("child table added on one side, a unique column of its parent renamed on the other", _P,
             "CREATE TABLE d (n INTEGER REFERENCES p (n)); INSERT INTO d VALUES (10)",
             "ALTER TABLE p RENAME n TO m", {**_keys(("d", ["n"], "p", ["m"])), "d": [(10,)]}),
    Scenario("foreign key added on one side, its own column renamed on the other", f"{_P}{_C}", _C_REFERS,
             "ALTER TABLE c RENAME p TO parent; INSERT INTO c VALUES (2, 2)",
             {**_keys(("c", ["parent"], "p", ["id"])), "c": [(1, 1), (2, 2)]}),
    Scenario("foreign keys added on both sides, to a parent that one renamed", f"{_P}{_C}", f"ALTER TABLE p RENAME TO parents; {_C_REFERS.replace('REFERENCES p', 'REFERENCES parents')}",
             f"{_C_REFERS} INSERT INTO c VALUES (2, 2)", {**_keys(("c", ["p"], "parents", ["id"])), "c": [(1, 1), (2, 2)]}),
    Scenario("a child and its parent made anew under another column name, a row added on the other side", f"{_P}{_D_REFERS}",
             f"DROP TABLE d; ALTER TABLE p RENAME id TO number; {_D_REFERS.replace('p (id)', 'p (number)')}", "INSERT INTO d VALUES (6, 1)",
             {**_keys(("d", ["p"], "p", ["number"])), "d": [(5, 2), (6, 1)]}),
    Scenario("a table that refers to itself, its key renamed on the other side", "CREATE TABLE t (id INTEGER PRIMARY KEY, boss INTEGER); INSERT INTO t VALUES (1, NULL), (2, 1)",
             "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES t (id)); INSERT INTO t VALUES (1, NULL); INSERT INTO t VALUES (2, 1)",
             "ALTER TABLE t RENAME id TO number", {**_keys(("t", ["boss"], "t", ["number"])), "t": [(1, None), (2, 1)]}),
    Scenario("foreign key followed a rename, and a parent row is gone", _P, _D_REFERS, "ALTER TABLE p RENAME TO parents; DELETE FROM parents WHERE id = 2",
             {**_keys(("d", ["p"], "parents", ["id"])), "d": [(5, 1)]},
             violations=[Violation("d", 5, "foreign key", "no row of")], resolve=[Resolve("d", None, 5, "p", "1")]),
    Scenario("CHECK added on one side, its column renamed on the other", _T, _again("id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, CHECK (a + b > 0)"), _RENAME,
             {_TEXTS: [("CHECK", ["x", "b"])], "t": [(1, 1, 1), (2, 9, 2)]}),
    Scenario("CHECK followed a rename, and a row breaks it", _T, _again("id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, CHECK (a < 5)"), _RENAME,
             {"t": [(1, 1, 1), (2, 4, 2)]}, violations=[Violation("t", 2, "check")], resolve=[Resolve("t", None, 2, "x", "4")]),
    Scenario("UNIQUE added on one side, its column renamed on the other", _T, _again("id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b INTEGER"), _RENAME,
             {_TEXTS: [("UNIQUE", ["x"])], "t": [(1, 1, 1), (2, 9, 2)]}),
    Scenario("generated column added on one side, its source renamed on the other", _T, _again("id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, g INTEGER GENERATED ALWAYS AS (a * 2)"), _RENAME,
             {"SELECT id, x, b, g FROM t ORDER BY ALL": [(1, 1, 1, 2), (2, 9, 2, 18)]}),
    Scenario("generated column and its source renamed on one side, rows on the other",
             "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, g INTEGER GENERATED ALWAYS AS (a * 2)); INSERT INTO t VALUES (1, 1)",
             "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER, g INTEGER GENERATED ALWAYS AS (x * 2)); INSERT INTO t VALUES (1, 1)",
             "INSERT INTO t VALUES (2, 2)", {"SELECT id, x, g FROM t ORDER BY ALL": [(1, 1, 2), (2, 2, 4)]}),
    Scenario("generated column redefined on one side, its source renamed on the other",
             "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, g INTEGER GENERATED ALWAYS AS (b * 2)); INSERT INTO t VALUES (1, 1, 1)",
             "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, g INTEGER GENERATED ALWAYS AS (a * 3)); INSERT INTO t VALUES (1, 1, 1)",
             "ALTER TABLE t RENAME a TO x; UPDATE t SET x = 9", {"SELECT id, x, b, g FROM t ORDER BY ALL": [(1, 9, 1, 27)]}),
    Scenario("indexes added on one side, their column renamed on the other", _T, "CREATE INDEX i ON t (a); CREATE INDEX j ON t ((a + b))", _RENAME,
             {_INDEXED: [("i", True, False), ("j", True, False)], "t": [(1, 1, 1), (2, 9, 2)]}),
)

_SEES = "CREATE VIEW v AS SELECT id, a FROM t; CREATE VIEW w AS SELECT * FROM v; CREATE MACRO m() AS TABLE SELECT a FROM t; "
_MISSING = [
    Violation("v", None, "view", "table t, which it refers to, does not exist"),
    Violation("w", None, "view", "view v, which it refers to, cannot be made"),
    Violation("m", None, "macro", "table t, which it refers to, does not exist"),
]
_NO_COLUMN = [
    Violation("v", None, "view", "column a of table t, which it refers to, does not exist"),
    Violation("w", None, "view", "view v, which it refers to, cannot be made"),
    Violation("m", None, "macro", "column a of table t, which it refers to, does not exist"),
]
_ORPHANED = [Violation("d", None, "foreign key", "p, which it refers to, does not exist")]


def _seen(name: str, ours: str, theirs: str, rows: dict[str, list[Row]], violations: list[Violation], *resolve: Resolve, base: str = _T) -> Scenario:
    """A scenario in schema main: views name their tables without a schema."""
    return Scenario(name, base, ours, theirs, rows, violations=violations, resolve=resolve, alone=True)


IMPOSSIBLE = (
    _seen("views and macros over a table that is dropped on the other side: without them", "DROP TABLE t", _SEES, {_VIEWS: [], _TABLES: []}, _MISSING,
          Resolve("v", "ours"), Resolve("w", "ours"), Resolve("m", "base")),
    _seen("views and macros over a table that is dropped on the other side: the table stays", "DROP TABLE t", _SEES,
          {"w": [(1, 1), (2, 2)], "t": [(1, 1, 1), (2, 2, 2)], "SELECT count(*) FROM m()": [(2,)]}, _MISSING, Resolve("t", "theirs")),
    _seen("views and macros over a column that is dropped on the other side: the column stays", "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 8 WHERE id = 1", f"{_SEES} INSERT INTO t VALUES (3, 3, 3)",
          {"w": [(1, 1), (2, 2), (3, 3)], "t": [(1, 1, 8), (2, 2, 2), (3, 3, 3)]}, _NO_COLUMN, Resolve("t", "theirs")),
    _seen("views over a table that is renamed on the other side", "ALTER TABLE t RENAME TO n", "CREATE VIEW v AS SELECT id, a FROM t", {_VIEWS: [], "n": [(1, 1, 1), (2, 2, 2)]},
          [Violation("v", None, "view", "table t, which it refers to, is called n")], Resolve("v", "ours")),
    _seen("views over a column that is renamed on the other side: the old name", "ALTER TABLE t RENAME a TO x; UPDATE t SET x = 9 WHERE id = 1", "CREATE VIEW v AS SELECT id, a FROM t", {"v": [(1, 9), (2, 2)]},
          [Violation("v", None, "view", "column a of table t, which it refers to, is called x")], Resolve("t", "base")),
    _seen("a view whose columns become ambiguous", "ALTER TABLE u ADD COLUMN a INTEGER", "CREATE VIEW v AS SELECT a FROM t JOIN u ON x = id", {_VIEWS: []},
          [Violation("v", None, "view", "mbiguous")], Resolve("v", "ours"), base=f"{_T} CREATE TABLE u (x INTEGER)"),
    _seen("a view that its own side broke before is no violation", "INSERT INTO u VALUES (1)", "INSERT INTO u VALUES (2)", {"u": [(1,), (2,)]}, [],
          base=f"{_T} CREATE VIEW v AS SELECT id, a FROM t; ALTER TABLE t DROP COLUMN a; CREATE TABLE u (x INTEGER PRIMARY KEY)"),
    _seen("a default whose sequence is dropped on the other side", "DROP SEQUENCE q", "CREATE TABLE n (id INTEGER DEFAULT nextval('q'))", {_TABLES: [("n",)], "SELECT sequence_name FROM duckdb_sequences() WHERE NOT temporary": [("q",)]},
          [Violation("n", None, "table", "sequence q, which it refers to, does not exist")], Resolve("q", "theirs"), base="CREATE SEQUENCE q"),
    _seen("a column keeps its type when that is dropped on the other side", "DROP TYPE mood", "CREATE TABLE n (id INTEGER, m mood); INSERT INTO n VALUES (1, 'sad')", {"SELECT id, m::VARCHAR FROM n": [(1, "sad")]},
          [], base="CREATE TYPE mood AS ENUM ('sad')"),
    Scenario("a parent table dropped, a child table added: without the child", _P, "DROP TABLE p", _D_REFERS, {_TABLES: []}, violations=_ORPHANED, resolve=[Resolve("d", "base")]),
    Scenario("a parent table dropped, a child table added: the parent stays", _P, "DROP TABLE p", _D_REFERS, {"p": [(1, 10), (2, 20)], "d": [(5, 2)]}, violations=_ORPHANED, resolve=[Resolve("p", "theirs")]),
    Scenario("a parent table dropped, a child table without rows added", _P, "DROP TABLE p", _D_REFERS.replace("(5, 2)", "(5, NULL)"), {_TABLES: []}, violations=_ORPHANED, resolve=[Resolve("p", "theirs"), Resolve("p", "ours"), Resolve("d", "ours")]),
    Scenario("a parent's unique column dropped, a child table added", _P, "DROP TABLE p; CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2)",
             "CREATE TABLE d (n INTEGER REFERENCES p (n))", {_TABLES: [("p",)]}, violations=[Violation("d", None, "foreign key", "column n of table")], resolve=[Resolve("d", "ours")]),
    Scenario("a parent's unique constraint dropped, a child table added", _P, "DROP TABLE p; CREATE TABLE p (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO p VALUES (1, 10), (2, 20)",
             "CREATE TABLE d (n INTEGER REFERENCES p (n))", {_TABLES: [("p",)]}, violations=[Violation("d", None, "table", "p")], resolve=[Resolve("d", "ours")]),
)
