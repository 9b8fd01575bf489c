"""Values that do not fit the merged type are in conflict, at any depth, with and without a key, whatever brings them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.conftest import MakeRepo, Repo


@dataclass(frozen=True)
class Case:
    """A column that one side narrows, its value before and after, and a value that only the wide type has."""

    wide: str
    value: str
    narrow: str
    unfit: str
    narrowed: str | None = None


CASES = {
    "int": Case("INTEGER", "1", "TINYINT", "300"),
    "unsigned": Case("INTEGER", "1", "UINTEGER", "-1"),
    "text": Case("VARCHAR", "'1'", "INTEGER", "'abc'"),
    "zeros": Case("VARCHAR", "'1'", "INTEGER", "'007'"),
    "decimal": Case("DECIMAL(10,4)", "1.5", "DECIMAL(10,2)", "1.2345"),
    "double": Case("DOUBLE", "1", "INTEGER", "1.5"),
    "float": Case("DOUBLE", "0.5", "FLOAT", "0.1"),
    "date": Case("TIMESTAMP", "'2026-01-01'", "DATE", "'2026-01-01 10:00:00'"),
    "nested_not": Case("INTEGER", "1", "INTEGER[]", "3", "[1]"),
    "enum": Case("ENUM('a','b','c')", "'a'", "ENUM('a','b')", "'c'"),
    "text_enum": Case("VARCHAR", "'a'", "ENUM('a','b')", "'c'"),
    "list": Case("INTEGER[]", "[1]", "TINYINT[]", "[1, 300]"),
    "enums": Case("ENUM('a','b','c')[]", "['a']", "ENUM('a','b')[]", "['a', 'c']"),
    "array": Case("INTEGER[2]", "[1, 2]", "TINYINT[2]", "[1, 300]"),
    "array_size": Case("INTEGER[]", "[1, 2]", "INTEGER[2]", "[1, 2, 3]"),
    "map": Case("MAP(VARCHAR, INTEGER)", "MAP {'x': 1}", "MAP(VARCHAR, TINYINT)", "MAP {'x': 300}"),
    "map_key": Case("MAP(INTEGER, VARCHAR)", "MAP {1: 'x'}", "MAP(TINYINT, VARCHAR)", "MAP {300: 'x'}"),
    "struct": Case("STRUCT(a INTEGER)", "{'a': 1}", "STRUCT(a TINYINT)", "{'a': 300}"),
    "deep": Case(
        "STRUCT(a STRUCT(b INTEGER[])[])", "{'a': [{'b': [1]}]}", "STRUCT(a STRUCT(b TINYINT[])[])",
        "{'a': [{'b': [1]}, {'b': [300]}]}",
    ),
    "dropped": Case("STRUCT(a INTEGER, b INTEGER)", "{'a': 1, 'b': 2}", "STRUCT(a INTEGER)", "{'a': 3, 'b': 33}", "{'a': 1}"),
    "dropped_deep": Case(
        "STRUCT(a INTEGER, b INTEGER)[]", "[{'a': 1, 'b': NULL}]", "STRUCT(a INTEGER)[]", "[{'a': 3, 'b': 33}]", "[{'a': 1}]"
    ),
    "member": Case(
        "UNION(n INTEGER, s VARCHAR)", "union_value(n := 1)", "UNION(n TINYINT, s VARCHAR)", "union_value(n := 300)"
    ),
    "no_member": Case("UNION(n INTEGER, s VARCHAR)", "union_value(n := 1)", "UNION(n INTEGER)", "union_value(s := 'x')"),
}  # fmt: skip
TABLES = [f"{kind}_{name}" for n, name in enumerate(CASES) for kind in (("added", "updated")[n % 2], "bag")]
"""A row that is added with the value, or gets it, in a table with a key; one that is added without a key."""
FEW = (
    "added_int", "updated_decimal", "updated_deep", "added_date", "added_enum", "bag_int", "bag_list", "bag_enum",
)  # fmt: skip


def made(type_of: str, tables: Sequence[str] = TABLES) -> str:
    """The tables with one of the types."""
    statements = []
    for name in tables:
        kind, case = name.split("_", 1)
        key = "" if kind == "bag" else "PRIMARY KEY"
        of = CASES[case]
        type, value = (of.wide, of.value) if type_of == "wide" else (of.narrow, of.narrowed or of.value)
        statements.append(
            f"CREATE OR REPLACE TABLE {name} (id INTEGER {key}, m {type}); INSERT INTO {name} VALUES (1, {value})"
        )
    return "; ".join(statements)


def unfit(tables: Sequence[str] = TABLES) -> str:
    """The values that do not fit."""
    statements = []
    for name in tables:
        kind, case = name.split("_", 1)
        if kind != "updated":
            statements.append(f"INSERT INTO {name} VALUES (2, {CASES[case].unfit})")
        else:
            statements.append(f"UPDATE {name} SET m = {CASES[case].unfit}")
    return "; ".join(statements)


def rows(repo: Repo, tables: Sequence[str] = TABLES) -> dict[str, object]:
    return {name: repo(f"SELECT id, m::VARCHAR FROM {name} ORDER BY ALL") for name in tables}


def all_listed(repo: Repo, column: str) -> None:
    """Every table has its value in conflict, as it is on the side that has it, and nothing is settled."""
    listed = repo(
        f"SELECT table_name, column_name, resolved, {column}::VARCHAR, key->>'id' FROM epoch_conflicts() ORDER BY ALL"
    )
    assert [row[:3] for row in listed] == [(name, "m", False) for name in sorted(TABLES)]
    assert all(row[3] not in (None, "null", "[null]") for row in listed)
    kinds = {row[0]: row[4] for row in listed}
    assert {name: kinds[name] for name in TABLES} == {
        name: "1" if name.startswith("updated") else "2" for name in TABLES
    }


def parted(make_repo: MakeRepo, tables: Sequence[str]) -> Repo:
    """``narrow`` has the narrow types, ``main`` the values that do not fit."""
    repo = make_repo(made("wide", tables))
    repo("CALL epoch_checkout('narrow', new_branch := true)")
    repo(made("narrow", tables))
    repo.commit("narrow")
    repo("CALL epoch_checkout('main')")
    repo(unfit(tables))
    repo.commit("values")
    return repo


@pytest.mark.slow
@pytest.mark.core
def test_the_row_can_be_left_out(make_repo: MakeRepo) -> None:
    """By its key only: what is said of everything leaves it open."""
    parted_few = parted(make_repo, FEW)
    assert f"{len(FEW)} conflicts in" in parted_few.refused("CALL epoch_merge('narrow')")
    assert parted_few("CALL epoch_resolve(side := 'ours')") == [(0, len(FEW))]
    for name in FEW:
        key = parted_few.one("SELECT CAST(key AS VARCHAR) FROM epoch_conflicts(?)", name)
        parted_few("CALL epoch_resolve(?, side := 'theirs', key := ?)", name, key)
    parted_few("CALL epoch_merge_continue()")
    merged = rows(parted_few, FEW)
    parted_few("CALL epoch_checkout('narrow')")
    assert rows(parted_few, FEW) == merged
    assert parted_few.status() == []


@pytest.mark.slow
def test_merge_both_ways_and_cherry_pick(make_repo: MakeRepo) -> None:
    """Theirs for everything leaves open what only theirs has, and cannot have in the result."""
    repo = parted(make_repo, TABLES)
    before = rows(repo)
    assert f"{len(TABLES)} conflicts in" in repo.refused("CALL epoch_merge('narrow')")
    all_listed(repo, "ours")
    assert rows(repo) == before
    repo("CALL epoch_merge_abort()")
    repo("CALL epoch_checkout('narrow')")
    before = rows(repo)
    assert f"{len(TABLES)} conflicts" in repo.refused("CALL epoch_merge('main', strategy := 'theirs')")
    all_listed(repo, "theirs")
    repo("CALL epoch_merge_abort()")
    assert f"{len(TABLES)} conflicts" in repo.refused("CALL epoch_cherry_pick('main')")
    all_listed(repo, "theirs")
    assert rows(repo) == before


@pytest.mark.slow
def test_a_fitting_value_settles_it(make_repo: MakeRepo) -> None:
    """With a key and without one; a value that does not fit is refused as the cell's was."""
    repo = parted(make_repo, FEW)
    repo.refused("CALL epoch_merge('narrow')")
    for table, key, right, wrong in (
        ("added_int", "2", "7", "300"),
        ("bag_int", '{"id":2,"m":300}', "7", "300"),
        ("bag_list", '{"id":2,"m":[1,300]}', "[1, 7]", "[300]"),
        ("bag_enum", '{"id": 2, "m": "c"}', "b", "zzz"),
        ("updated_decimal", "1", "1.25", "1.2345"),
        ("updated_deep", "1", "{'a': [{'b': [7]}]}", "{'a': [{'b': [300]}]}"),
        ("added_date", "2", "2026-02-03", "2026-02-03 10:00:00"),
        ("added_enum", "2", "b", "c"),
    ):
        call = "CALL epoch_resolve(?, key := ?, column_name := 'm', value := ?)"
        assert "is not a value of column m" in repo.refused(call, table, key, wrong)
        repo(call, table, key, right)
        assert repo("SELECT resolved FROM epoch_conflicts(?)", table) == [(True,)]
    repo("CALL epoch_merge_continue()")
    assert repo("FROM bag_int ORDER BY ALL") == [(1, 1), (2, 7)]
    assert repo("FROM bag_list ORDER BY ALL") == [(1, [1]), (2, [1, 7])]
    assert repo("FROM added_enum ORDER BY ALL") == [(1, "a"), (2, "b")]
    assert repo("SELECT id, m::VARCHAR FROM updated_decimal") == [(1, "1.25")]
    assert repo.status() == []


