"""What holds for every merge: checked on random edits of a keyed and of a keyless table, and of their definitions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Repo

_KEYS = st.integers(1, 6)
_VALUES = st.sampled_from(["NULL", "0", "1", "2"])
_EDITS = st.one_of(
    st.builds(lambda k, a, b: f"INSERT OR REPLACE INTO t VALUES ({k}, {a}, {b})", _KEYS, _VALUES, _VALUES),
    st.builds(lambda k, a: f"UPDATE t SET a = {a} WHERE id = {k}", _KEYS, _VALUES),
    st.builds(lambda k, b: f"UPDATE t SET b = {b} WHERE id = {k}", _KEYS, _VALUES),
    st.builds(lambda k: f"DELETE FROM t WHERE id = {k}", _KEYS),
    st.builds(lambda x: f"INSERT INTO bag VALUES ({x})", _VALUES),
    st.builds(lambda x: f"DELETE FROM bag WHERE x IS NOT DISTINCT FROM {x}", _VALUES),
)
_SIDES = st.lists(_EDITS, max_size=5)
_ENDS = (
    "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 5",
    "ALTER TABLE t ALTER b TYPE BIGINT",
    "ALTER TABLE t RENAME a TO z",
    "ALTER TABLE bag RENAME TO heap",
    "CREATE TABLE n AS SELECT 1 AS x",
    "CREATE INDEX i ON t (id)",
    "CREATE VIEW v AS SELECT id FROM t",
)
_DEFINITIONS = st.sets(st.sampled_from(_ENDS), max_size=3).map(lambda ends: sorted(ends, key=_ENDS.index))
_STATE = "SELECT 't', id, a, b FROM t UNION ALL SELECT 'bag', x, NULL, NULL FROM bag ORDER BY ALL"
_SETTINGS = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
)


@pytest.fixture(scope="module")
def repo() -> Iterator[Repo]:
    """One repository for all examples: each starts from a branch of its own at the tag start."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        repo = Repo(Path(folder) / "shop.duckdb")
        repo("CALL epoch_init()")
        repo("CALL epoch_tag('empty')")
        repo(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); "
            "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, NULL, 0)"
        )
        repo("CREATE TABLE bag (x INTEGER); INSERT INTO bag VALUES (1), (1), (NULL)")
        repo.commit()
        repo("CALL epoch_tag('start')")
        yield repo
        repo.close()


_NUMBERS = iter(range(1_000_000))


def branch(repo: Repo, edits: list[str], start: str = "start") -> str:
    """A new branch with one commit of some edits, checked out."""
    name = f"branch{next(_NUMBERS)}"
    repo("CALL epoch_branch(?, ?)", name, start)
    repo("CALL epoch_checkout(?, force := true)", name)
    for edit in edits:
        repo(edit)
    repo("CALL epoch_commit('edits', allow_empty := true)")
    return name


def merged(repo: Repo, source: str, target: str) -> list[tuple[object, ...]]:
    """The conflicts of a merge into a copy of the target that is checked out; they are settled for the target."""
    copy = f"{target}-with-{source}"
    repo("CALL epoch_branch(?, ?)", copy, target)
    repo("CALL epoch_checkout(?)", copy)
    previewed = {row[0]: row[4] for row in repo("FROM epoch_preview_merge(?)", source)}
    try:
        repo("CALL epoch_merge(?)", source)
    except duckdb.Error as error:
        assert "EpochConflict" in str(error)
    conflicts = repo("SELECT key, column_name, kind, base, ours, theirs FROM epoch_conflicts()")
    assert sum(previewed.values()) == len(conflicts)
    if conflicts:
        repo("CALL epoch_resolve(side := 'ours')")
        repo("CALL epoch_merge_continue()")
    assert repo.status() == []
    return conflicts


@pytest.mark.slow
@_SETTINGS
@given(_SIDES, _SIDES)
def test_symmetric_but_for_the_side_that_wins(repo: Repo, left: list[str], right: list[str]) -> None:
    one, two = branch(repo, left), branch(repo, right)
    kinds = {"modify/delete": "delete/modify", "delete/modify": "modify/delete"}
    here = merged(repo, two, one)
    there = merged(repo, one, two)
    mirrored = [
        (key, column, kinds.get(str(kind), kind), base, theirs, ours) for key, column, kind, base, ours, theirs in here
    ]
    assert sorted(mirrored, key=str) == sorted(there, key=str)
    if not here:
        assert repo.tree(f"{one}-with-{two}") == repo.tree(f"{two}-with-{one}")
    assert repo(f"SELECT status FROM epoch_merge('{one}')") == [("up-to-date",)]


@pytest.mark.slow
@_SETTINGS
@given(_SIDES)
def test_with_nothing_on_the_other_side_the_merge_is_the_source(repo: Repo, edits: list[str]) -> None:
    one, idle = branch(repo, edits), branch(repo, [])
    assert merged(repo, one, idle) == []
    assert repo.tree(f"{idle}-with-{one}") == repo.tree(one)


@pytest.mark.slow
@_SETTINGS
@given(_SIDES)
def test_revert_after_commit_is_identity(repo: Repo, edits: list[str]) -> None:
    one = branch(repo, edits)
    assert repo.tree(one) == repo.tree("start") or repo(_STATE)
    repo("CALL epoch_revert('HEAD')")
    assert repo.tree() == repo.tree("start")
    repo("CALL epoch_revert('HEAD')")
    assert repo.tree() == repo.tree(one)
    assert repo.status() == []


