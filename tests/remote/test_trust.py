"""What a remote's SQL would do outside of the database is data until the user trusts the remote; lies are refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql.worktree.scan
from epoch_sql.call import Call, Memory
from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.remote import Remote
from epoch_sql.model.schema import Column, DatabaseSchema, ObjectName, SchemaObject, Table
from epoch_sql.remote.proving import prove
from tests.conftest import Epoch, MakeRepo, Repo

pytestmark = pytest.mark.core

HONEST = (
    "CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'a'); CREATE MACRO twice(x) AS x * 2; "
    "CREATE VIEW plain AS SELECT twice(i) AS j FROM t; CREATE SEQUENCE sq"
)
FAR = (
    "CREATE VIEW reads AS FROM read_text('{folder}/secret.txt')",
    "CREATE VIEW scans AS FROM '{folder}/secret.csv'",
    "CREATE VIEW lists AS FROM glob('{folder}/*')",
    "CREATE VIEW acts AS SELECT nextval('sq') AS n",
    "CREATE MACRO peek(f) AS (SELECT content FROM read_text(f))",
    "CREATE MACRO peeks(f) AS TABLE FROM read_text(f)",
    "CREATE VIEW over_macro AS SELECT peek('{folder}/secret.txt') AS x",
    "CREATE MACRO lower(x) AS x",
    "CREATE TABLE d (i INTEGER PRIMARY KEY, s VARCHAR DEFAULT (current_setting('home_directory')))",
    "CREATE TABLE g (i VARCHAR PRIMARY KEY, s VARCHAR GENERATED ALWAYS AS (i || current_setting('home_directory')))",
    "CREATE TABLE c (i VARCHAR PRIMARY KEY, CHECK (i <> current_setting('home_directory') || 'x'))",
    "CREATE TABLE child (g VARCHAR REFERENCES g (i))",
)
FAR_OBJECTS = {"reads", "scans", "lists", "acts", "peek", "peeks", "over_macro", "lower"}
FAR_TABLES = {"d", "g", "c", "child"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    duckdb.sql(f"COPY (SELECT 1 AS a) TO '{tmp_path}/secret.csv'")
    return tmp_path


@pytest.fixture
def store(make_repo: MakeRepo, folder: Path) -> tuple[Repo, Path]:
    """A repository that is honest at first, pushed, and then has views, macros and tables that look out."""
    repo = make_repo(HONEST)
    repo("CALL epoch_remote_add('origin', ?)", str(folder / "store"))
    repo("CALL epoch_push()")
    return repo, folder / "store"


def look_out(repo: Repo, folder: Path) -> None:
    for statement in FAR:
        repo(statement.replace("{folder}", str(folder)))
    repo("INSERT INTO g VALUES ('a'), ('b')")
    repo("INSERT INTO child VALUES ('a')")
    repo.commit("look out")
    repo("CALL epoch_push()")


def fresh(make_repo: MakeRepo) -> Repo:
    """An empty database."""
    return make_repo("", init=False)


def names(repo: Repo) -> set[str]:
    """What there is of tables, views and macros."""
    return {
        name
        for (name,) in repo(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal UNION "
            "SELECT view_name FROM duckdb_views() WHERE NOT internal UNION SELECT function_name FROM duckdb_functions() "
            "WHERE NOT internal AND function_type IN ('macro', 'table_macro') AND function_name NOT LIKE 'epoch%'"
        )
    }


def clone_of(make_repo: MakeRepo, store: Path, arguments: str = "") -> tuple[Repo, list[str]]:
    repo = fresh(make_repo)
    warnings = repo.one(f"SELECT warnings FROM epoch_clone('{store}'{arguments})")
    return repo, warnings


@pytest.mark.slow
def test_a_clone_lists_what_looks_out_and_goes_on_without_it(
    make_repo: MakeRepo, store: tuple[Repo, Path], folder: Path
) -> None:
    author, place = store
    look_out(author, folder)
    repo, warnings = clone_of(make_repo, place)
    honest = {"t", "plain", "twice"}
    assert names(repo) == honest
    for name in FAR_OBJECTS | FAR_TABLES:
        assert any(f" {name} (" in warning for warning in warnings), name
    assert warnings[-1] == "trust remote origin to make what came from it"
    assert repo("SELECT trusted FROM epoch_remotes()") == [(False,)]
    # Nothing of it is a change, and a commit keeps it.
    assert repo("FROM epoch_status()") == []
    repo("INSERT INTO t VALUES (2, 'b')")
    repo.commit("own")
    assert repo("SELECT table_name FROM epoch_diff_summary('HEAD~1', 'HEAD')") == [("t",)]
    repo("CALL epoch_checkout('HEAD~2')")
    repo("CALL epoch_checkout('main')")
    assert names(repo) == honest
    assert repo("FROM epoch_status()") == []
    # It is run as of a reference as little as here.
    for query in ("FROM reads", "FROM scans", "FROM over_macro", "FROM g", "FROM lists", "FROM acts"):
        with pytest.raises(duckdb.Error):
            repo("FROM epoch_query('HEAD', ?)", query)
    with pytest.raises(duckdb.Error, match=r"EpochTrustError: table g .* came from origin, which is not trusted"):
        repo("FROM epoch_at('HEAD', 'g')")
    # It goes on to others as it came.
    repo("CALL epoch_push()")
    author("CALL epoch_pull()")
    assert author("SELECT i FROM g ORDER BY i") == [("a",), ("b",)]
    assert names(author) == honest | FAR_OBJECTS | FAR_TABLES


@pytest.mark.slow
def test_trust_makes_what_was_kept_and_loses_nothing_of_the_users_own(
    make_repo: MakeRepo, store: tuple[Repo, Path], folder: Path
) -> None:
    author, place = store
    look_out(author, folder)
    repo, _ = clone_of(make_repo, place)
    repo("INSERT INTO t VALUES (5, 'uncommitted')")
    repo("CREATE VIEW acts AS SELECT 7 AS mine")
    ((trusted, warnings),) = repo("SELECT trusted, warnings FROM epoch_remote_trust('origin')")
    assert trusted and warnings == []
    assert names(repo) == {"t", "plain", "twice"} | FAR_OBJECTS | FAR_TABLES
    assert repo("SELECT content FROM reads") == [("secret",)]
    assert repo("FROM acts") == [(7,)]
    assert repo("SELECT i FROM g ORDER BY i") == [("a",), ("b",)]
    assert {row[0]: row[1] for row in repo("SELECT table_name, change FROM epoch_status()")} == {
        "t": "modified",
        "acts": "schema",
    }
    assert repo("SELECT trusted FROM epoch_remotes()") == [(True,)]
    # What comes next is made at once.
    author("CREATE VIEW more AS FROM read_text('/nowhere/*')") if False else author(
        "CREATE VIEW more AS FROM duckdb_settings()"
    )
    author.commit("more")
    author("CALL epoch_push()")
    repo.commit("own")
    assert repo.one("SELECT warnings FROM epoch_pull()") == []
    assert "more" in names(repo)
    # Until that is revoked.
    repo("CALL epoch_remote_trust('origin', trust := false)")
    author("CREATE VIEW later AS FROM duckdb_settings()")
    repo("CALL epoch_push()")
    author.commit("later")
    author("CALL epoch_pull()")
    author("CALL epoch_push()")
    assert any("view later" in warning for warning in repo.one("SELECT warnings FROM epoch_pull()"))
    assert "later" not in names(repo) and "more" in names(repo)


def test_a_clone_that_trusts(make_repo: MakeRepo, store: tuple[Repo, Path], folder: Path) -> None:
    author, place = store
    look_out(author, folder)
    repo, warnings = clone_of(make_repo, place, ", trust := true")
    assert warnings == []
    assert names(repo) == names(author)
    assert repo("FROM epoch_status()") == []


@pytest.mark.slow
@pytest.mark.older
def test_fetches_checkouts_and_merges(make_repo: MakeRepo, store: tuple[Repo, Path], folder: Path) -> None:
    author, place = store
    repo, _ = clone_of(make_repo, place)
    repo("INSERT INTO t VALUES (3, 'c')")
    repo("CREATE VIEW own AS FROM read_text('{}/secret.txt')".replace("{}", str(folder)))
    repo.commit("own")
    look_out(author, folder)
    warnings = repo.one("SELECT warnings FROM epoch_fetch()")
    assert any("view reads" in warning for warning in warnings)
    before = {"t", "plain", "twice", "own"}
    repo("FROM epoch_preview_merge('origin/main')")
    repo("CALL epoch_merge('origin/main')")
    assert names(repo) == before and repo("SELECT content FROM own") == [("secret",)]
    repo("CALL epoch_checkout('origin/main')")
    assert names(repo) == before - {"own"}
    repo("CALL epoch_checkout('main')")
    assert names(repo) == before and repo("FROM epoch_status()") == []
    repo("INSERT INTO t VALUES (4, 'd')")
    repo("CALL epoch_stash()")
    repo("CALL epoch_stash_pop()")
    assert repo("SELECT table_name FROM epoch_status()") == [("t",)]
    repo("CALL epoch_reset(hard := true)")
    picked = repo.one("SELECT commit_id FROM epoch_log('origin/main') LIMIT 1")
    repo("CALL epoch_checkout('HEAD~1')")
    repo("CALL epoch_branch('elsewhere')")
    repo("CALL epoch_checkout('elsewhere')")
    with suppress(duckdb.Error):
        repo("CALL epoch_cherry_pick(?)", picked)
    assert not names(repo) & (FAR_OBJECTS | FAR_TABLES)
    # Both sides change a table whose definition is only data: it is not merged by what that says.
    author("CALL epoch_pull()")
    author("INSERT INTO g VALUES ('c')")
    author.commit("c")
    author("CALL epoch_push()")
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_fetch()")
    repo("CALL epoch_merge('origin/main')")
    assert names(repo) == before


@pytest.mark.slow
@pytest.mark.older
def test_what_the_user_makes_is_the_users_own(make_repo: MakeRepo, store: tuple[Repo, Path], folder: Path) -> None:
    author, place = store
    look_out(author, folder)
    repo, _ = clone_of(make_repo, place)
    repo("CREATE VIEW reads AS FROM read_text('{}/secret.txt')".replace("{}", str(folder)))
    assert repo("FROM epoch_status()") == []
    repo("INSERT INTO t VALUES (6, 'f')")
    repo.commit("the same, by hand")
    repo("CALL epoch_checkout('HEAD~2')")
    assert "reads" not in names(repo)
    repo("CALL epoch_checkout('main')")
    assert repo("FROM epoch_query('HEAD', 'SELECT content FROM reads')") == [("secret",)]
    assert "reads" in names(repo) and repo("FROM epoch_status()") == []


def forged(repo: Repo, monkeypatch: pytest.MonkeyPatch, objects: Callable[[SchemaObject], SchemaObject]) -> None:
    """Commit and push definitions that the database does not have."""
    real = epoch_sql.worktree.scan.read_schema

    def lying(*arguments: Any) -> DatabaseSchema:
        found = real(*arguments)
        return replace(found, objects=tuple(objects(made) for made in found.objects))

    with monkeypatch.context() as patch:
        patch.setattr(epoch_sql.worktree.scan, "read_schema", lying)
        repo("CREATE TABLE IF NOT EXISTS moved (i INTEGER)")
        repo.commit("forged")
    repo("CALL epoch_push()")


def test_lies_are_refused_on_every_way(
    make_repo: MakeRepo, store: tuple[Repo, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, place = store
    canary = folder / "canary"
    copy = f"COPY (SELECT 1) TO '{canary}'"
    victim, _ = clone_of(make_repo, place)
    before = names(victim)

    def lie(made: SchemaObject) -> SchemaObject:
        return replace(made, definition=f"{made.definition}; {copy}") if made.name.name == "plain" else made

    forged(author, monkeypatch, lie)
    # A commit tries in the author's own database what it commits.
    canary.unlink(missing_ok=True)
    with pytest.raises(duckdb.Error, match=r"EpochRemoteError: .* has a view 'plain' that is no definition of one"):
        victim("CALL epoch_fetch()")
    for call in ("CALL epoch_pull()", "FROM epoch_preview_merge('origin/main')", "CALL epoch_merge('origin/main')"):
        with suppress(duckdb.Error):
            victim(call)
    empty = fresh(make_repo)
    with pytest.raises(duckdb.Error, match=r"EpochRemoteError: .* view 'plain'"):
        empty("CALL epoch_clone(?)", str(place))
    with pytest.raises(duckdb.Error, match=r"EpochRemoteError: .* view 'plain'"):
        empty("CALL epoch_clone(?, trust := true)", str(place))
    assert not canary.exists()
    assert names(victim) == before and names(empty) == set()
    assert victim("SELECT commit_id FROM epoch_log('origin/main')") == victim("SELECT commit_id FROM epoch_log('main')")
    assert victim("FROM epoch_fsck()") == []


def test_lies_about_a_table_are_refused(repo: Repo) -> None:
    repo("CREATE TABLE t (i INTEGER)")
    repo.commit()
    remote = Remote("origin", "/store", trusted=True)
    column = Column("i", "INTEGER", 1)
    lie = Table(ObjectName("main", "t"), (replace(column, default="1); COPY (SELECT 1) TO '/tmp/x'; --"),))
    with repo.con.cursor() as cursor:
        call = Call(cursor, Memory())
        with pytest.raises(EpochRemoteError, match="/store has a table 't' that is no definition of one"):
            prove(call, "/store", [], [lie], remote)
        assert prove(call, "/store", [], [replace(lie, columns=(column,))], remote) == []


@pytest.mark.slow
def test_the_command_line(store: tuple[Repo, Path], folder: Path, epoch: Epoch) -> None:
    author, place = store
    look_out(author, folder)
    made = epoch("clone", str(place), str(folder / "cloned"))
    assert "warning: view reads (it calls read_text()) is kept as data and not made" in made.err
    assert "trust remote origin to make what came from it" in made.err
    database = ("--db", str(folder / "cloned" / "shop.duckdb"))
    assert "trusted" not in epoch(*database, "remote", "list").out
    assert "Remote 'origin' is trusted" in epoch(*database, "remote", "trust", "origin").err
    assert "trusted" in epoch(*database, "remote", "list").out
    assert "secret" in epoch(*database, "query", "SELECT content FROM reads").out
    assert "not trusted any more" in epoch(*database, "remote", "trust", "origin", "--revoke").err
    trusting = epoch("clone", "--trust", str(place), str(folder / "trusting"))
    assert "warning" not in trusting.err