@pytest.mark.slow
def test_revert_and_stash(make_repo: MakeRepo) -> None:
    """The types are widened, then narrowed again: by a revert, or under a stash."""
    repo = make_repo(made("narrow"))
    repo(made("wide"))
    repo.commit("wide")
    repo(unfit())
    repo("CALL epoch_stash()")
    repo(made("narrow"))
    repo.commit("narrow again")
    before = rows(repo)
    assert "clash in" in repo.refused("CALL epoch_stash_pop()")
    assert rows(repo) == before
    assert len(repo("FROM epoch_stashes()")) == 1
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    repo("CALL epoch_stash_pop()")
    repo.commit("values")
    before = rows(repo)
    assert f"{len(TABLES)} conflicts" in repo.refused("CALL epoch_revert('HEAD~1')")
    all_listed(repo, "ours")
    assert rows(repo) == before


@pytest.mark.core
@pytest.mark.slow
@pytest.mark.older
def test_values_that_fit_arrive_in_the_new_type_and_under_the_new_name(make_repo: MakeRepo) -> None:
    """Rows that both sides changed elsewhere, too; a union and an enum may have more than before."""
    cases = {
        "i": ("INTEGER", "1", "TINYINT", "2", "1", "2"),
        "e": ("ENUM('a','b','c')", "'a'", "ENUM('b','a')", "'b'", "'a'", "'b'"),
        "wider": ("ENUM('a')", "'a'", "ENUM('a','b')", "'a'", "'a'", "'a'"),
        "l": ("INTEGER[]", "[1]", "TINYINT[]", "[2, 3]", "[1]", "[2, 3]"),
        "renamed": (
            "STRUCT(a INTEGER, b INTEGER)", "{'a': 1, 'b': 2}", "STRUCT(a INTEGER, bb INTEGER)", "{'a': 1, 'b': 99}",
            "{'a': 1, 'bb': 2}", "{'a': 1, 'bb': 99}",
        ),
        "first": (
            "STRUCT(a INTEGER, b INTEGER)", "{'a': 1, 'b': 2}", "STRUCT(aa INTEGER, b INTEGER)", "{'a': 5, 'b': 2}",
            "{'aa': 1, 'b': 2}", "{'aa': 5, 'b': 2}",
        ),
        "inside": (
            "STRUCT(a INTEGER, b VARCHAR)[]", "[{'a': 1, 'b': 'x'}]", "STRUCT(a INTEGER, c VARCHAR)[]",
            "[{'a': 1, 'b': 'y'}, {'a': 2, 'b': 'z'}]", "[{'a': 1, 'c': 'x'}]", "[{'a': 1, 'c': 'y'}, {'a': 2, 'c': 'z'}]",
        ),
        "gone": (
            "STRUCT(a INTEGER, b INTEGER)", "{'a': 1, 'b': 2}", "STRUCT(a INTEGER)", "{'a': 5, 'b': 2}",
            "{'a': 1}", "{'a': 5}",
        ),
        "more": ("UNION(n INTEGER)", "union_value(n := 1)", "UNION(n INTEGER, s VARCHAR)", "union_value(n := 2)",
                 "union_value(n := 1)", "union_value(n := 2)"),
    }  # fmt: skip
    keys = {"k": "PRIMARY KEY", "b": ""}
    repo = make_repo(
        "; ".join(
            f"CREATE TABLE {key}_{name} (id INTEGER {constraint}, note INTEGER, m {old}); "
            f"INSERT INTO {key}_{name} SELECT i, 0, {value} FROM range(1, 4) r (i)"
            for name, (old, value, *_) in cases.items()
            for key, constraint in keys.items()
        )
    )
    repo("CALL epoch_checkout('other', new_branch := true)")
    for name, (_, _, new, _, kept, _) in cases.items():
        for key, constraint in keys.items():
            repo(
                f"CREATE OR REPLACE TABLE {key}_{name} (id INTEGER {constraint}, note INTEGER, m {new}); "
                f"INSERT INTO {key}_{name} SELECT i, 0, {kept} FROM range(1, 4) r (i)"
            )
        repo(f"UPDATE k_{name} SET note = 1 WHERE id = 2")
    repo.commit("types")
    repo("CALL epoch_tag('types')")
    repo("CALL epoch_checkout('main')")
    for name, (_, _, _, value, _, _) in cases.items():
        repo(f"UPDATE k_{name} SET m = {value} WHERE id = 2")
        if name != "gone":
            repo(f"INSERT INTO k_{name} VALUES (4, 0, {value}); INSERT INTO b_{name} VALUES (4, 0, {value})")
    repo.commit("values")
    repo("CALL epoch_tag('values')")
    for target, source in (("main", "types"), ("other", "values")):
        repo("CALL epoch_checkout(?)", target)
        repo("CALL epoch_merge(?)", source)
        for name, (_, _, new, _, kept, expected) in cases.items():
            added = [(4, 0)] if name != "gone" else []
            for key in keys:
                changed = {(2, 1): expected, (4, 0): expected} if key == "k" else {(4, 0): expected}
                wanted = [(1, 0), (2, 1), (3, 0), *added] if key == "k" else [(1, 0), (2, 0), (3, 0), *added]
                for number, note in wanted:
                    value = f"CAST({changed.get((number, note), kept)} AS {new})"
                    found = repo(f"SELECT m IS NOT DISTINCT FROM {value}, note FROM {key}_{name} WHERE id = {number}")
                    assert found == [(True, note)], (target, key, name, number)
        assert repo.status() == []


