"""On no way does SQL of a remote run that is not trusted: every kind of definition, by every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from epoch_sql.worktree.ddl import TRIGGERS
from tests.conftest import MakeRepo, Repo
from tests.remote.forging import Document, Store

pytestmark = pytest.mark.core

CANARY = "CASE WHEN current_setting('home_directory') = 'here' THEN error('CANARY') ELSE {value} END"
"""What fails where it is run, with the message that no route may give."""
HELD = (
    "DROP TABLE shared",
    "CREATE TABLE shared (i INTEGER PRIMARY KEY, v VARCHAR, x INTEGER GENERATED ALWAYS AS ({one}))",
    "INSERT INTO shared (i, v) VALUES (1, 'a'), (2, 'b')",
    "CREATE TABLE keyed (i INTEGER PRIMARY KEY, x INTEGER GENERATED ALWAYS AS ({one}))",
    "CREATE TABLE keyless (i INTEGER, x INTEGER GENERATED ALWAYS AS ({one}))",
    "CREATE TABLE checked (i INTEGER PRIMARY KEY, CHECK ({true}))",
    "CREATE TABLE defaulted (i INTEGER PRIMARY KEY, x INTEGER DEFAULT ({one}))",
    "CREATE VIEW seen AS SELECT {one} AS n, i FROM t",
    "CREATE MACRO scalar() AS {one}",
    "CREATE MACRO listing() AS TABLE SELECT {one} AS n",
    *(f"INSERT INTO {name} (i) VALUES (1)" for name in ("keyed", "keyless", "checked", "defaulted")),
)
MORE = tuple(f"INSERT INTO {name} (i) VALUES (7)" for name in ("shared", "keyed", "keyless", "checked"))
TABLES = ("shared", "keyed", "keyless", "checked", "defaulted")
NAMES = {*TABLES, "seen", "scalar", "listing"}
OF_A_TABLE = (
    "FROM epoch_at('origin/main', '{name}')",
    "FROM epoch_diff('origin/main~1', 'origin/main', '{name}')",
    "FROM epoch_diff('main', 'origin/main', '{name}')",
    "FROM epoch_diff('origin/main', 'main', '{name}')",
    "FROM epoch_diff('origin/main', 'WORKING', '{name}')",
    "FROM epoch_patch('origin/main~1', 'origin/main', '{name}')",
    "FROM epoch_query('origin/main', 'FROM {name}')",
    "FROM epoch_query('origin/main', 'SELECT count(*) FROM (SELECT i FROM {name})')",
    "FROM epoch_query('WORKING', 'FROM {name}')",
    "FROM epoch_preview_diff('origin/main', table_name := '{name}')",
    "FROM epoch_diff_changes('main', 'origin/main', table_name := '{name}')",
    "FROM epoch_history('{name}', ref := 'origin/main')",
    "FROM epoch_blame('{name}', ref := 'origin/main')",
    "FROM epoch_history('{name}')",
    "FROM epoch_blame('{name}')",
)
WHEREVER = (
    "FROM epoch_query('origin/main', 'SELECT scalar()')",
    "FROM epoch_query('origin/main', 'FROM listing()')",
    "FROM epoch_patch('main', 'origin/main')",
    "FROM epoch_patch('origin/main', 'main')",
    "FROM epoch_diff_stat('main', 'origin/main')",
    "FROM epoch_diff_summary('main', 'origin/main')",
    "FROM epoch_diff('main', 'origin/main')",
    "FROM epoch_preview_merge('origin/main')",
    "FROM epoch_preview_diff('origin/main')",
    "FROM epoch_preview_diff_stat('origin/main')",
    "FROM epoch_preview_conflicts('origin/main')",
    "FROM epoch_changes('origin/main')",
    "FROM epoch_promotion('origin/main')",
    "CALL epoch_check_add('looking', 'FROM seen')",
    "FROM epoch_check_run('origin/main')",
    "FROM epoch_preview_checks('origin/main')",
    "CALL epoch_check_add('of shared', 'FROM shared')",
    "FROM epoch_check_rows('of shared', 'origin/main')",
    "FROM epoch_preview_check_rows('of shared', 'origin/main')",
    "CALL epoch_check_remove('of shared')",
    "FROM epoch_fsck()",
)
MOVES = (
    "CALL epoch_cherry_pick('origin/main')",
    "CALL epoch_cherry_pick('origin/main~1')",
    "CALL epoch_merge('origin/main')",
    "CALL epoch_pull()",
    "CALL epoch_checkout('origin/main')",
    "INSERT INTO t VALUES (50, 'x')",
    "CALL epoch_stash()",
    "CALL epoch_checkout('origin/main~1')",
    "CALL epoch_stash_pop()",
    "CALL epoch_reset(hard := true)",
    "CALL epoch_branch('side', 'origin/main')",
    "CALL epoch_checkout('side')",
    "CALL epoch_reset('origin/main~1', hard := true)",
    "CALL epoch_reset('origin/main', hard := true)",
    "CALL epoch_revert('HEAD')",
    "CALL epoch_merge('main')",
    "CALL epoch_compact()",
    "CALL epoch_checkout('main')",
)
REFUSALS = ("EpochTrustError", "EpochActsError", "EpochTableError", "EpochCheckQueryError", "EpochNothingToCommit")
"""How a route may end: the function of a macro that is not made is DuckDB's own to miss."""


