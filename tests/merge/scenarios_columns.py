"""Definitions of one table: columns by identity, defaults, constraints, comments; the data merge beside them."""

from __future__ import annotations

from tests.merge.playing import Conflict, Resolve, Scenario

_T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR); INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y'); "
_NAMES = "SELECT column_name, column_type FROM (DESCRIBE t)"
_SHAPE = 'SELECT column_name, column_type, "null", "default" FROM (DESCRIBE t)'


def _same(
    name: str, ours: str, theirs: str, *rows: tuple[object, ...], names: tuple[str, ...] = (), base: str = _T
) -> Scenario:
    """A clean merge; ``names`` are the columns' names and types in order, the same in both directions."""
    expected = {"FROM t ORDER BY ALL": list(rows)}
    if names:
        expected[_NAMES] = [tuple(text.split(" ", 1)) for text in names]
    return Scenario(name, base, ours, theirs, expected)


CLEAN = (
    _same(
        "renamed on one side, edited on the other",
        "ALTER TABLE t RENAME a TO amount",
        "UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, "x"),
        (2, 2, "y"),
        names=("id INTEGER", "amount INTEGER", "b VARCHAR"),
    ),
    _same(
        "renamed and edited on one side, edited on the other",
        "ALTER TABLE t RENAME a TO amount; UPDATE t SET amount = 8 WHERE id = 2",
        "UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, "x"),
        (2, 8, "y"),
        names=("id INTEGER", "amount INTEGER", "b VARCHAR"),
    ),
    _same(
        "renamed to the same name on both",
        "ALTER TABLE t RENAME a TO amount; UPDATE t SET amount = 9 WHERE id = 1",
        "ALTER TABLE t RENAME a TO amount; UPDATE t SET b = 'z' WHERE id = 1",
        (1, 9, "z"),
        (2, 2, "y"),
        names=("id INTEGER", "amount INTEGER", "b VARCHAR"),
    ),
    _same(
        "different columns renamed",
        "ALTER TABLE t RENAME a TO amount",
        "ALTER TABLE t RENAME b TO note",
        (1, 1, "x"),
        (2, 2, "y"),
        names=("id INTEGER", "amount INTEGER", "note VARCHAR"),
    ),
    _same(
        "key column renamed on one side, rows on the other",
        "ALTER TABLE t RENAME id TO number",
        "INSERT INTO t VALUES (3, 3, 'z'); DELETE FROM t WHERE id = 1",
        (2, 2, "y"),
        (3, 3, "z"),
        names=("number INTEGER", "a INTEGER", "b VARCHAR"),
    ),
    Scenario(
        "renamed on one side, the other adds a column of the old name",
        _T,
        "ALTER TABLE t RENAME a TO amount",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 5",
        {"SELECT id, amount, b, c FROM t ORDER BY ALL": [(1, 1, "x", 5), (2, 2, "y", 5)]},
    ),
    _same(
        "added on one side",
        "ALTER TABLE t ADD COLUMN c INTEGER",
        "UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, "x", None),
        (2, 2, "y", None),
    ),
    _same(
        "added with a default on one side, rows added on the other",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7",
        "INSERT INTO t VALUES (3, 3, 'z')",
        (1, 1, "x", 7),
        (2, 2, "y", 7),
        (3, 3, "z", 7),
    ),
    _same(
        "added and filled on one side, rows edited on the other",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7; UPDATE t SET c = 70 WHERE id = 1",
        "UPDATE t SET a = 9",
        (1, 9, "x", 70),
        (2, 9, "y", 7),
    ),
    _same(
        "added and filled on one side, rows deleted and added on the other",
        "ALTER TABLE t ADD COLUMN c INTEGER; UPDATE t SET c = id",
        "INSERT INTO t VALUES (3, 3, 'z')",
        (1, 1, "x", 1),
        (2, 2, "y", 2),
        (3, 3, "z", None),
    ),
    Scenario(
        "different columns added: the target's first",
        _T,
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 1",
        "ALTER TABLE t ADD COLUMN d INTEGER DEFAULT 2",
        {
            "SELECT column_name FROM (DESCRIBE t)": [("id",), ("a",), ("b",), ("c",), ("d",)],
            "SELECT id, c, d FROM t ORDER BY ALL": [(1, 1, 2), (2, 1, 2)],
        },
        swapped={"SELECT column_name FROM (DESCRIBE t)": [("id",), ("a",), ("b",), ("d",), ("c",)]},
    ),
    _same(
        "the same column added on both, different rows filled",
        "ALTER TABLE t ADD COLUMN c INTEGER; UPDATE t SET c = 5 WHERE id = 1",
        "ALTER TABLE t ADD COLUMN c INTEGER; UPDATE t SET c = 6 WHERE id = 2",
        (1, 1, "x", 5),
        (2, 2, "y", 6),
    ),
    _same(
        "the same column added on both, filled alike",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 3; UPDATE t SET c = 5 WHERE id = 1",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 3; UPDATE t SET c = 5 WHERE id = 1",
        (1, 1, "x", 5),
        (2, 2, "y", 3),
    ),
    _same(
        "dropped on one side, other cells edited on the other",
        "ALTER TABLE t DROP COLUMN a",
        "UPDATE t SET b = 'z' WHERE id = 1",
        (1, "z"),
        (2, "y"),
    ),
    _same(
        "dropped on one side, rows added and deleted on the other",
        "ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t VALUES (3, 3, 'z'); DELETE FROM t WHERE id = 1",
        (2, "y"),
        (3, "z"),
    ),
    _same(
        "dropped on both",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'z' WHERE id = 1",
        (1, "z"),
        (2, "y"),
    ),
    _same("different columns dropped", "ALTER TABLE t DROP COLUMN a", "ALTER TABLE t DROP COLUMN b", (1,), (2,)),
    _same(
        "different columns dropped, rows edited",
        "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'z' WHERE id = 1",
        "ALTER TABLE t DROP COLUMN c; UPDATE t SET b = 'w' WHERE id = 2",
        (1, "z"),
        (2, "w"),
        base=f"{_T} ALTER TABLE t ADD COLUMN c INTEGER",
    ),
    _same(
        "dropped on one side, added on the other",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 4",
        (1, "x", 4),
        (2, "y", 4),
    ),
    _same(
        "widened on one side, edited on the other",
        "ALTER TABLE t ALTER a TYPE BIGINT; UPDATE t SET a = 5000000000 WHERE id = 2",
        "UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, "x"),
        (2, 5000000000, "y"),
        names=("id INTEGER", "a BIGINT", "b VARCHAR"),
    ),
    _same(
        "widened on both alike",
        "ALTER TABLE t ALTER a TYPE BIGINT; UPDATE t SET a = 8 WHERE id = 2",
        "ALTER TABLE t ALTER a TYPE BIGINT; UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, "x"),
        (2, 8, "y"),
        names=("id INTEGER", "a BIGINT", "b VARCHAR"),
    ),
    _same(
        "two columns widened, one on each side",
        "ALTER TABLE t ALTER a TYPE BIGINT",
        "ALTER TABLE t ALTER c TYPE BIGINT; UPDATE t SET b = 'z' WHERE id = 1",
        (1, 1, "z", 1),
        (2, 2, "y", 1),
        base=f"{_T} ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 1",
    ),
    _same(
        "converted to text on one side, edited on the other",
        "ALTER TABLE t ALTER a TYPE VARCHAR",
        "UPDATE t SET a = 9 WHERE id = 1; INSERT INTO t VALUES (3, 3, 'z')",
        (1, "9", "x"),
        (2, "2", "y"),
        (3, "3", "z"),
        names=("id INTEGER", "a VARCHAR", "b VARCHAR"),
    ),
    _same(
        "two columns converted, one on each side",
        "ALTER TABLE t ALTER a TYPE VARCHAR; UPDATE t SET a = 'p' WHERE id = 2",
        "ALTER TABLE t ALTER c TYPE VARCHAR; UPDATE t SET c = 'q', b = 'z' WHERE id = 1",
        (1, "1", "z", "q"),
        (2, "p", "y", "1"),
        base=f"{_T} ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 1",
    ),
    _same(
        "two columns converted, rows added on both sides",
        "ALTER TABLE t ALTER a TYPE VARCHAR; INSERT INTO t VALUES (3, 'p', 'o', 3); DELETE FROM t WHERE id = 1",
        "ALTER TABLE t ALTER c TYPE VARCHAR; INSERT INTO t VALUES (4, 4, 't', 'q'); UPDATE t SET b = 'w' WHERE id = 2",
        (2, "2", "w", "1"),
        (3, "p", "o", "3"),
        (4, "4", "t", "q"),
        base=f"{_T} ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 1",
    ),
    _same(
        "converted to a number on one side, edited to a number on the other",
        "ALTER TABLE t ALTER b TYPE INTEGER USING id * 10",
        "UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, 10),
        (2, 2, 20),
    ),
    _same(
        "converted by an expression, the other cell edited",
        "ALTER TABLE t ALTER a TYPE VARCHAR USING 'v' || a",
        "UPDATE t SET b = 'z' WHERE id = 1",
        (1, "v1", "z"),
        (2, "v2", "y"),
    ),
    Scenario(
        "default changed on one side",
        _T,
        "ALTER TABLE t ALTER a SET DEFAULT 5",
        "UPDATE t SET b = 'z' WHERE id = 1",
        {
            "t": [(1, 1, "z"), (2, 2, "y")],
            _SHAPE: [("id", "INTEGER", "NO", None), ("a", "INTEGER", "YES", "5"), ("b", "VARCHAR", "YES", None)],
        },
    ),
    Scenario(
        "the same default set on both",
        _T,
        "ALTER TABLE t ALTER a SET DEFAULT 5",
        "ALTER TABLE t ALTER a SET DEFAULT 5; UPDATE t SET b = 'z' WHERE id = 1",
        {"SELECT \"default\" FROM (DESCRIBE t) WHERE column_name = 'a'": [("5",)], "t": [(1, 1, "z"), (2, 2, "y")]},
    ),
    Scenario(
        "default dropped on one side, rows on the other",
        _T.replace("a INTEGER", "a INTEGER DEFAULT 5"),
        "ALTER TABLE t ALTER a DROP DEFAULT",
        "INSERT INTO t (id) VALUES (3)",
        {
            "t": [(1, 1, "x"), (2, 2, "y"), (3, 5, None)],
            "SELECT \"default\" FROM (DESCRIBE t) WHERE column_name = 'a'": [(None,)],
        },
    ),
    Scenario(
        "NOT NULL set on one side",
        _T,
        "ALTER TABLE t ALTER a SET NOT NULL",
        "UPDATE t SET b = 'z' WHERE id = 1",
        {"t": [(1, 1, "z"), (2, 2, "y")], "SELECT \"null\" FROM (DESCRIBE t) WHERE column_name = 'a'": [("NO",)]},
    ),
    Scenario(
        "NOT NULL dropped on one side, NULL comes with it",
        _T.replace("a INTEGER", "a INTEGER NOT NULL"),
        "ALTER TABLE t ALTER a DROP NOT NULL; UPDATE t SET a = NULL WHERE id = 1",
        "UPDATE t SET b = 'z' WHERE id = 2",
        {"t": [(1, None, "x"), (2, 2, "z")]},
    ),
    Scenario(
        "comments on one side and on the other",
        _T,
        "COMMENT ON COLUMN t.a IS 'it''s'",
        "COMMENT ON TABLE t IS 'that'; UPDATE t SET b = 'z' WHERE id = 1",
        {
            "SELECT comment FROM duckdb_columns() WHERE schema_name = current_schema() AND table_name = 't' AND column_name = 'a'": [
                ("it's",)
            ],
            "SELECT comment FROM duckdb_tables() WHERE schema_name = current_schema() AND table_name = 't'": [
                ("that",)
            ],
            "t": [(1, 1, "z"), (2, 2, "y")],
        },
    ),
    _same(
        "renamed and given a default, edited",
        "ALTER TABLE t RENAME a TO c; ALTER TABLE t ALTER c SET DEFAULT 5",
        "UPDATE t SET a = 9 WHERE id = 1",
        (1, 9, "x"),
        (2, 2, "y"),
    ),
    _same(
        "renamed on one side, default set on the other",
        "ALTER TABLE t RENAME a TO c",
        "ALTER TABLE t ALTER a SET DEFAULT 5; UPDATE t SET b = 'z' WHERE id = 1",
        (1, 1, "z"),
        (2, 2, "y"),
    ),
    _same(
        "renamed on one side, widened on the other",
        "ALTER TABLE t RENAME a TO c",
        "ALTER TABLE t ALTER a TYPE BIGINT; UPDATE t SET a = 5000000000 WHERE id = 1",
        (1, 5000000000, "x"),
        (2, 2, "y"),
        names=("id INTEGER", "c BIGINT", "b VARCHAR"),
    ),
    _same(
        "index added on one side, rows on the other",
        "CREATE INDEX i ON t (a)",
        "INSERT INTO t VALUES (3, 3, 'z')",
        (1, 1, "x"),
        (2, 2, "y"),
        (3, 3, "z"),
    ),
    Scenario(
        "indexes added on both sides",
        _T,
        "CREATE INDEX i ON t (a)",
        "CREATE INDEX j ON t (b)",
        {"SELECT index_name FROM duckdb_indexes() WHERE schema_name = current_schema() ORDER BY ALL": [("i",), ("j",)]},
    ),
    Scenario(
        "index dropped on one side, rows on the other",
        f"{_T} CREATE INDEX i ON t (a)",
        "DROP INDEX i",
        "INSERT INTO t VALUES (3, 3, 'z')",
        {
            "SELECT index_name FROM duckdb_indexes() WHERE schema_name = current_schema()": [],
            "t": [(1, 1, "x"), (2, 2, "y"), (3, 3, "z")],
        },
    ),
    Scenario(
        "generated column, cells edited on both sides",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, s INTEGER GENERATED ALWAYS AS (a + b)); INSERT INTO t VALUES (1, 1, 1)",
        "UPDATE t SET a = 5",
        "UPDATE t SET b = 7",
        {"t": [(1, 5, 7, 12)]},
    ),
)