def test_a_dropped_field_conflicts_only_if_the_other_side_changed_it(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, m STRUCT(a INTEGER, b INTEGER)); "
        "INSERT INTO t VALUES (1, {'a': 1, 'b': 2}), (2, {'a': 1, 'b': 2}), (3, {'a': 1, 'b': 2})"
    )
    repo("CALL epoch_checkout('other', new_branch := true)")
    repo("ALTER TABLE t DROP COLUMN m.b")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo("UPDATE t SET m = {'a': 5, 'b': 2} WHERE id = 1; UPDATE t SET m = {'a': 1, 'b': 99} WHERE id = 2")
    repo("INSERT INTO t VALUES (4, {'a': 4, 'b': NULL}), (5, {'a': 5, 'b': 6})")
    repo.commit()
    assert "2 conflicts in t" in repo.refused("CALL epoch_merge('other')")
    listed = repo("SELECT key->>'id', ours::VARCHAR, theirs::VARCHAR FROM epoch_conflicts() ORDER BY 1")
    assert listed == [("2", '{"a":1,"b":99}', '{"a":1}'), ("5", '{"a":5,"b":6}', None)]
    repo("CALL epoch_resolve('t', key := '2', side := 'theirs')")
    repo("CALL epoch_resolve('t', key := '5', column_name := 'm', value := '{''a'': 50}')")
    repo("CALL epoch_merge_continue()")
    assert repo("FROM t ORDER BY id") == [(1, {"a": 5}), (2, {"a": 1}), (3, {"a": 1}), (4, {"a": 4}), (5, {"a": 50})]


