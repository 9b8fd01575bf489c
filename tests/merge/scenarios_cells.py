"""Cells and rows of a table with a key, case by case."""

from __future__ import annotations

from tests.merge.playing import Conflict, Resolve, Scenario

_T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); "
_NO = object()

# base, ours, theirs → merged, or _NO: a conflict.
_MODIFIED = (
    (1, 1, 1, 1),
    (1, 2, 1, 2),
    (1, 2, 2, 2),
    (1, 2, 3, _NO),
    (1, None, 1, None),
    (1, None, None, None),
    (1, None, 2, _NO),
    (None, 1, None, 1),
    (None, 1, 1, 1),
    (None, 1, 2, _NO),
    (None, None, None, None),
    (0, None, 1, _NO),
    (None, 0, 1, _NO),
    (0, 0, None, None),
)


def _sql(value: object) -> str:
    return "NULL" if value is None else str(value)


def _modified() -> list[Scenario]:
    found = []
    for base, ours, theirs, merged in _MODIFIED:
        conflicts = [Conflict("t", 1, "a", "modify/modify", base, ours, theirs)] if merged is _NO else []
        a = ours if merged is _NO else merged
        found.append(
            Scenario(
                f"cell {_sql(base)} ours {_sql(ours)} theirs {_sql(theirs)}",
                f"{_T} INSERT INTO t VALUES (1, {_sql(base)}, 0), (2, 5, 6)",
                f"UPDATE t SET a = {_sql(ours)} WHERE id = 1",
                f"UPDATE t SET a = {_sql(theirs)} WHERE id = 1",
                {"t": [(1, a, 0), (2, 5, 6)]},
                conflicts,
            )
        )
    return found


# what ours adds, what theirs adds (cells a and b of one key) → merged, or the columns in conflict
_ADDED = (
    ((1, 2), (1, 2), ()),
    ((None, None), (None, None), ()),
    ((1, None), (1, None), ()),
    ((1, 2), (1, 3), ("b",)),
    ((1, 2), (3, 2), ("a",)),
    ((1, 2), (3, 4), ("a", "b")),
    ((1, None), (1, 2), ("b",)),
    ((None, 2), (None, None), ("b",)),
)


def _added() -> list[Scenario]:
    found = []
    for ours, theirs, columns in _ADDED:
        conflicts = [Conflict("t", 1, c, "add/add", None, ours["ab".index(c)], theirs["ab".index(c)]) for c in columns]
        left, right = (", ".join(map(_sql, side)) for side in (ours, theirs))
        found.append(
            Scenario(
                f"added on both ({left}) and ({right})",
                _T,
                f"INSERT INTO t VALUES (1, {left})",
                f"INSERT INTO t VALUES (1, {right})",
                {"t": [(1, *ours)]},
                conflicts,
            )
        )
    return found


_ONE = f"{_T} INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)"

