"""Tables without a key: a number of copies that one side changed is taken, one that both changed is a conflict."""

from __future__ import annotations

from tests.merge.playing import Conflict, Resolve, Scenario

_T = "CREATE TABLE t (a INTEGER, b VARCHAR); "
Row = tuple[object, ...]


def _bag(name: str, base: str, ours: str, theirs: str, *rows: Row) -> Scenario:
    return Scenario(f"bag: {name}", f"{_T} {base}", ours, theirs, {"t": list(rows)})


def _copies(
    name: str, base: str, ours: str, theirs: str, row: Row, numbers: tuple[int, int, int], side: str, *rows: Row
) -> Scenario:
    """A row whose number of copies both sides changed: of base, ours and theirs, and the rows after it is settled."""
    key = dict(zip("ab", row, strict=True))
    conflict = Conflict("t", key, None, "copies", *numbers)
    resolve = [Resolve("t", side, key)]
    return Scenario(f"bag: {name}", f"{_T} {base}", ours, theirs, {"t": list(rows)}, [conflict], resolve=resolve)


_Y = "INSERT INTO t VALUES (2, 'y')"
_X = "INSERT INTO t VALUES (1, 'x')"
_TWO = "INSERT INTO t VALUES (1, 'x'), (1, 'x')"
_ONE_LESS = "DELETE FROM t WHERE rowid = (SELECT min(rowid) FROM t WHERE a = 1)"