_DROP = Conflict("t", None, "a", "schema", "a INTEGER", None, "a INTEGER")

CONFLICTS = (
    Scenario(
        "renamed to different names",
        _T,
        "ALTER TABLE t RENAME a TO c; UPDATE t SET c = 8 WHERE id = 1",
        "ALTER TABLE t RENAME a TO d; UPDATE t SET d = 9 WHERE id = 2",
        {"SELECT id, c, b FROM t ORDER BY ALL": [(1, 8, "x"), (2, 9, "y")]},
        [Conflict("t", None, ("c", "d"), "schema", "a INTEGER", "c INTEGER", "d INTEGER")],
        swapped={"SELECT id, c, b FROM t ORDER BY ALL": [(1, 8, "x"), (2, 9, "y")]},
    ),
    Scenario(
        "same name, other type",
        _T,
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 5",
        "ALTER TABLE t ADD COLUMN c VARCHAR DEFAULT 'p'; UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9, "x", 5), (2, 2, "y", 5)]},
        [Conflict("t", None, "c", "schema", None, "c INTEGER DEFAULT 5", "c VARCHAR DEFAULT 'p'")],
    ),
    Scenario(
        "same name, other type, resolved to theirs",
        _T,
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 5; UPDATE t SET a = 8 WHERE id = 2",
        "ALTER TABLE t ADD COLUMN c VARCHAR; UPDATE t SET a = 9, c = 'q' WHERE id = 1",
        {"t": [(1, 9, "x", "q"), (2, 8, "y", None)]},
        [Conflict("t", None, "c", "schema", None, "c INTEGER DEFAULT 5", "c VARCHAR")],
        resolve=[Resolve("t", "theirs", None, "c")],
    ),
    Scenario(
        "same name and type, other default",
        _T,
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 5",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 6; UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9, "x", 5), (2, 2, "y", 5)]},
        [Conflict("t", None, "c", "schema", None, "c INTEGER DEFAULT 5", "c INTEGER DEFAULT 6")],
    ),
    Scenario(
        "same name and type, cells in conflict",
        _T,
        "ALTER TABLE t ADD COLUMN c INTEGER; UPDATE t SET c = 5 WHERE id = 1",
        "ALTER TABLE t ADD COLUMN c INTEGER; UPDATE t SET c = 6 WHERE id = 1",
        {"t": [(1, 1, "x", 6), (2, 2, "y", None)]},
        [Conflict("t", 1, "c", "modify/modify", None, 5, 6)],
        resolve=[Resolve("t", "theirs", 1, "c")],
    ),
    Scenario(
        "dropped on one side, values changed on the other",
        _T,
        "ALTER TABLE t DROP COLUMN a",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, "x"), (2, "y")]},
        [_DROP],
    ),
    Scenario(
        "dropped and edited, keeping the column",
        _T,
        "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'z' WHERE id = 2",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"SELECT id, a, b FROM t ORDER BY ALL": [(1, 9, "x"), (2, 2, "z")]},
        [_DROP],
        resolve=[Resolve("t", "theirs", None, "a")],
    ),
    Scenario(
        "dropped and edited, going back to the base",
        _T,
        "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'z' WHERE id = 2",
        "UPDATE t SET a = 9, b = 'w' WHERE id = 1; INSERT INTO t VALUES (3, 3, 'n')",
        {"SELECT id, a, b FROM t ORDER BY ALL": [(1, 9, "w"), (2, 2, "z"), (3, 3, "n")]},
        [_DROP],
        resolve=[Resolve("t", "base", None, "a")],
    ),
    Scenario(
        "dropped on one side, altered on the other",
        _T,
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ALTER a SET DEFAULT 5",
        {"t": [(1, "x"), (2, "y")]},
        [Conflict("t", None, "a", "schema", "a INTEGER", None, "a INTEGER DEFAULT 5")],
    ),
    Scenario(
        "dropped on one side, renamed on the other",
        _T,
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t RENAME a TO c",
        {"SELECT id, c, b FROM t ORDER BY ALL": [(1, 1, "x"), (2, 2, "y")]},
        [Conflict("t", None, "a", "schema", "a INTEGER", None, "c INTEGER")],
        resolve=[Resolve("t", "theirs", None, "a")],
    ),
    Scenario(
        "dropped on one side, an index on it on the other",
        _T,
        "ALTER TABLE t DROP COLUMN a",
        "CREATE INDEX i ON t (a)",
        {"t": [(1, "x"), (2, "y")]},
        [_DROP],
    ),
    Scenario(
        "dropped on one side, an index on it on the other, kept",
        _T,
        "ALTER TABLE t DROP COLUMN a",
        "CREATE INDEX i ON t (a)",
        {
            "SELECT id, a, b FROM t ORDER BY ALL": [(1, 1, "x"), (2, 2, "y")],
            "SELECT index_name FROM duckdb_indexes() WHERE schema_name = current_schema()": [("i",)],
        },
        [_DROP],
        resolve=[Resolve("t", "theirs", None, "a")],
    ),
    Scenario(
        "changed to different types",
        _T,
        "ALTER TABLE t ALTER a TYPE BIGINT; UPDATE t SET b = 'z' WHERE id = 1",
        "ALTER TABLE t ALTER a TYPE VARCHAR; UPDATE t SET a = '20' WHERE id = 2",
        {"t": [(1, "1", "z"), (2, "20", "y")]},
        [
            Conflict("t", None, "a", "schema", "a INTEGER", "a BIGINT", "a VARCHAR"),
        ],
        resolve=[Resolve("t", "theirs", None, "a")],
    ),
    Scenario(
        "different defaults",
        _T,
        "ALTER TABLE t ALTER a SET DEFAULT 5",
        "ALTER TABLE t ALTER a SET DEFAULT 6; UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9, "x"), (2, 2, "y")], "SELECT \"default\" FROM (DESCRIBE t) WHERE column_name = 'a'": [("6",)]},
        [Conflict("t", None, "a", "schema", "a INTEGER", "a INTEGER DEFAULT 5", "a INTEGER DEFAULT 6")],
        resolve=[Resolve("t", "theirs")],
    ),
    Scenario(
        "a cast that fails",
        _T,
        "ALTER TABLE t ALTER b TYPE INTEGER USING a * 10",
        "UPDATE t SET b = 'no number' WHERE id = 1",
        {"t": [(1, 1, 10), (2, 2, 20)]},
        [Conflict("t", 1, "b", "modify/modify", "x", 10, "no number")],
    ),
    Scenario(
        "a cast that fails in a new row, given a value",
        _T,
        "ALTER TABLE t ALTER b TYPE INTEGER USING a * 10",
        "INSERT INTO t VALUES (3, 3, 'no number')",
        {"t": [(1, 1, 10), (2, 2, 20), (3, 3, 30)]},
        [Conflict("t", 3, "b", "add/add", None, None, "no number")],
        resolve=[Resolve("t", None, 3, "b", "30")],
    ),
    Scenario(
        "a cast that fails on the side that the result is built on",
        f"{_T} ALTER TABLE t ADD COLUMN c VARCHAR DEFAULT '1'",
        "ALTER TABLE t ALTER c TYPE INTEGER; UPDATE t SET b = 'bad' WHERE id = 1",
        "ALTER TABLE t ALTER b TYPE INTEGER USING a * 10; UPDATE t SET c = 'bad' WHERE id = 2",
        {"t": [(1, 1, 10, 1), (2, 2, 20, 5)]},
        [Conflict("t", 1, "b", "modify/modify", "x", "bad", 10), Conflict("t", 2, "c", "modify/modify", 1, 1, "bad")],
        resolve=[Resolve("t", "theirs", 1, "b"), Resolve("t", None, 2, "c", "5")],
    ),
    Scenario(
        "data conflicts beside a schema conflict",
        _T,
        "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'o' WHERE id = 2",
        "UPDATE t SET a = 9, b = 't' WHERE id = 2",
        {"t": [(1, "x"), (2, "t")]},
        [_DROP, Conflict("t", 2, "b", "modify/modify", "y", "o", "t")],
        resolve=[Resolve("t", "ours", None, "a"), Resolve("t", "theirs", 2, "b")],
    ),
    Scenario(
        "comments that differ",
        _T,
        "COMMENT ON COLUMN t.a IS 'o'",
        "COMMENT ON COLUMN t.a IS 't'; UPDATE t SET b = 'z' WHERE id = 1",
        {"t": [(1, 1, "z"), (2, 2, "y")]},
        [Conflict("t", None, "a", "schema", "a INTEGER", "a INTEGER COMMENT 'o'", "a INTEGER COMMENT 't'")],
    ),
)

