"""A commit whose rows break the constraints of their tables is refused by name when it is fetched, and nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import Clone, everything, sound
from tests.remote.forging import Document, Store


def column(name: str, **more: object) -> Callable[[Document], None]:
    """Give a column of a definition something more."""
    return lambda schema: next(c for c in schema["columns"] if c["name"] == name).update(more)


def constraint(**stated: object) -> Callable[[Document], None]:
    """Give a definition another constraint."""
    return lambda schema: schema["constraints"].append(stated)


def index(**stated: object) -> Callable[[Document], None]:
    """Give a definition an index."""
    return lambda schema: schema["indexes"].append(stated)


CHECK = constraint(kind="CHECK", expression="(v < 100)")
UNIQUE = constraint(kind="UNIQUE", columns=["u"])
FOREIGN = constraint(kind="FOREIGN KEY", columns=["p"], referenced="parent", referenced_columns=["id"])
TABLES = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent SELECT * FROM range(5);
    CREATE TABLE t (id INTEGER {key}, v INTEGER, u INTEGER, p INTEGER);
    INSERT INTO t SELECT i, i, i, i % 5 FROM range(50) AS r(i);
"""


@dataclass(frozen=True)
class Case:
    """What makes a definition, what breaks it, what keeps it, and how it is called."""

    forged: Callable[[Document], None]
    breaks: str
    keeps: str
    named: str


CASES = {
    "not null": Case(column("v", nullable=False), "INSERT INTO t VALUES (90, NULL, NULL, NULL)", "INSERT INTO t VALUES (91, 1, NULL, NULL)", "NOT NULL of column v"),
    "check": Case(CHECK, "UPDATE t SET v = 100 WHERE id = 3", "UPDATE t SET v = NULL WHERE id = 3", "CHECK ((v < 100))"),
    "unique": Case(UNIQUE, "INSERT INTO t VALUES (90, 1, 7, NULL)", "UPDATE t SET u = u + 100 WHERE id < 9; INSERT INTO t VALUES (91, 1, 7, 1), (92, 1, NULL, 1), (93, 1, NULL, 1)", "UNIQUE (u)"),
    "unique among the new": Case(UNIQUE, "INSERT INTO t VALUES (90, 1, 700, NULL), (91, 1, 700, NULL)", "INSERT INTO t VALUES (90, 1, 700, NULL)", "UNIQUE (u)"),
    "unique index": Case(
        index(name="of_u", unique=True, expressions=["abs(u)"]), "UPDATE t SET u = -7 WHERE id = 8", "UPDATE t SET u = -8 WHERE id = 8", "the unique index of_u"
    ),
    "parent missing": Case(FOREIGN, "INSERT INTO t VALUES (90, 1, 90, 88)", "INSERT INTO parent VALUES (77); INSERT INTO t VALUES (90, 1, 90, 77), (91, 1, 91, NULL)", "its foreign key to parent (id)"),
    "parent removed": Case(FOREIGN, "DELETE FROM parent WHERE id = 3", "UPDATE t SET p = 1 WHERE p = 2; DELETE FROM parent WHERE id = 2", "its foreign key to parent (id)"),
}  # fmt: skip


@pytest.mark.grid(every=15)
@pytest.mark.parametrize("when", ["first", "later", "at once"])
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_rows_that_break_a_constraint(
    make_repo: MakeRepo, clone: Clone, tmp_path: Path, name: str, key: str, when: str
) -> None:
    """A commit breaks it: the first one, or one after a commit that keeps it, fetched with that one or after it."""
    case = CASES[name]
    shop = make_repo(TABLES.format(key=key), init=False)
    if when == "first":
        shop(case.breaks)
    shop("CALL epoch_init(); CALL epoch_remote_add('origin', ?)", str(tmp_path / "honest"))
    if when != "first":
        shop(case.keeps)
        shop("CALL epoch_commit('kept')")
    shop("CALL epoch_push()")
    forged(tmp_path, case, 1)
    if when != "first":
        there = clone(str(tmp_path / "forged1"))
        shop(case.breaks.replace("90", "190"))
        shop("CALL epoch_commit('broken')")
        shop("CALL epoch_push()")
        forged(tmp_path, case, 2)
    if when != "later":
        fresh = Repo(tmp_path / "fresh.duckdb")
        told = fresh.refused("CALL epoch_clone(?)", str(tmp_path / f"forged{1 if when == 'first' else 2}"))
        fresh.close()
    else:
        before = everything(there)
        there("CALL epoch_remote_add('other', ?)", str(tmp_path / "forged2"))
        told = there.refused("CALL epoch_fetch('other')")
        assert everything(there) == before
        assert sound(there)
        assert [row[0] for row in there("FROM epoch_branches()")] == ["main"]
    assert f"in table t that breaks {case.named}" in told
    assert "nothing was changed" in told