def made(repo: Repo) -> set[str]:
    """The names of what there is."""
    return {
        name
        for (name,) in repo(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal UNION "
            "SELECT view_name FROM duckdb_views() WHERE NOT internal UNION SELECT function_name FROM duckdb_functions() "
            "WHERE NOT internal AND function_type IN ('macro', 'table_macro') AND function_name NOT LIKE 'epoch%'"
        )
    }


def outcome(repo: Repo, statement: str) -> str:
    """What a statement gives: its rows, or its error."""
    try:
        return str(repo(statement))
    except duckdb.Error as error:
        assert any(kind in str(error) for kind in (*REFUSALS, "with name scalar does not exist")), (statement, error)
        return str(error)


@pytest.fixture
def shops(make_repo: MakeRepo, tmp_path: Path) -> Callable[[str], Repo]:
    """Pushes tables, and then what looks out; makes a clone of the time between, with changes of its own."""
    author = make_repo(
        "CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'a');"
        "CREATE TABLE shared (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO shared VALUES (1, 'a')"
    )
    author("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    author("CALL epoch_push()")

    def clone(own: str) -> Repo:
        repo = make_repo("", init=False)
        repo("CALL epoch_clone(?)", str(tmp_path / "store"))
        repo("SET home_directory = 'here'")
        repo(own)
        repo.commit("own")
        for statements, message in ((HELD, "looks out"), (MORE, "more")):
            for statement in statements:
                author(statement.format(one=CANARY.format(value="1"), true=CANARY.format(value="true")))
            author.commit(message)
        author("CALL epoch_push()")
        return repo

    return clone


@pytest.mark.slow
@pytest.mark.older
def test_on_no_route(shops: Callable[[str], Repo]) -> None:
    repo = shops("INSERT INTO t VALUES (2, 'b')")
    warnings = repo.one("SELECT warnings FROM epoch_fetch()")
    assert all(any(f" {name} (" in warning for warning in warnings) for name in NAMES)
    before = made(repo)
    for routes in (WHEREVER, [route.format(name=name) for route in OF_A_TABLE for name in (*TABLES, "seen")]):
        for route in routes:
            assert "CANARY" not in outcome(repo, route), route
    assert made(repo) == before
    for move in MOVES:
        assert "CANARY" not in outcome(repo, move), move
        assert not made(repo) & (NAMES - {"shared"}), move
        if move == "CALL epoch_checkout('side')":
            for route in [route.format(name=name) for route in OF_A_TABLE[-3:] for name in ("keyed", "keyless")]:
                assert "CANARY" not in outcome(repo, route), (move, route)
    assert repo("FROM t WHERE i < 3 ORDER BY i") == [(1, "a"), (2, "b")]
    assert repo("FROM epoch_fsck()") == [] and repo("FROM epoch_status()") == []


@pytest.mark.slow
def test_a_table_that_both_changed_is_not_merged_by_what_is_only_data(shops: Callable[[str], Repo]) -> None:
    repo = shops("INSERT INTO shared VALUES (9, 'z')")
    repo("CALL epoch_fetch()")
    before = (repo.head(), made(repo), repo("FROM shared ORDER BY i"))
    for route in (
        "FROM epoch_preview_merge('origin/main')",
        "FROM epoch_preview_diff('origin/main')",
        "FROM epoch_changes('origin/main')",
        "FROM epoch_promotion('origin/main')",
        "CALL epoch_merge('origin/main')",
        "CALL epoch_merge('origin/main', strategy := 'theirs')",
        "CALL epoch_merge('origin/main', strategy := 'ours')",
        "CALL epoch_pull()",
        "CALL epoch_cherry_pick('origin/main')",
        "CALL epoch_cherry_pick('origin/main~1')",
    ):
        told = repo.refused(route)
        assert "EpochTrustError: table shared" in told and "CALL epoch_remote_trust('origin')" in told, route
    assert (repo.head(), made(repo), repo("FROM shared ORDER BY i")) == before
    assert repo("FROM epoch_status()") == []


def test_what_is_not_trusted_is_no_change_of_the_working_tables(shops: Callable[[str], Repo]) -> None:
    repo = shops("INSERT INTO t VALUES (2, 'b')")
    repo("CALL epoch_fetch()")
    repo("CALL epoch_checkout('origin/main')")
    repo("INSERT INTO t VALUES (3, 'c')")
    for rows in ("epoch_diff_summary('HEAD', 'WORKING')", "epoch_status()"):
        assert [row[0] for row in repo(f"SELECT table_name FROM {rows}")] == ["t"], rows
    assert {row[0] for row in repo("SELECT table_name FROM epoch_diff('HEAD', 'WORKING')")} == {"t"}


@pytest.mark.slow
def test_a_patch_has_nothing_that_is_only_data(shops: Callable[[str], Repo]) -> None:
    repo = shops("INSERT INTO t VALUES (2, 'b')")
    repo("CALL epoch_fetch()")
    for name in ("keyed", "checked", "defaulted"):
        assert f"EpochTrustError: table {name}" in repo.refused(f"FROM epoch_patch('main', 'origin/main', '{name}')")
    assert "EpochTrustError" in repo.refused("FROM epoch_patch('main', 'origin/main')")
    # What takes it away, and rows of it, are no text of theirs.
    gone = [row[0] for row in repo("SELECT statement FROM epoch_patch('origin/main', 'origin/main~2')")]
    assert gone and not any("CANARY" in statement for statement in gone)
    rows = repo("SELECT statement FROM epoch_patch('origin/main~1', 'origin/main', 'keyed')")
    assert len(rows) == 1 and "CANARY" not in rows[0][0]
    repo("CALL epoch_remote_trust('origin')")
    assert "CANARY" in str(repo("SELECT statement FROM epoch_patch('main', 'origin/main', 'keyed')"))


LIVES = (
    "CREATE TABLE precious (i INTEGER PRIMARY KEY); INSERT INTO precious VALUES (1); CREATE SCHEMA s;"
    "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE VIEW v AS SELECT i FROM precious; CREATE MACRO m(x) AS x + 1;"
    "CREATE MACRO tm() AS TABLE SELECT 1 AS a; CREATE SEQUENCE sq; CREATE TABLE x (i INTEGER PRIMARY KEY, d INTEGER "
    "DEFAULT (1 + 1), g INTEGER GENERATED ALWAYS AS (i + 1), CHECK (i > 0)); CREATE INDEX ix ON x ((i + 1))"
)
ATTACKS = (
    "; COPY (SELECT 1) TO '{canary}'",
    "; DROP TABLE precious",
    "); DROP TABLE precious; --",
    "); COPY (SELECT 1) TO '{canary}'; --",
    "; ATTACH '{canary}' AS other",
    " /* */ ; EXPORT DATABASE '{canary}'; /*",
    "\n;\nSET lock_configuration = false",
    "', 1); DROP TABLE precious; SELECT ('",
    '"; DROP TABLE precious; --',
    "$$; DROP TABLE precious; SELECT $$",
)
OBJECTS = ("schema", "type", "view", "macro", "sequence")


def spots_of(table: Document) -> list[tuple[Document, str]]:
    """The texts of a table that would be SQL, each by the document that has it, and its name there."""
    columns = {column["name"]: column for column in table["columns"]}
    (check,) = [constraint for constraint in table["constraints"] if constraint["kind"] == "CHECK"]
    (index,) = table["indexes"]
    triggers = table.get("triggers") or []
    return [
        (columns["d"], "default"),
        (columns["d"], "type"),
        (columns["g"], "generated"),
        (check, "expression"),
        (index["expressions"], 0),  # type: ignore[list-item]
        *((trigger, "body") for trigger in triggers),
    ]


@pytest.mark.slow
def test_definitions_that_are_more_than_one_statement(make_repo: MakeRepo, tmp_path: Path) -> None:
    author = make_repo(LIVES)
    if TRIGGERS:
        author(
            "CREATE TRIGGER tr AFTER INSERT ON x REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT "
            "INSERT INTO precious SELECT i + 100 FROM fresh"
        )
        author.commit("trigger")
    author("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    author("CALL epoch_push()")
    canary = tmp_path / "canary"
    places: list[Callable[[Store], tuple[Any, Any]]] = [
        lambda store, kind=kind: (  # type: ignore[misc]
            next(row for rows in store.documents["trees"].values() for row in rows if row[0] == kind),
            5,
        )
        for kind in OBJECTS
    ]

    def of_table(number: int) -> Callable[[Store], tuple[Any, Any]]:
        def place(store: Store) -> tuple[Any, Any]:
            tables = (t for t in store.documents["schemas"].values() if t["name"][-1] == "x")
            return spots_of(max(tables, key=lambda table: len(table.get("triggers") or ())))[number]

        return place

    places += [of_table(number) for number in range(6 if TRIGGERS else 5)]
    victim = make_repo("CREATE TABLE precious (i INTEGER); INSERT INTO precious VALUES (1)")
    branches = victim("FROM epoch_branches()")
    number = 0
    # Which texts pass is tested where they are proved (tests/proof); here, that all of a store goes that way.
    for turn, place in enumerate(places):
        for attack in ATTACKS[turn % 5 :: 5]:
            store, number = Store(tmp_path / "store"), number + 1
            document, name = place(store)
            document[name] = document[name] + attack.format(canary=canary)
            store.rebuild()
            folder = tmp_path / f"forged{number}"
            store.write(folder)
            victim("CALL epoch_remote_add(?, ?)", f"r{number}", str(folder))
            victim("CALL epoch_remote_trust(?)", f"r{number}")
            told = victim.refused("CALL epoch_fetch(?)", f"r{number}")
            assert "EpochRemoteError" in told, (attack, name, told)
            if number % 6 == 0:
                empty = make_repo("", init=False)
                assert "EpochRemoteError" in empty.refused("CALL epoch_clone(?, trust := true)", str(folder))
                assert made(empty) == set()
    assert not canary.exists() and victim("FROM precious") == [(1,)]
    assert victim("FROM epoch_branches()") == branches and victim("FROM epoch_fsck()") == []
