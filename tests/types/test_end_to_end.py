"""Values of every type come back exactly: through a commit, ``epoch_at``, a typed difference and a checkout.

Every type of ``test_encoding`` has three tables: its hard values in a column beside a key, in a table without a key, and,
where DuckDB has indexes of the type, as the primary key. Copies, which are ignored, say what the tables held.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from tempfile import TemporaryDirectory

import duckdb
import pytest

from epoch_sql.render import column
from epoch_sql.storage.encoding import encode
from tests.conftest import MakeRepo, Repo
from tests.support.values import EQUAL, TYPES

NUMBERS = {type: number for number, type in enumerate(TYPES)}
SIDES = {"first": "HEAD~1", "second": "HEAD"}


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """Two commits of all tables, with the copies ``first_…`` and ``second_…`` beside them, at the second one."""
    repo = Repo(tmp_path_factory.mktemp("types") / "types.duckdb")
    for type in TYPES:
        create(repo, type)
    repo("CALL epoch_init()")
    for side in SIDES:
        repo(f"CALL epoch_ignore('{side}*')")
    keep_copies(repo, "first")
    for number in NUMBERS.values():
        repo(
            f"UPDATE v{number} SET v = other.v FROM v{number} AS other WHERE other.i = (v{number}.i + 1) % (SELECT count(*) FROM v{number})"
        )
        repo(f"DELETE FROM b{number} WHERE v IS NULL; INSERT INTO b{number} SELECT v FROM v{number} WHERE i = 0")
        if has(repo, f"k{number}"):
            repo(f"UPDATE k{number} SET i = i + 100 WHERE i % 2 = 0; DELETE FROM k{number} WHERE i % 2 = 1")
    keep_copies(repo, "second")
    repo.commit("second")
    yield repo
    repo.close()


def create(repo: Repo, type: str) -> None:
    number, values = NUMBERS[type], [*TYPES[type], "NULL"]
    rows = ", ".join(f"({i}, CAST({value} AS {type}))" for i, value in enumerate(values))
    repo(f"CREATE TABLE v{number} (i INTEGER PRIMARY KEY, v {type}); INSERT INTO v{number} VALUES {rows}")
    repo(f"CREATE TABLE b{number} (v {type}); INSERT INTO b{number} SELECT v FROM v{number}, range(2)")
    try:
        repo(f"CREATE TABLE k{number} (v {type} PRIMARY KEY, i INTEGER)")
    except duckdb.Error as refusal:
        assert "Invalid type for index" in str(refusal)
        return
    repo(
        f"INSERT INTO k{number} SELECT any_value(v), min(i) FROM v{number} WHERE v IS NOT NULL GROUP BY {encode(column('v'), type)}"
    )


def keep_copies(repo: Repo, side: str) -> None:
    for (name,) in repo(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND table_name[1] IN ('v', 'b', 'k')"
    ):
        repo(f"CREATE TABLE {side}_{name} AS FROM {name}")


def has(repo: Repo, table: str) -> bool:
    return bool(repo("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", table))


def assert_same(repo: Repo, query: str, copy: str, type: str) -> None:
    """The rows of a query are those of a copy."""
    assert dict(repo.columns(query))["v"] == type
    exact = exactly(type, copy.split("_")[1])
    for one, other in ((f"({query})", copy), (copy, f"({query})")):
        assert repo(f"{exact} {one} EXCEPT ALL {exact} {other}") == []


def exactly(type: str, table: str) -> str:
    """SELECT of storage values, which tell everything apart but zeros, and beside a key also of the texts."""
    stored = f"{encode(column('v'), type)} AS stored"
    return f"SELECT {stored} FROM" if table.startswith("b") else f"SELECT i, {stored}, CAST(v AS VARCHAR) AS shown FROM"


def tables(repo: Repo, type: str) -> list[str]:
    return [name for name in (f"{kind}{NUMBERS[type]}" for kind in "vbk") if has(repo, name)]


@pytest.mark.core
@pytest.mark.parametrize("type", TYPES)
def test_commits_hold_what_the_tables_held(types: Repo, type: str) -> None:
    for name in tables(types, type):
        for side, ref in SIDES.items():
            assert_same(types, f"FROM epoch_at('{ref}', '{name}')", f"{side}_{name}", type)


@pytest.mark.grid(every=6)
@pytest.mark.core
@pytest.mark.parametrize("type", TYPES)
def test_differences_have_the_values_of_both_sides(types: Repo, type: str) -> None:
    for name in tables(types, type):
        for one, other in pairwise(("first", "second", "first")):
            call = f"epoch_diff('{SIDES[one]}', '{SIDES[other]}', table_name := '{name}')"
            for prefix, side, absent in (("from", one, "added"), ("to", other, "removed")):
                i = "" if name.startswith("b") else f"{prefix}_i AS i, "
                rows = f"SELECT {i}{prefix}_v AS v FROM {call} WHERE diff_type <> '{absent}'"
                assert dict(types.columns(rows))["v"] == type
                exact = exactly(type, name)
                assert types(f"{exact} ({rows}) EXCEPT ALL {exact} {side}_{name}") == []


@pytest.mark.core
def test_differences_are_complete_as_json(types: Repo) -> None:
    counted = dict(types("SELECT table_name, count(*) FROM epoch_diff('HEAD~1', 'HEAD') GROUP BY ALL"))
    for name, count in types(
        "SELECT table_name, rows_added + rows_modified + rows_removed FROM epoch_diff_stat('HEAD~1', 'HEAD')"
    ):
        assert counted[name] == count


@pytest.mark.slow
@pytest.mark.core
def test_checkouts_bring_every_value_back(types: Repo) -> None:
    for side, ref in (("first", "HEAD~1"), ("second", "main")):
        types("CALL epoch_checkout(?)", ref)
        assert types.status() == []
        for type in TYPES:
            for name in tables(types, type):
                assert_same(types, f"FROM {name}", f"{side}_{name}", type)


@pytest.mark.core
def test_a_second_commit_finds_nothing(types: Repo) -> None:
    """DuckDB 1.5 itself forgets the coordinate system of a GEOMETRY column when the database is opened again."""
    types.reopen()
    names = {name: type for type in TYPES for name in tables(types, type)}
    lost = {name for name, type in names.items() if dict(types.columns(f"FROM {name}"))["v"] != type}
    assert all("GEOMETRY(" in names[name] for name in lost)
    assert {row[0] for row in types.status()} == lost
    if not lost:
        assert "EpochNothingToCommit" in types.refused("CALL epoch_commit('nothing')")


@pytest.mark.core
def test_everything_that_duckdb_lists(make_repo: MakeRepo) -> None:
    with duckdb.connect() as connection:
        listed = connection.execute("DESCRIBE FROM test_all_types()").fetchall()
    known = ", ".join(f'"{row[0]}"' for row in listed if "VARIANT" not in row[1])
    repo = make_repo(f"CREATE TABLE everything AS SELECT row_number() OVER () AS id, {known} FROM test_all_types()")
    repo("CREATE TABLE kept AS FROM everything; CALL epoch_ignore('kept')")
    repo("UPDATE everything SET id = id + 10")
    repo.commit()
    exact = "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM"
    assert repo(f"{exact} epoch_at('HEAD~1', 'everything') ORDER BY 1") == repo(f"{exact} kept ORDER BY 1")
    assert repo.columns("FROM epoch_at('HEAD~1', 'everything')") == repo.columns("FROM kept")
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo(f"{exact} everything ORDER BY 1") == repo(f"{exact} kept ORDER BY 1")
    assert repo.columns("FROM everything") == repo.columns("FROM kept")


@pytest.mark.core
def test_the_sign_of_zero_survives_but_is_no_change(make_repo: MakeRepo) -> None:
    """In tables of their own: DuckDB 1.x itself mixes up zeros in one column, at a CHECKPOINT."""
    zeros = {"below": ("'-0.0'", True), "above": ("0", False)}
    repo = make_repo(
        ";".join(
            f"CREATE TABLE {t} (i INTEGER PRIMARY KEY, d DOUBLE, f FLOAT); INSERT INTO {t} VALUES (1, {v}, {v})"
            for t, (v, _) in zeros.items()
        )
    )
    for t, (_, sign) in zeros.items():
        assert repo("SELECT signbit(d), signbit(f) FROM epoch_at('HEAD', ?)", t) == [(sign, sign)]
        repo(f"UPDATE {t} SET d = -d")
    assert repo.status() == []
    repo("DELETE FROM below; DELETE FROM above")
    repo("CALL epoch_checkout('main', force := true)")
    for t, (_, sign) in zeros.items():
        assert repo(f"SELECT signbit(d), signbit(f) FROM {t}") == [(sign, sign)]


@pytest.mark.grid(every=5)
@pytest.mark.core
@pytest.mark.parametrize(
    ("type", "zero"),
    [
        ("DOUBLE", "'-0.0'"),
        ("FLOAT", "'-0.0'"),
        ("DOUBLE[]", "['-0.0']"),
        ("STRUCT(a FLOAT)", "{'a': '-0.0'}"),
        ("MAP(INTEGER, DOUBLE)", "MAP {1: '-0.0'}"),
    ],
)
def test_the_sign_of_zero_survives_several_commits(make_repo: MakeRepo, type: str, zero: str) -> None:
    """DuckDB's arg_max loses it for all types but DOUBLE, and what several commits changed is composed."""
    repo = make_repo(f"CREATE TABLE t (i INTEGER PRIMARY KEY, v {type})")
    repo("CALL epoch_branch('other')")
    repo(f"INSERT INTO t SELECT i, CAST({zero} AS {type}) FROM range(2) AS numbers (i)")
    repo.commit()
    repo(f"INSERT INTO t VALUES (2, CAST({zero} AS {type}))")
    repo.commit()
    exact = "SELECT count(*) FROM {} WHERE contains(CAST({} AS VARCHAR), '-0.0')"
    assert repo.one(exact.format("epoch_diff('other', 'main', table_name := 't')", "to_v")) == 3
    assert repo.one(exact.format("epoch_diff('main', 'other', table_name := 't')", "from_v")) == 3
    repo("CALL epoch_checkout('other')")
    repo("CALL epoch_checkout('main')")
    assert repo.one(exact.format("t", "v")) == 3
    repo("CALL epoch_checkout('other')")
    repo("INSERT INTO t VALUES (9, NULL)")
    repo.commit()
    repo("CALL epoch_merge('main')")
    assert repo.one(exact.format("t", "v")) == 3
    assert repo.one(exact.format("epoch_at('HEAD', 't')", "v")) == 3