def forged(folder: Path, case: Case, number: int) -> None:
    """The store as it would be if the table had had the constraint all the time."""
    store = Store(folder / "honest")
    for schema in store.documents["schemas"].values():
        if schema["name"] == "t":
            case.forged(schema)
    store.rebuild()
    store.write(folder / f"forged{number}")


HONEST = (
    """
    CREATE MACRO small(v) AS v < 100;
    CREATE TABLE parent (id INTEGER PRIMARY KEY, code VARCHAR UNIQUE); INSERT INTO parent SELECT i, 'c' || i FROM range(5) AS r(i);
    CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL CHECK (small(v)), w INTEGER CHECK (w % 2 = 0), u INTEGER UNIQUE,
        p INTEGER REFERENCES parent (id), c VARCHAR COLLATE NOCASE CHECK (c = 'a'), g INTEGER AS (v + 1), moment TIMESTAMPTZ CHECK (CAST(moment AS DATE) = '2020-01-01'));
    CREATE UNIQUE INDEX of_v ON t (abs(v), small(v));
    CREATE TABLE bag (u INTEGER UNIQUE, n INTEGER NOT NULL); INSERT INTO bag VALUES (1, 1), (NULL, 2), (NULL, 2);
    INSERT INTO t (id, v, w, u, p, c, moment) SELECT i, i, 2 * i, i, i, 'A', '2020-01-01 00:30:00+00' FROM range(5) AS r(i)
    """,
    "UPDATE t SET u = NULL WHERE id = 1; UPDATE t SET u = 1 WHERE id = 2; DELETE FROM bag WHERE u = 1; INSERT INTO bag VALUES (1, 5), (NULL, 2)",
    "UPDATE t SET u = 2 WHERE id = 1; INSERT INTO parent VALUES (9, 'c9'); UPDATE t SET p = 9 WHERE id = 0; DELETE FROM parent WHERE id = 0",
    "UPDATE t SET p = NULL WHERE id = 0; DELETE FROM parent WHERE id = 9; INSERT INTO parent VALUES (0, 'c9')",
    "ALTER TABLE bag ADD COLUMN more VARCHAR; INSERT INTO bag VALUES (7, 7, 'x')",
    "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, code VARCHAR REFERENCES parent (code)); INSERT INTO t VALUES (1, 'c9'), (2, NULL)",
    "INSERT INTO t VALUES (3, 'c1'); UPDATE parent SET code = 'd3' WHERE id = 3",
)


@pytest.mark.slow
def test_honest_rows_pass(make_repo: MakeRepo, clone: Clone, tmp_path: Path) -> None:
    """Values that go from row to row, parents that come and go, and constraints that cannot be asked of rows alone."""
    url = str(tmp_path / "store")
    shop = make_repo(init=False)
    shop("SET TimeZone = 'UTC'")
    shop(HONEST[0])
    shop("CALL epoch_init(); CALL epoch_remote_add('origin', ?)", url)
    shop("CALL epoch_push()")
    there = clone(url)
    for sql in HONEST[1:]:
        shop(f"{sql}; CALL epoch_commit('more'); CALL epoch_push()")
        there("CALL epoch_pull()")
        assert everything(there) == everything(shop)
    assert everything(clone(url)) == everything(shop)
