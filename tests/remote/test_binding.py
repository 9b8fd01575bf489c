"""A table that DuckDB cannot make is refused by name when it is fetched: its expressions are bound, in the engine that
reaches nothing, before anything is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import Clone, everything, sound
from tests.remote.forging import Document, Store

pytestmark = pytest.mark.core

TABLES = """
    CREATE SCHEMA s; CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE SEQUENCE q; CREATE SEQUENCE s.q;
    CREATE MACRO twice(x) AS x * 2; CREATE MACRO more(x) AS twice(x) + 1;
    CREATE TABLE parent (id INTEGER PRIMARY KEY, code VARCHAR UNIQUE); INSERT INTO parent VALUES (1, 'a');
    CREATE TABLE t (id INTEGER PRIMARY KEY DEFAULT nextval('q'), v INTEGER DEFAULT (more(1)) CHECK (more(v) > 0), m mood,
        g INTEGER AS (twice(v) + 1), p VARCHAR REFERENCES parent (code), l DECIMAL(9, 2)[], d STRUCT(a INTEGER, b VARCHAR));
    CREATE INDEX of_v ON t (twice(v)); INSERT INTO t (id, v, m, p) VALUES (1, 2, 'sad', 'a');
    CREATE TABLE s.t (id INTEGER DEFAULT nextval('s.q'), w VARCHAR COLLATE NOCASE); INSERT INTO s.t VALUES (1, 'x');
    CREATE VIEW over_t AS FROM t
"""


def of_column(name: str, **stated: object) -> Callable[[Document], None]:
    return lambda schema: next(c for c in schema["columns"] if c["name"] == name).update(stated)


def added(part: str, **stated: object) -> Callable[[Document], None]:
    return lambda schema: schema[part].append(stated)


LIES = {
    "a check of no column": added("constraints", kind="CHECK", expression="(nowhere > 0)"),
    "a check that aggregates": added("constraints", kind="CHECK", expression="(sum(v) > 0)"),
    "a check of no type": added("constraints", kind="CHECK", expression="(v + 'x'::BLOB)"),
    "a default of a column": of_column("v", default="(id + 1)"),
    "a generated column of no column": of_column("g", generated="(nowhere + 1)"),
    "a generated column of itself": of_column("g", generated="(g + 1)"),
    "an index of no column": added("indexes", name="bad", unique=False, expressions=["nowhere"]),
    "an index that aggregates": added("indexes", name="bad", unique=False, expressions=["(max(v))"]),
    "a foreign key to columns that are no key": added(
        "constraints", kind="FOREIGN KEY", columns=["v"], referenced="t", referenced_columns=["v"]
    ),
}


@pytest.fixture
def shop(make_repo: MakeRepo, tmp_path: Path) -> Repo:
    """A repository with all that tables depend on, and what has become stale, that was pushed."""
    repo = make_repo(TABLES, init=False)
    repo(
        "CREATE TABLE gone (i INTEGER); CREATE VIEW stale AS FROM gone; CREATE MACRO over_gone() AS (SELECT max(i) FROM gone)"
    )
    repo("DROP TABLE gone")
    repo("CALL epoch_init(); CALL epoch_remote_add('origin', ?)", str(tmp_path / "honest"))
    repo("CALL epoch_push()")
    return repo


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("name", LIES)
@pytest.mark.slow
def test_a_table_that_cannot_be_made_is_refused(shop: Repo, clone: Clone, tmp_path: Path, name: str) -> None:
    there = clone(str(tmp_path / "honest"))
    before, catalog = everything(there), there("FROM epoch_tables()")
    shop("ALTER TABLE t ADD COLUMN more INTEGER; CALL epoch_commit('more'); CALL epoch_push()")
    store = Store(tmp_path / "honest")
    for schema in store.documents["schemas"].values():
        if schema["name"] == "t" and schema["schema"] == "main" and len(schema["columns"]) == 8:
            LIES[name](schema)
    store.rebuild()
    store.write(tmp_path / "forged")
    there("CALL epoch_remote_add('other', ?)", str(tmp_path / "forged"))
    fresh = Repo(tmp_path / "fresh.duckdb")
    for told in (
        there.refused("CALL epoch_fetch('other')"),
        fresh.refused("CALL epoch_clone(?)", str(tmp_path / "forged")),
    ):
        assert "has a table 't' that cannot be made" in told
        assert "nothing was changed" in told
    fresh.close()
    assert (everything(there), there("FROM epoch_tables()")) == (before, catalog)
    assert sound(there)


@pytest.mark.slow
def test_what_tables_depend_on_is_there_and_what_is_stale_is_in_nobodys_way(
    shop: Repo, clone: Clone, tmp_path: Path
) -> None:
    there = clone(str(tmp_path / "honest"))
    shop("CREATE MACRO thrice(x) AS x * 3; CREATE TABLE s.late (i INTEGER DEFAULT (thrice(more(2))))")
    shop("DROP VIEW over_t; DROP TABLE t; CREATE TABLE t (other VARCHAR CHECK (length(other) < 9))")
    shop("CALL epoch_commit('more'); CALL epoch_push()")
    there("CALL epoch_pull()")
    assert everything(there) == everything(shop)
    assert everything(clone(str(tmp_path / "honest"))) == everything(shop)


def test_what_this_duckdb_does_not_know_is_no_lie(shop: Repo, clone: Clone, tmp_path: Path) -> None:
    """A function of an extension, or of a newer DuckDB: the checkout says so, where it is checked out."""
    shop("CALL epoch_checkout('side', new_branch := true)")
    shop("CREATE TABLE far (i INTEGER CHECK (i > 0)); CALL epoch_commit('far'); CALL epoch_push()")
    store = Store(tmp_path / "honest")
    for schema in store.documents["schemas"].values():
        if schema["name"] == "far":
            schema["constraints"][0]["expression"] = "(of_an_extension(i))"
    store.rebuild()
    store.write(tmp_path / "forged")
    there = clone(str(tmp_path / "forged"))
    with pytest.raises(duckdb.Error):
        there("CALL epoch_checkout('side'); FROM far")