@pytest.mark.core
@pytest.mark.parametrize(("type", "left", "right"), EQUAL)
def test_values_that_count_as_equal_are_no_change(make_repo: MakeRepo, type: str, left: str, right: str) -> None:
    repo = make_repo(
        f"CREATE TABLE t (i INTEGER PRIMARY KEY, v {type}); INSERT INTO t VALUES (1, CAST({left} AS {type}));"
        f"CREATE TABLE bag (v {type}); INSERT INTO bag SELECT v FROM t"
    )
    repo(f"UPDATE t SET v = CAST({right} AS {type}); UPDATE bag SET v = CAST({right} AS {type})")
    assert repo.status() == []
    assert repo("FROM epoch_diff('HEAD', 'WORKING')") == []


def storable(type: str) -> bool:
    """Whether this version of DuckDB has the type, and tables with columns of it."""
    with TemporaryDirectory() as folder, duckdb.connect(f"{folder}/types.duckdb") as con:
        try:
            con.execute(f"CREATE TABLE t (v {type})")
        except duckdb.Error:
            return False
        return True


REFUSED = [type for type in ("VARIANT", "STRUCT(a INTEGER, b VARIANT[])") if storable(type)]


@pytest.mark.core
@pytest.mark.parametrize("type", [*REFUSED, "AGGREGATE_STATE"])
def test_a_type_that_cannot_be_stored_is_refused_by_name(make_repo: MakeRepo, type: str) -> None:
    repo = make_repo("CREATE SCHEMA far; CREATE TABLE orders (i INTEGER)")
    if type == "AGGREGATE_STATE":
        repo("CREATE TABLE far.odd AS SELECT sum(i) EXPORT_STATE AS payload FROM orders")
    else:
        repo(f"CREATE TABLE far.odd (i INTEGER, payload {type})")
    repo("INSERT INTO orders VALUES (1)")
    for call in ("CALL epoch_commit('x')", "FROM epoch_status()", "CALL epoch_stash()"):
        message = repo.refused(call)
        assert "EpochTableError: column payload of table far.odd cannot be versioned" in message
        assert (type if type == "AGGREGATE_STATE" else "VARIANT") in message
        assert "CALL epoch_ignore('far.odd')" in message
    repo("CALL epoch_ignore('far.odd')")
    assert repo.commit() == (1, 1, 0, 0)
    assert repo.status() == []