_EACH = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER DEFAULT 4, b VARCHAR); INSERT INTO t SELECT i, i, 'b' || i FROM range(1, 5) r (i); "
_WITHOUT_A = "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'z' WHERE id = 1; INSERT INTO t VALUES (10, 'ten'); DELETE FROM t WHERE id = 4"
_WITHOUT_B = "ALTER TABLE t DROP COLUMN b; UPDATE t SET a = 9 WHERE id IN (1, 2); INSERT INTO t VALUES (20, 20)"
_EACH_DROPS = (
    Conflict("t", None, "a", "schema", "a INTEGER DEFAULT 4", None, "a INTEGER DEFAULT 4"),
    Conflict("t", None, "b", "schema", "b VARCHAR", "b VARCHAR", None),
)
_ALL_ROWS = [(1, 9, "z"), (2, 9, "b2"), (3, 3, "b3"), (10, 4, "ten"), (20, 20, None)]


def _each_drops(name: str, rows: dict[str, list[tuple[object, ...]]], *resolve: Resolve, ours: str = _WITHOUT_A, theirs: str = _WITHOUT_B) -> Scenario:
    """Each side drops a column in which the other changed values."""
    return Scenario(f"each side drops what the other changed: {name}", _EACH, ours, theirs, rows, _EACH_DROPS, resolve=resolve)