@pytest.mark.slow
@_SETTINGS
@given(_SIDES)
def test_cherry_pick_onto_the_same_parent_gives_the_same_content(repo: Repo, edits: list[str]) -> None:
    one = branch(repo, edits)
    branch(repo, [])
    if repo.tree(one) == repo.tree("start"):
        assert "nothing to commit" in repo.refused("CALL epoch_cherry_pick(?)", one)
    else:
        repo("CALL epoch_cherry_pick(?)", one)
    assert repo.tree() == repo.tree(one)
    before = repo("FROM epoch_log()"), repo.head()
    assert "is in branch" in repo.refused("CALL epoch_cherry_pick(?)", one)
    assert (repo("FROM epoch_log()"), repo.head()) == before


@pytest.mark.slow
@_SETTINGS
@given(_SIDES, _SIDES)
def test_the_merge_of_equal_content_is_that_content(repo: Repo, edits: list[str], detour: list[str]) -> None:
    """Merge(x, x) = x, whichever way the two sides got there, for a keyless table too."""
    one = branch(repo, edits)
    two = branch(repo, [*detour, "DELETE FROM t", "DELETE FROM bag"])
    repo("INSERT INTO t FROM epoch_at(?, 't')", one)
    repo("INSERT INTO bag FROM epoch_at(?, 'bag')", one)
    repo("CALL epoch_commit('as on the other branch', allow_empty := true)")
    assert repo.tree(two) == repo.tree(one)
    assert all(row[1:4] == (0, 0, 0) for row in repo("FROM epoch_preview_merge(?)", one))
    assert merged(repo, one, two) == []
    assert repo.tree(f"{two}-with-{one}") == repo.tree(one)


@pytest.mark.slow
@_SETTINGS
@given(_SIDES, _SIDES)
def test_equal_content_has_equal_tree_ids(repo: Repo, first: list[str], second: list[str]) -> None:
    one = branch(repo, first + second)
    rows = repo(_STATE)
    two = branch(repo, first)
    for edit in second:
        repo(edit)
        repo("CALL epoch_commit('one by one', allow_empty := true)")
    assert repo(_STATE) == rows
    assert repo.tree(one) == repo.tree(two)
    assert json.dumps(repo.at(one, "t")) == json.dumps(repo.at(two, "t"))


@pytest.mark.slow
@_SETTINGS
@given(_SIDES, _DEFINITIONS, _SIDES, _DEFINITIONS)
def test_patches_run_in_an_empty_database_give_each_state(
    repo: Repo, left: list[str], left_end: list[str], right: list[str], right_end: list[str]
) -> None:
    """Patch(empty, a), then patch(a, b), then patch(b, a): a, b and a, definitions and rows."""
    one, two = branch(repo, left + left_end), branch(repo, right + right_end)
    with duckdb.connect() as plain:
        for old, new in (("empty", one), (one, two), (two, one)):
            for (statement,) in repo("SELECT statement FROM epoch_patch(?, ?) ORDER BY statement_order", old, new):
                plain.execute(statement)
            assert found_in(plain) == content_of(repo, new)


def content_of(repo: Repo, ref: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every table of a reference, and what a view shows, by name, with the columns' names and types."""
    names = [row[0] for row in repo("SELECT table_name FROM epoch_tables(?) WHERE kind IN ('table', 'view')", ref)]
    shown = {name: "epoch_query(?, 'FROM v')" if name == "v" else f"epoch_at(?, '{name}')" for name in names}
    return {
        name: [*repo(f"SELECT column_name, column_type FROM (DESCRIBE FROM {text})", ref), *rows(repo.con, text, ref)]
        for name, text in shown.items()
    }


def found_in(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """The same of a plain database."""
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
    )
    return {
        name: [*con.execute(f"SELECT column_name, column_type FROM (DESCRIBE {name})").fetchall(), *rows(con, name)]
        for (name,) in names.fetchall()
    }


def rows(con: duckdb.DuckDBPyConnection, relation: str, *parameters: object) -> list[tuple[object, ...]]:
    return con.execute(f"FROM {relation} ORDER BY ALL", list(parameters)).fetchall()


@pytest.mark.slow
@_SETTINGS
@given(_SIDES, _SIDES)
def test_a_diff_applied_to_the_one_state_gives_the_other(repo: Repo, left: list[str], right: list[str]) -> None:
    one, two = branch(repo, left), branch(repo, right)
    keyed = {row[0]: row for row in repo.at(one, "t")}
    for kind, was, now in repo(
        "SELECT diff_type, CASE WHEN diff_type <> 'added' THEN (from_id, from_a, from_b) END, "
        "CASE WHEN diff_type <> 'removed' THEN (to_id, to_a, to_b) END FROM epoch_diff(?, ?, table_name := 't')",
        one,
        two,
    ):
        assert keyed.pop(was[0], None) == was if was else now[0] not in keyed, kind
        if now:
            keyed[now[0]] = now
    assert sorted(keyed.values()) == sorted(repo.at(two, "t"))
    bag = Counter(repo.at(one, "bag"))
    for kind, was, now in repo("SELECT diff_type, from_x, to_x FROM epoch_diff(?, ?, table_name := 'bag')", one, two):
        bag[(now if kind == "added" else was,)] += 1 if kind == "added" else -1
    assert min(bag.values(), default=0) >= 0
    assert +bag == Counter(repo.at(two, "bag"))
    assert repo("FROM epoch_diff(?, ?)", one, one) == []