@pytest.mark.slow
def test_values_of_both_sides_of_an_enum(make_repo: MakeRepo) -> None:
    """Whichever definition is taken, the value that only the other has is still to be decided."""
    for key in ("PRIMARY KEY", ""):
        repo = make_repo(f"CREATE TABLE t (id INTEGER {key}, m ENUM('a', 'b')); INSERT INTO t VALUES (1, 'a')")
        repo("CALL epoch_checkout('other', new_branch := true)")
        repo("ALTER TABLE t ALTER m TYPE ENUM('a', 'b', 'c'); INSERT INTO t VALUES (2, 'c')")
        repo.commit()
        repo("CALL epoch_checkout('main')")
        repo("ALTER TABLE t ALTER m TYPE ENUM('a', 'b', 'd'); INSERT INTO t VALUES (3, 'd')")
        repo.commit()
        repo.refused("CALL epoch_merge('other')")
        repo("CALL epoch_resolve(side := 'theirs')")
        open_ones = repo("SELECT key->>'id', ours::VARCHAR FROM epoch_conflicts() WHERE NOT resolved")
        assert open_ones == [("3", '"d"')]
        where = repo.one("SELECT key::VARCHAR FROM epoch_conflicts() WHERE NOT resolved")
        repo("CALL epoch_resolve('t', key := ?, column_name := 'm', value := 'b')", where)
        repo("CALL epoch_merge_continue()")
        assert repo("FROM t ORDER BY id") == [(1, "a"), (2, "c"), (3, "b")]


def test_a_key_that_does_not_fit(make_repo: MakeRepo) -> None:
    """The narrow type cannot be chosen: one of the keys has no value in it."""
    repo = make_repo("CREATE TABLE t (id BIGINT PRIMARY KEY, m INTEGER); INSERT INTO t VALUES (1, 1)")
    repo("CALL epoch_checkout('other', new_branch := true)")
    repo("CREATE OR REPLACE TABLE t (id INTEGER PRIMARY KEY, m INTEGER); INSERT INTO t VALUES (1, 2)")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    repo("INSERT INTO t VALUES (3000000000, 3)")
    repo.commit()
    assert "1 conflict in t" in repo.refused("CALL epoch_merge('other')")
    assert repo("SELECT column_name, kind FROM epoch_conflicts()") == [("id", "schema")]
    assert repo("CALL epoch_resolve(side := 'theirs')") == [(0, 1)]
    assert repo("CALL epoch_resolve(side := 'ours')") == [(1, 0)]
    repo("CALL epoch_merge_continue()")
    assert repo("FROM t ORDER BY id") == [(1, 2), (3000000000, 3)]