BAGS = (
    _bag("added on one side", _X, "INSERT INTO t VALUES (2, 'y')", "", (1, "x"), (2, "y")),
    _bag("a copy added on one side", _X, _X, "", (1, "x"), (1, "x")),
    _copies("a copy added on both", _X, _X, f"{_X}; {_Y}", (1, "x"), (1, 2, 2), "both", *[(1, "x")] * 3, (2, "y")),
    _copies("the same new row on both, two", "", _X, f"{_X}; {_Y}", (1, "x"), (0, 1, 1), "both", *[(1, "x")] * 2, (2, "y")),
    _copies("the same new row on both, one", "", _X, f"{_X}; {_Y}", (1, "x"), (0, 1, 1), "ours", (1, "x"), (2, "y")),
    _copies("the same new row on both, none", "", _X, f"{_X}; {_Y}", (1, "x"), (0, 1, 1), "base", (2, "y")),
    _bag("both sides equal: a copy added", _X, _X, _X, (1, "x"), (1, "x")),
    _bag("both sides equal: a new row added", "", _X, _X, (1, "x")),
    _bag("both sides equal: one of two copies removed", _TWO, _ONE_LESS, _ONE_LESS, (1, "x")),
    _bag("both sides equal: changed", _X, "UPDATE t SET b = 'z'", "UPDATE t SET b = 'z'", (1, "z")),
    _bag(
        "both sides equal: changed in other steps",
        _X,
        f"{_Y}; UPDATE t SET b = 'z'",
        "DELETE FROM t; INSERT INTO t VALUES (2, 'z'), (1, 'z')",
        (1, "z"),
        (2, "z"),
    ),
    Scenario(
        "bag: equal rows, a column added on one side",
        f"{_T} {_X}",
        f"{_X}; ALTER TABLE t ADD COLUMN c INTEGER",
        _X,
        {"t": [(1, "x", None), (1, "x", None), (1, "x", None)]},
        [Conflict("t", {"a": 1, "b": "x", "c": None}, None, "copies", 1, 2, 2)],
        resolve=[Resolve("t", "both")],
    ),
    _copies("two copies and one copy added", "", _TWO, _X, (1, "x"), (0, 2, 1), "both", *[(1, "x")] * 3),
    _copies("two copies and one copy added, ours", "", _TWO, _X, (1, "x"), (0, 2, 1), "ours", *[(1, "x")] * 2),
    _copies("two copies and one copy added, theirs", "", _TWO, _X, (1, "x"), (0, 2, 1), "theirs", (1, "x")),
    _bag("removed on one side", _X, "DELETE FROM t", ""),
    _bag("removed on both", _X, "DELETE FROM t", "DELETE FROM t"),
    _bag("one of two copies removed on one side", _TWO, _ONE_LESS, "", (1, "x")),
    _bag("both of two copies removed on both", _TWO, "DELETE FROM t", f"DELETE FROM t; {_Y}", (2, "y")),
    _copies("one of two copies removed on both", _TWO, _ONE_LESS, f"{_ONE_LESS}; {_Y}", (1, "x"), (2, 1, 1), "both", (2, "y")),
    _copies("the same copy removed on both", _TWO, _ONE_LESS, f"{_ONE_LESS}; {_Y}", (1, "x"), (2, 1, 1), "ours", (1, "x"), (2, "y")),
    _copies("both copies removed and one copy removed", _TWO, "DELETE FROM t", _ONE_LESS, (1, "x"), (2, 0, 1), "both"),
    _copies("a copy added and a copy removed", _TWO, _X, _ONE_LESS, (1, "x"), (2, 3, 1), "both", *[(1, "x")] * 2),
    _copies("a copy added and all removed", _X, _X, "DELETE FROM t", (1, "x"), (1, 2, 0), "both", (1, "x")),
    _copies("a copy added and all removed, base", _X, _X, "DELETE FROM t", (1, "x"), (1, 2, 0), "base", (1, "x")),
    _bag("changed on one side", _X, "UPDATE t SET b = 'z'", "", (1, "z")),
    _bag("changed to two things", _X, "UPDATE t SET b = 'z'", "UPDATE t SET b = 'w'", (1, "w"), (1, "z")),
    _copies(
        "changed to the same thing",
        _X,
        "UPDATE t SET b = 'z'",
        f"UPDATE t SET b = 'z'; {_Y}",
        (1, "z"),
        (0, 1, 1),
        "theirs",
        (1, "z"),
        (2, "y"),
    ),
    _copies(
        "NULLs are equal",
        "INSERT INTO t VALUES (NULL, NULL), (NULL, NULL)",
        "INSERT INTO t VALUES (NULL, NULL)",
        _ONE_LESS.replace("WHERE a = 1", ""),
        (None, None),
        (2, 3, 1),
        "both",
        (None, None),
        (None, None),
    ),
    _bag(
        "NULL and text are not",
        "INSERT INTO t VALUES (1, NULL)",
        "DELETE FROM t",
        "INSERT INTO t VALUES (1, '')",
        (1, ""),
    ),
    _bag(
        "everything replaced on both",
        _X,
        "UPDATE t SET a = 2, b = 'y'",
        "DELETE FROM t; INSERT INTO t VALUES (3, 'z')",
        (2, "y"),
        (3, "z"),
    ),
    Scenario(
        "bag: column added on one side, rows on the other",
        f"{_T} {_X}",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7",
        "INSERT INTO t VALUES (2, 'y')",
        {"t": [(1, "x", 7), (2, "y", 7)]},
    ),
    Scenario(
        "bag: column dropped on one side, rows on the other",
        f"{_T} {_X}",
        "ALTER TABLE t DROP COLUMN b",
        "INSERT INTO t VALUES (2, 'y'), (2, 'z')",
        {"t": [(1,), (2,), (2,)]},
    ),
    Scenario(
        "bag: column renamed on one side, rows on the other",
        f"{_T} {_X}",
        "ALTER TABLE t RENAME b TO c",
        "INSERT INTO t VALUES (2, 'y')",
        {"SELECT a, c FROM t ORDER BY ALL": [(1, "x"), (2, "y")]},
    ),
    Scenario(
        "bag: type widened on one side, rows on the other",
        f"{_T} {_X}",
        "ALTER TABLE t ALTER a TYPE BIGINT; INSERT INTO t VALUES (5000000000, 'b')",
        "INSERT INTO t VALUES (2, 'y')",
        {"t": [(1, "x"), (2, "y"), (5000000000, "b")]},
    ),
)