_ROWS = (
    Scenario("nothing changed", _ONE, "", "", {"t": [(1, 1, 1), (2, 2, 2)]}),
    Scenario("changed on one side", _ONE, "UPDATE t SET a = 9 WHERE id = 1", "", {"t": [(1, 9, 1), (2, 2, 2)]}),
    Scenario("all rows changed on one side", _ONE, "UPDATE t SET a = a + 10", "", {"t": [(1, 11, 1), (2, 12, 2)]}),
    Scenario("added on one side", _ONE, "INSERT INTO t VALUES (3, 3, 3)", "", {"t": [(1, 1, 1), (2, 2, 2), (3, 3, 3)]}),
    Scenario("deleted on one side", _ONE, "DELETE FROM t WHERE id = 1", "", {"t": [(2, 2, 2)]}),
    Scenario("all deleted on one side", _ONE, "DELETE FROM t", "", {"t": []}),
    Scenario("all deleted on both", _ONE, "DELETE FROM t", "TRUNCATE t", {"t": []}),
    Scenario(
        "different rows changed",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "UPDATE t SET a = 8 WHERE id = 2",
        {"t": [(1, 9, 1), (2, 8, 2)]},
    ),
    Scenario(
        "different cells of one row",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "UPDATE t SET b = 8 WHERE id = 1",
        {"t": [(1, 9, 8), (2, 2, 2)]},
    ),
    Scenario(
        "one cell the same, another cell of one side",
        _ONE,
        "UPDATE t SET a = 9, b = 7 WHERE id = 1",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9, 7), (2, 2, 2)]},
    ),
    Scenario(
        "one cell conflicts, the other cell is taken",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "UPDATE t SET a = 8, b = 7 WHERE id = 1",
        {"t": [(1, 9, 7), (2, 2, 2)]},
        [Conflict("t", 1, "a", "modify/modify", 1, 9, 8)],
    ),
    Scenario(
        "both cells conflict",
        _ONE,
        "UPDATE t SET a = 9, b = 9 WHERE id = 1",
        "UPDATE t SET a = 8, b = 8 WHERE id = 1",
        {"t": [(1, 9, 9), (2, 2, 2)]},
        [Conflict("t", 1, "a", "modify/modify", 1, 9, 8), Conflict("t", 1, "b", "modify/modify", 1, 9, 8)],
    ),
    Scenario(
        "one conflict beside a clean change of each side",
        f"{_ONE}, (3, 3, 3), (4, 4, 4)",
        "UPDATE t SET a = 9 WHERE id IN (1, 3)",
        "UPDATE t SET a = 8 WHERE id IN (1, 4)",
        {"t": [(1, 9, 1), (2, 2, 2), (3, 9, 3), (4, 8, 4)]},
        [Conflict("t", 1, "a", "modify/modify", 1, 9, 8)],
    ),
    Scenario(
        "changed there and back",
        _ONE,
        "UPDATE t SET a = 9; UPDATE t SET a = id",
        "UPDATE t SET a = 8 WHERE id = 1",
        {"t": [(1, 8, 1), (2, 2, 2)]},
    ),
    Scenario(
        "the same change on both",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "UPDATE t SET a = 9 WHERE id = 1",
        {"t": [(1, 9, 1), (2, 2, 2)]},
    ),
    Scenario(
        "the same row added on both, others on one",
        _ONE,
        "INSERT INTO t VALUES (3, 3, 3), (4, 4, 4)",
        "INSERT INTO t VALUES (3, 3, 3), (5, 5, 5)",
        {"t": [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5)]},
    ),
    Scenario(
        "added and deleted",
        _ONE,
        "INSERT INTO t VALUES (3, 3, 3)",
        "DELETE FROM t WHERE id = 2",
        {"t": [(1, 1, 1), (3, 3, 3)]},
    ),
    Scenario("deleted on both", _ONE, "DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 1", {"t": [(2, 2, 2)]}),
    Scenario("deleted on both, another deleted on one", _ONE, "DELETE FROM t", "DELETE FROM t WHERE id = 1", {"t": []}),
    Scenario(
        "changed and deleted, keeping the change",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        {"t": [(1, 9, 1), (2, 2, 2)]},
        [Conflict("t", 1, None, "modify/delete", {"id": 1, "a": 1, "b": 1}, {"id": 1, "a": 9, "b": 1}, None)],
    ),
    Scenario(
        "changed and deleted, keeping the deletion",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        {"t": [(2, 2, 2)]},
        [Conflict("t", 1, None, "modify/delete", {"id": 1, "a": 1, "b": 1}, {"id": 1, "a": 9, "b": 1}, None)],
        resolve=[Resolve("t", "theirs", 1)],
    ),
    Scenario(
        "changed and deleted, going back",
        _ONE,
        "UPDATE t SET a = 9 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        {"t": [(1, 1, 1), (2, 2, 2)]},
        [Conflict("t", 1, None, "modify/delete", {"id": 1, "a": 1, "b": 1}, {"id": 1, "a": 9, "b": 1}, None)],
        resolve=[Resolve("t", "base", 1)],
    ),
    Scenario(
        "changed to NULL and deleted",
        _ONE,
        "UPDATE t SET a = NULL WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        {"t": [(1, None, 1), (2, 2, 2)]},
        [Conflict("t", 1, None, "modify/delete", {"id": 1, "a": 1, "b": 1}, {"id": 1, "a": None, "b": 1}, None)],
    ),
    Scenario(
        "changed back and deleted",
        _ONE,
        "UPDATE t SET a = 9; UPDATE t SET a = id",
        "DELETE FROM t WHERE id = 1",
        {"t": [(2, 2, 2)]},
    ),
    Scenario(
        "deleted and added again with other cells, and changed",
        _ONE,
        "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 9, 1)",
        "UPDATE t SET a = 8 WHERE id = 1",
        {"t": [(1, 9, 1), (2, 2, 2)]},
        [Conflict("t", 1, "a", "modify/modify", 1, 9, 8)],
    ),
    Scenario(
        "a changed key is a row removed and a row added",
        _ONE,
        "UPDATE t SET id = 7 WHERE id = 1",
        "UPDATE t SET b = 9 WHERE id = 2",
        {"t": [(2, 2, 9), (7, 1, 1)]},
    ),
    Scenario(
        "key changed and cell changed: the old row is removed and changed",
        _ONE,
        "UPDATE t SET id = 7 WHERE id = 1",
        "UPDATE t SET b = 9 WHERE id = 1",
        {"t": [(2, 2, 2), (7, 1, 1)]},
        [Conflict("t", 1, None, "delete/modify", {"id": 1, "a": 1, "b": 1}, None, {"id": 1, "a": 1, "b": 9})],
    ),
    Scenario(
        "key changed to two different ones",
        _ONE,
        "UPDATE t SET id = 7 WHERE id = 1",
        "UPDATE t SET id = 8 WHERE id = 1",
        {"t": [(2, 2, 2), (7, 1, 1), (8, 1, 1)]},
    ),
    Scenario(
        "key changed to the same one",
        _ONE,
        "UPDATE t SET id = 7 WHERE id = 1",
        "UPDATE t SET id = 7 WHERE id = 1",
        {"t": [(2, 2, 2), (7, 1, 1)]},
    ),
    Scenario(
        "key changed to one that the other side adds",
        _ONE,
        "UPDATE t SET id = 7 WHERE id = 1",
        "INSERT INTO t VALUES (7, 1, 5)",
        {"t": [(2, 2, 2), (7, 1, 1)]},
        [Conflict("t", 7, "b", "add/add", None, 1, 5)],
    ),
    Scenario(
        "keys swapped on one side",
        _ONE,
        "UPDATE t SET id = 9 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 9",
        "UPDATE t SET b = 7 WHERE id = 1",
        {"t": [(1, 2, 2), (2, 1, 1)]},
        [Conflict("t", 1, "b", "modify/modify", 1, 2, 7)],
    ),
    Scenario(
        "resolved cell by cell",
        _ONE,
        "UPDATE t SET a = 9, b = 9 WHERE id = 1",
        "UPDATE t SET a = 8, b = 8 WHERE id = 1",
        {"t": [(1, 8, 9), (2, 2, 2)]},
        [Conflict("t", 1, "a", "modify/modify", 1, 9, 8), Conflict("t", 1, "b", "modify/modify", 1, 9, 8)],
        resolve=[Resolve("t", "theirs", 1, "a"), Resolve("t", "ours", 1, "b")],
    ),
    Scenario(
        "resolved to the base and to a value",
        _ONE,
        "UPDATE t SET a = 9, b = 9 WHERE id = 1",
        "UPDATE t SET a = 8, b = 8 WHERE id = 1",
        {"t": [(1, 1, 77), (2, 2, 2)]},
        [Conflict("t", 1, "a", "modify/modify", 1, 9, 8), Conflict("t", 1, "b", "modify/modify", 1, 9, 8)],
        resolve=[Resolve("t", "base", 1, "a"), Resolve("t", None, 1, "b", "77")],
    ),
    Scenario(
        "add/add resolved to the base: no row",
        _ONE,
        "INSERT INTO t VALUES (3, 1, 1)",
        "INSERT INTO t VALUES (3, 1, 2)",
        {"t": [(1, 1, 1), (2, 2, 2)]},
        [Conflict("t", 3, "b", "add/add", None, 1, 2)],
        resolve=[Resolve("t", "base", 3)],
    ),
)

