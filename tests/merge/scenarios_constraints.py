"""Constraints after a merge: each side keeps them, the merged rows need not; what fails is listed, resolved and committed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.merge.playing import Conflict, Resolve, Scenario, Violation

_T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER{more}); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2); "


def _t(more: str = "") -> str:
    return _T.replace("{more}", more)


_PARENTS = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY, name VARCHAR); INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, 'three'); "
)
_CHILDREN = (
    f"{_PARENTS} CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), note VARCHAR); "
    "INSERT INTO c VALUES (10, 1, 'x'); "
)
_LONELY = "INSERT INTO c VALUES (20, 2, 'new')"
_GONE = "DELETE FROM p WHERE id = 2"
_ORPHAN = Violation("c", 20, "foreign key", "has its (p)")

KEPT = (
    Scenario(
        "CHECK that both sides' changes keep",
        _t(", CHECK (a + b < 10)"),
        "UPDATE t SET a = 4 WHERE id = 1",
        "UPDATE t SET b = 5 WHERE id = 1",
        {"t": [(1, 4, 5), (2, 2, 2)]},
    ),
    Scenario(
        "CHECK of a NULL holds",
        _t(", CHECK (a + b < 10)"),
        "UPDATE t SET a = 9, b = 0 WHERE id = 1",
        "UPDATE t SET b = NULL WHERE id = 2",
        {"t": [(1, 9, 0), (2, 2, None)]},
    ),
    Scenario(
        "UNIQUE values swapped between sides",
        _t(", UNIQUE (a)"),
        "UPDATE t SET a = 7 WHERE id = 1",
        "UPDATE t SET a = 8 WHERE id = 2",
        {"t": [(1, 7, 1), (2, 8, 2)]},
    ),
    Scenario(
        "NULLs are no duplicates",
        _t(", UNIQUE (a)"),
        "UPDATE t SET a = NULL WHERE id = 1",
        "UPDATE t SET a = NULL WHERE id = 2",
        {"t": [(1, None, 1), (2, None, 2)]},
    ),
    Scenario(
        "a freed UNIQUE value taken on the same side",
        _t(", UNIQUE (a)"),
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (3, 3, 3)",
        {"t": [(2, 2, 2), (3, 3, 3)]},
    ),
    Scenario(
        "child and parent added on different sides",
        _CHILDREN,
        "INSERT INTO p VALUES (4, 'four')",
        "INSERT INTO c VALUES (20, 2, 'new')",
        {"c": [(10, 1, "x"), (20, 2, "new")]},
    ),
    Scenario(
        "child and its parent added on one side",
        _CHILDREN,
        "INSERT INTO p VALUES (4, 'four'); INSERT INTO c VALUES (20, 4, 'new')",
        "UPDATE p SET name = 'uno' WHERE id = 2",
        {"c": [(10, 1, "x"), (20, 4, "new")], "p": [(1, "one"), (2, "uno"), (3, "three"), (4, "four")]},
    ),
    Scenario(
        "a parent without children deleted",
        _CHILDREN,
        "DELETE FROM p WHERE id = 3",
        _LONELY,
        {"c": [(10, 1, "x"), (20, 2, "new")], "p": [(1, "one"), (2, "two")]},
    ),
    Scenario(
        "child deleted on both sides, parent on one",
        _CHILDREN,
        "DELETE FROM c",
        "DELETE FROM c; INSERT INTO c VALUES (11, 2, 'y')",
        {"c": [(11, 2, "y")]},
    ),
    Scenario(
        "a NULL reference needs no parent",
        _CHILDREN,
        _GONE,
        "INSERT INTO c VALUES (20, NULL, 'new')",
        {"c": [(10, 1, "x"), (20, None, "new")]},
    ),
    Scenario(
        "UNIQUE added on one side, other rows on the other",
        _t(),
        "CREATE UNIQUE INDEX u ON t (a)",
        "INSERT INTO t VALUES (3, 3, 3)",
        {"t": [(1, 1, 1), (2, 2, 2), (3, 3, 3)]},
    ),
)

VIOLATED = (
    Scenario(
        "NOT NULL set here, NULL set there: a value",
        _t(),
        "ALTER TABLE t ALTER a SET NOT NULL",
        "UPDATE t SET a = NULL WHERE id = 1",
        {"t": [(1, 5, 1), (2, 2, 2)]},
        violations=[Violation("t", 1, "not null", "column a is NULL")],
        resolve=[Resolve("t", None, 1, "a", "5")],
    ),
    Scenario(
        "NOT NULL set here, NULL added there: a value",
        _t(),
        "ALTER TABLE t ALTER a SET NOT NULL",
        "INSERT INTO t VALUES (3, NULL, 3)",
        {"t": [(1, 1, 1), (2, 2, 2), (3, 0, 3)]},
        violations=[Violation("t", 3, "not null")],
        resolve=[Resolve("t", None, 3, "a", "0")],
    ),
    Scenario(
        "NOT NULL set here, NULL set there: the side without",
        _t(),
        "ALTER TABLE t ALTER a SET NOT NULL",
        "UPDATE t SET a = NULL, b = 7 WHERE id = 1",
        {"t": [(1, 1, 7), (2, 2, 2)]},
        violations=[Violation("t", 1, "not null")],
        resolve=[Resolve("t", "ours", 1, "a")],
    ),
    Scenario(
        "NOT NULL set here, NULL added there: without the row",
        _t(),
        "ALTER TABLE t ALTER a SET NOT NULL",
        "INSERT INTO t VALUES (3, NULL, 3)",
        {"t": [(1, 1, 1), (2, 2, 2)]},
        violations=[Violation("t", 3, "not null")],
        resolve=[Resolve("t", "base", 3)],
    ),
    Scenario(
        "CHECK over cells of both sides: a value",
        _t(", CHECK (a + b < 10)"),
        "UPDATE t SET a = 8 WHERE id = 1",
        "UPDATE t SET b = 8 WHERE id = 1",
        {"t": [(1, 8, 0), (2, 2, 2)]},
        violations=[Violation("t", 1, "check")],
        resolve=[Resolve("t", None, 1, "b", "0")],
    ),
    Scenario(
        "CHECK over cells of both sides: one side's row",
        _t(", CHECK (a + b < 10)"),
        "UPDATE t SET a = 8 WHERE id = 1",
        "UPDATE t SET b = 8 WHERE id = 1",
        {"t": [(1, 1, 8), (2, 2, 2)]},
        violations=[Violation("t", 1, "check")],
        resolve=[Resolve("t", "theirs", 1)],
    ),
    Scenario(
        "CHECK over cells of both sides: one side's cell",
        _t(", CHECK (a + b < 10)"),
        "UPDATE t SET a = 8 WHERE id = 1",
        "UPDATE t SET b = 8 WHERE id = 1",
        {"t": [(1, 1, 8), (2, 2, 2)]},
        violations=[Violation("t", 1, "check")],
        resolve=[Resolve("t", "theirs", 1, "a")],
    ),
    Scenario(
        "UNIQUE value added on both sides: a value for one",
        _t(", UNIQUE (a)"),
        "INSERT INTO t VALUES (3, 7, 3)",
        "INSERT INTO t VALUES (4, 7, 4)",
        {"t": [(1, 1, 1), (2, 2, 2), (3, 7, 3), (4, 9, 4)]},
        violations=[Violation("t", 3, "unique", "the same (a)"), Violation("t", 4, "unique")],
        resolve=[Resolve("t", None, 4, "a", "9")],
    ),
    Scenario(
        "UNIQUE value added on both sides: a value for the other",
        _t(", UNIQUE (a)"),
        "INSERT INTO t VALUES (3, 7, 3)",
        "INSERT INTO t VALUES (4, 7, 4)",
        {"t": [(1, 1, 1), (2, 2, 2), (3, 9, 3), (4, 7, 4)]},
        violations=[Violation("t", 3, "unique"), Violation("t", 4, "unique")],
        resolve=[Resolve("t", None, 3, "a", "9")],
    ),
    Scenario(
        "UNIQUE value added on both sides: one row goes",
        _t(", UNIQUE (a)"),
        "INSERT INTO t VALUES (3, 7, 3)",
        "INSERT INTO t VALUES (4, 7, 4)",
        {"t": [(1, 1, 1), (2, 2, 2), (4, 7, 4)]},
        violations=[Violation("t", 3, "unique"), Violation("t", 4, "unique")],
        resolve=[Resolve("t", "theirs", 3)],
    ),
    Scenario(
        "UNIQUE value set on both sides: one row as before",
        _t(", UNIQUE (a)"),
        "UPDATE t SET a = 7 WHERE id = 1",
        "UPDATE t SET a = 7 WHERE id = 2",
        {"t": [(1, 1, 1), (2, 7, 2)]},
        violations=[Violation("t", 1, "unique"), Violation("t", 2, "unique")],
        resolve=[Resolve("t", "base", 1)],
    ),
    Scenario(
        "UNIQUE over two columns",
        _t(", UNIQUE (a, b)"),
        "UPDATE t SET a = 7, b = 7 WHERE id = 1",
        "UPDATE t SET a = 7, b = 7 WHERE id = 2",
        {"t": [(1, 7, 7), (2, 7, 8)]},
        violations=[Violation("t", 1, "unique"), Violation("t", 2, "unique")],
        resolve=[Resolve("t", None, 2, "b", "8")],
    ),
    Scenario(
        "unique index added here, a duplicate of an untouched row there",
        _t(),
        "CREATE UNIQUE INDEX u ON t (a)",
        "INSERT INTO t VALUES (3, 1, 3)",
        {"t": [(1, 8, 1), (2, 2, 2), (3, 1, 3)]},
        violations=[Violation("t", 1, "unique"), Violation("t", 3, "unique")],
        resolve=[Resolve("t", None, 1, "a", "8")],
    ),
    Scenario(
        "unique index over an expression",
        f"{_t()} CREATE UNIQUE INDEX u ON t ((a % 10))",
        "INSERT INTO t VALUES (3, 13, 3)",
        "INSERT INTO t VALUES (4, 23, 4)",
        {"t": [(1, 1, 1), (2, 2, 2), (3, 13, 3), (4, 24, 4)]},
        violations=[Violation("t", 3, "unique"), Violation("t", 4, "unique")],
        resolve=[Resolve("t", None, 4, "a", "24")],
    ),
    Scenario(
        "parent deleted, child added: without the child",
        _CHILDREN,
        _GONE,
        _LONELY,
        {"c": [(10, 1, "x")], "p": [(1, "one"), (3, "three")]},
        violations=[_ORPHAN],
        resolve=[Resolve("c", "ours", 20)],
    ),
    Scenario(
        "parent deleted, child added: another parent",
        _CHILDREN,
        _GONE,
        _LONELY,
        {"c": [(10, 1, "x"), (20, 3, "new")], "p": [(1, "one"), (3, "three")]},
        violations=[_ORPHAN],
        resolve=[Resolve("c", None, 20, "p", "3")],
    ),
    Scenario(
        "parent deleted, child added: no parent",
        _CHILDREN,
        _GONE,
        _LONELY,
        {"c": [(10, 1, "x"), (20, None, "new")], "p": [(1, "one"), (3, "three")]},
        violations=[_ORPHAN],
        resolve=[Resolve("c", "null", 20, "p")],
    ),
    Scenario(
        "parent deleted, child added: the parent stays",
        _CHILDREN,
        _GONE,
        _LONELY,
        {"c": [(10, 1, "x"), (20, 2, "new")], "p": [(1, "one"), (2, "two"), (3, "three")]},
        violations=[_ORPHAN],
        resolve=[Resolve("p", "theirs", 2)],
    ),
    Scenario(
        "parent deleted, child moved to it: as before",
        _CHILDREN,
        _GONE,
        "UPDATE c SET p = 2",
        {"c": [(10, 1, "x")], "p": [(1, "one"), (3, "three")]},
        violations=[Violation("c", 10, "foreign key")],
        resolve=[Resolve("c", "ours", 10)],
    ),
    Scenario(
        "parent deleted and others changed, child added and others changed",
        _CHILDREN,
        f"{_GONE}; UPDATE p SET name = 'uno' WHERE id = 1; INSERT INTO c VALUES (11, 3, 'o')",
        f"{_LONELY}; UPDATE p SET name = 'drei' WHERE id = 3; UPDATE c SET note = 'z' WHERE id = 10",
        {"c": [(10, 1, "z"), (11, 3, "o"), (20, 2, "new")], "p": [(1, "uno"), (2, "two"), (3, "drei")]},
        violations=[_ORPHAN],
        resolve=[Resolve("p", "base", 2)],
    ),
    Scenario(
        "rows that refer to their own table",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES t (id)); INSERT INTO t VALUES (1, NULL), (2, NULL)",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO t VALUES (3, 2)",
        {"t": [(1, None), (3, 1)]},
        violations=[Violation("t", 3, "foreign key", "has its (boss)")],
        resolve=[Resolve("t", None, 3, "boss", "1")],
    ),
    Scenario(
        "rows that refer to their own table: the parent stays",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES t (id)); INSERT INTO t VALUES (1, NULL), (2, NULL)",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO t VALUES (3, 2)",
        {"t": [(1, None), (2, None), (3, 2)]},
        violations=[Violation("t", 3, "foreign key")],
        resolve=[Resolve("t", "theirs", 2)],
    ),
    Scenario(
        "composite foreign key",
        "CREATE TABLE p (x INTEGER, y INTEGER, PRIMARY KEY (x, y)); INSERT INTO p VALUES (1, 1), (1, 2); "
        "CREATE TABLE c (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, FOREIGN KEY (x, y) REFERENCES p (x, y))",
        "DELETE FROM p WHERE y = 2",
        "INSERT INTO c VALUES (1, 1, 2), (2, 1, NULL)",
        {"c": [(1, 1, 1), (2, 1, None)], "p": [(1, 1)]},
        violations=[Violation("c", 1, "foreign key")],
        resolve=[Resolve("c", None, 1, "y", "1")],
    ),
    Scenario(
        "child without a key: without the row",
        f"{_PARENTS} CREATE TABLE c (p INTEGER REFERENCES p (id), note VARCHAR)",
        _GONE,
        "INSERT INTO c VALUES (2, 'new'), (2, 'new'), (1, 'x')",
        {"c": [(1, "x")], "p": [(1, "one"), (3, "three")]},
        violations=[Violation("c", {"p": 2, "note": "new"}, "foreign key")],
        resolve=[Resolve("c", "ours", {"p": 2, "note": "new"})],
    ),
    Scenario(
        "child without a key: the parent stays",
        f"{_PARENTS} CREATE TABLE c (p INTEGER REFERENCES p (id), note VARCHAR)",
        _GONE,
        "INSERT INTO c VALUES (2, 'new')",
        {"c": [(2, "new")], "p": [(1, "one"), (2, "two"), (3, "three")]},
        violations=[Violation("c", {"p": 2, "note": "new"}, "foreign key")],
        resolve=[Resolve("p", "base", 2)],
    ),
    Scenario(
        "child table added on one side, parent deleted on the other",
        _PARENTS,
        _GONE,
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id)); INSERT INTO c VALUES (20, 2)",
        {"c": [(20, 2)], "p": [(1, "one"), (2, "two"), (3, "three")]},
        violations=[_ORPHAN],
        resolve=[Resolve("p", "theirs", 2)],
    ),
    Scenario(
        "violations beside conflicts",
        _CHILDREN,
        f"{_GONE}; UPDATE c SET note = 'o' WHERE id = 10",
        f"{_LONELY}; UPDATE c SET note = 't' WHERE id = 10",
        {"c": [(10, 1, "t")], "p": [(1, "one"), (3, "three")]},
        [Conflict("c", 10, "note", "modify/modify", "x", "o", "t")],
        [_ORPHAN],
        [Resolve("c", "theirs", 10), Resolve("c", "ours", 20)],
    ),
)

_ADDS = "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), note VARCHAR DEFAULT 'n'); INSERT INTO c VALUES (20, 2, 'x'), (21, 1, 'y')"
_ADDS_BAG = "CREATE TABLE c (p INTEGER REFERENCES p (id), note VARCHAR); INSERT INTO c VALUES (2, 'x'), (2, 'x'), (1, 'y')"


_LEFT = ((1, "one"), (3, "three"))


def _alone(name: str, rows: list[tuple[object, ...]], *resolve: Resolve, ours: str = _GONE, theirs: str = _ADDS, base: str = _PARENTS, key: object = 20, parents: Sequence[tuple[int, str]] = _LEFT) -> Scenario:
    """A child row without a parent in a table that one side alone has; the parent stays deleted."""
    return Scenario(
        f"a table of one side: {name}",
        base,
        ours,
        theirs,
        {"c": rows, "p": list(parents)},
        violations=[Violation("c", key, "foreign key", "has its (p)")],
        resolve=resolve,
    )


ONE_SIDED = (
    _alone("without the row", [(21, 1, "y")], Resolve("c", "ours", 20)),
    _alone("as in the base, without the row", [(21, 1, "y")], Resolve("c", "base", 20)),
    _alone("the row stays, with another parent", [(20, 3, "x"), (21, 1, "y")], Resolve("c", None, 20, "p", "3")),
    _alone("the row stays, without a parent", [(20, None, "x"), (21, 1, "y")], Resolve("c", "null", 20, "p")),
    _alone("a decision is changed, the parent that came with it goes", [(20, 3, "x"), (21, 1, "y")], Resolve("c", "ours", 20), Resolve("c", "theirs", 20), Resolve("c", None, 20, "p", "3")),
    _alone("without the copies of a row without a key", [(1, "y")], Resolve("c", "ours", {"p": 2, "note": "x"}), theirs=_ADDS_BAG, key={"p": 2, "note": "x"}),
    _alone("changed on one side alone: as before", [(20, 1, "x"), (21, 1, "y")], Resolve("c", "ours", 20), base=f"{_PARENTS} {_ADDS.replace('(20, 2', '(20, 1')}", theirs="UPDATE c SET p = 2, note = 'z' WHERE id = 20"),
    _alone("changed on one side alone: one cell as before", [(20, 1, "z"), (21, 1, "y")], Resolve("c", "ours", 20, "p"), base=f"{_PARENTS} {_ADDS.replace('(20, 2', '(20, 1')}", theirs="UPDATE c SET p = 2, note = 'z' WHERE id = 20"),
)