EACH_DROPS = (
    _each_drops("ours", {"SELECT id, b FROM t ORDER BY ALL": [(row[0], row[2]) for row in _ALL_ROWS]}, Resolve("t", "ours")),
    _each_drops("theirs", {"SELECT id, a FROM t ORDER BY ALL": [row[:2] for row in _ALL_ROWS]}, Resolve("t", "theirs")),
    _each_drops("both columns kept", {"SELECT id, a, b FROM t ORDER BY ALL": _ALL_ROWS}, Resolve("t", "theirs", None, "a"), Resolve("t", "ours", None, "b")),
    _each_drops("both columns as in the base", {"SELECT id, a, b FROM t ORDER BY ALL": _ALL_ROWS}, Resolve("t", "base")),
    _each_drops("neither column", {"FROM t ORDER BY ALL": [(row[0],) for row in _ALL_ROWS]}, Resolve("t", "ours", None, "a"), Resolve("t", "theirs", None, "b")),
    Scenario(
        "each side drops what the other changed, and both changed a third column",
        f"{_EACH} ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 0",
        "ALTER TABLE t DROP COLUMN a; UPDATE t SET b = 'z', c = 1 WHERE id = 1",
        "ALTER TABLE t DROP COLUMN b; UPDATE t SET a = 9, c = 2 WHERE id = 1; UPDATE t SET c = 3 WHERE id = 2",
        {"SELECT id, a, b, c FROM t ORDER BY ALL": [(1, 9, "z", 2), (2, 2, "b2", 3), (3, 3, "b3", 0), (4, 4, "b4", 0)]},
        [*_EACH_DROPS, Conflict("t", 1, "c", "modify/modify", 0, 1, 2)],
        resolve=[Resolve("t", "base", None, "a"), Resolve("t", "base", None, "b"), Resolve("t", "theirs", 1, "c")],
    ),
    Scenario(
        "bag: a column dropped here, altered and changed there: kept",
        "CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 1), (2, 2), (2, 2)",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ALTER a TYPE BIGINT; UPDATE t SET a = 9 WHERE a = 1",
        {"SELECT a, b FROM t ORDER BY ALL": [(2, 2), (2, 2), (9, 1)]},
        [Conflict("t", None, "a", "schema", "a INTEGER", None, "a BIGINT")],
        resolve=[Resolve("t", "theirs", None, "a")],
    ),
    Scenario(
        "bag: each side drops what the other altered: kept",
        "CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 1), (2, 2), (2, 2)",
        "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER b TYPE BIGINT",
        "ALTER TABLE t DROP COLUMN b; ALTER TABLE t ALTER a TYPE BIGINT",
        {"SELECT a, b FROM t ORDER BY ALL": [(1, 1), (2, 2), (2, 2)]},
        [Conflict("t", None, "a", "schema", "a INTEGER", None, "a BIGINT"), Conflict("t", None, "b", "schema", "b INTEGER", "b BIGINT", None)],
        resolve=[Resolve("t", "theirs", None, "a"), Resolve("t", "ours", None, "b")],
    ),
)