_KEYS = (
    Scenario(
        "composite key",
        "CREATE TABLE t (x INTEGER, y VARCHAR, a INTEGER, b INTEGER, PRIMARY KEY (x, y)); "
        "INSERT INTO t VALUES (1, 'p', 1, 1), (1, 'q', 2, 2), (2, 'p', 3, 3)",
        "UPDATE t SET a = 9 WHERE x = 1 AND y = 'p'; DELETE FROM t WHERE x = 2",
        "UPDATE t SET b = 8 WHERE x = 1; INSERT INTO t VALUES (2, 'q', 4, 4)",
        {"t": [(1, "p", 9, 8), (1, "q", 2, 8), (2, "q", 4, 4)]},
    ),
    Scenario(
        "composite key in conflict",
        "CREATE TABLE t (x INTEGER, y VARCHAR, a INTEGER, PRIMARY KEY (x, y)); "
        "INSERT INTO t VALUES (1, 'p', 1), (1, 'q', 2)",
        "UPDATE t SET a = 9",
        "UPDATE t SET a = 8 WHERE y = 'q'",
        {"t": [(1, "p", 9), (1, "q", 8)]},
        [Conflict("t", {"x": 1, "y": "q"}, "a", "modify/modify", 2, 9, 8)],
        resolve=[Resolve("t", "theirs", {"x": 1, "y": "q"})],
    ),
    Scenario(
        "composite key not in the order of the columns",
        "CREATE TABLE t (x INTEGER, y VARCHAR, a INTEGER, PRIMARY KEY (y, x)); INSERT INTO t VALUES (1, 'p', 1)",
        "UPDATE t SET a = 9",
        "UPDATE t SET a = 8",
        {"t": [(1, "p", 8)]},
        [Conflict("t", {"x": 1, "y": "p"}, "a", "modify/modify", 1, 9, 8)],
        resolve=[Resolve("t", "theirs", '{"y": "p", "x": 1}')],
    ),
    Scenario(
        "text key",
        "CREATE TABLE t (k VARCHAR PRIMARY KEY, a INTEGER); INSERT INTO t VALUES ('a', 1), ('A', 2), ('', 3), (' a', 4)",
        "UPDATE t SET a = 9 WHERE k = 'a'; DELETE FROM t WHERE k = ''",
        "UPDATE t SET a = 8 WHERE k = 'A'",
        {"t": [(" a", 4), ("A", 8), ("a", 9)]},
    ),
    Scenario(
        "text keys that need quoting",
        "CREATE TABLE t (k VARCHAR PRIMARY KEY, a INTEGER); INSERT INTO t VALUES ('it''s \"so\"', 1), ('{\"k\": 1}', 2), ('😀\n', 3)",
        "UPDATE t SET a = 9",
        "UPDATE t SET a = 8",
        {"t": [('it\'s "so"', 8), ('{"k": 1}', 9), ("😀\n", 8)]},
        [
            Conflict("t", {"k": 'it\'s "so"'}, "a", "modify/modify", 1, 9, 8),
            Conflict("t", {"k": '{"k": 1}'}, "a", "modify/modify", 2, 9, 8),
            Conflict("t", {"k": "😀\n"}, "a", "modify/modify", 3, 9, 8),
        ],
        resolve=[
            Resolve("t", "theirs", 'it\'s "so"'),
            Resolve("t", "ours", {"k": '{"k": 1}'}),
            Resolve("t", "theirs", {"k": "😀\n"}),
        ],
    ),
    Scenario(
        "only key columns",
        "CREATE TABLE t (x INTEGER, y INTEGER, PRIMARY KEY (x, y)); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
        "INSERT INTO t VALUES (4, 4), (5, 5); DELETE FROM t WHERE x IN (1, 2)",
        "INSERT INTO t VALUES (4, 4), (6, 6); DELETE FROM t WHERE x IN (2, 3)",
        {"t": [(4, 4), (5, 5), (6, 6)]},
    ),
    Scenario(
        "hostile names",
        'CREATE TABLE "My.T ""q"" 😀" ("select" INTEGER PRIMARY KEY, "a.b" INTEGER, "C ""d""" INTEGER); '
        'INSERT INTO "My.T ""q"" 😀" VALUES (1, 1, 1)',
        'UPDATE "My.T ""q"" 😀" SET "a.b" = 9, "C ""d""" = 5',
        'UPDATE "My.T ""q"" 😀" SET "a.b" = 8',
        {'FROM "My.T ""q"" 😀"': [(1, 8, 5)]},
        [Conflict('My.T "q" 😀', {"select": 1}, "a.b", "modify/modify", 1, 9, 8)],
        resolve=[Resolve('My.T "q" 😀', "theirs", 1, "a.b")],
    ),
    Scenario(
        "date key",
        "CREATE TABLE t (d DATE PRIMARY KEY, a INTEGER); INSERT INTO t VALUES ('2026-01-31', 1)",
        "UPDATE t SET a = 9",
        "UPDATE t SET a = 8",
        {"FROM (SELECT d::VARCHAR, a FROM t)": [("2026-01-31", 8)]},
        [Conflict("t", {"d": "2026-01-31"}, "a", "modify/modify", 1, 9, 8)],
        resolve=[Resolve("t", "theirs", "2026-01-31")],
    ),
    Scenario(
        "decimal keys that differ in the last digit",
        "CREATE TABLE t (d DECIMAL(38, 9) PRIMARY KEY, a INTEGER); "
        "INSERT INTO t VALUES (12345678901234567890.123456788, 1), (12345678901234567890.123456789, 2)",
        "UPDATE t SET a = 9",
        "UPDATE t SET a = 8 WHERE a = 1",
        {
            "SELECT d::VARCHAR, a FROM t ORDER BY d": [
                ("12345678901234567890.123456788", 8),
                ("12345678901234567890.123456789", 9),
            ]
        },
        [Conflict("t", '{"d":12345678901234567890.123456788}', "a", "modify/modify", 1, 9, 8)],
        resolve=[Resolve("t", "theirs", "12345678901234567890.123456788")],
    ),
    Scenario(
        "double keys",
        "CREATE TABLE t (d DOUBLE PRIMARY KEY, a INTEGER); INSERT INTO t VALUES (0.1, 1), (0.0, 2), ('inf', 3)",
        "UPDATE t SET a = 9 WHERE d = 0.1",
        "UPDATE t SET a = 8 WHERE d = 0.0",
        {"SELECT d::VARCHAR, a FROM t ORDER BY d": [("0.0", 8), ("0.1", 9), ("inf", 3)]},
    ),
)

CELLS = tuple(_modified())
ADDED = tuple(_added())
ROWS = _ROWS
KEYS = _KEYS
