"""An error is the same through SQL, Python and the command line: its kind, its facts, its message and its hint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql import Repository, errors
from epoch_sql.advice import Suggestion
from epoch_sql.cli.suggested import command
from epoch_sql.errors import EpochError, MergeConflict, ReferenceNotFound
from epoch_sql.extension.failing import in_sql
from epoch_sql.extension.index import ACTING
from tests.conftest import Epoch, MakeRepo, Repo

# Raised in every way: the statement, the command line and the facts that both have.
REFUSED: list[tuple[str, Callable[[Repository], object], list[str], type[EpochError], dict[str, Any]]] = [
    (
        "CALL epoch_checkout('mian')",
        lambda repo: repo.checkout("mian"),
        ["checkout", "mian"],
        ReferenceNotFound,
        {"name": "mian", "suggestions": ("main",)},
    ),
    (
        "CALL epoch_checkout('xyzzy')",
        lambda repo: repo.checkout("xyzzy"),
        ["checkout", "xyzzy"],
        ReferenceNotFound,
        {"name": "xyzzy", "suggestions": ()},
    ),
    (
        "CALL epoch_branch('main')",
        lambda repo: repo.branch("main"),
        ["branch", "create", "main"],
        errors.ReferenceExists,
        {"name": "main"},
    ),
    (
        "CALL epoch_branch('a b')",
        lambda repo: repo.branch("a b"),
        ["branch", "create", "a b"],
        errors.InvalidName,
        {"name": "a b", "nearest": "a-b"},
    ),
    (
        "FROM epoch_log('both')",
        lambda repo: repo.log("both"),
        ["log", "both"],
        errors.ReferenceAmbiguous,
        {"name": "both", "meanings": ("refs/heads/both", "refs/tags/both")},
    ),
    (
        "CALL epoch_commit('x')",
        lambda repo: repo.commit("x"),
        ["commit", "-m", "x"],
        errors.EpochNothingToCommit,
        {},
    ),
    (
        "CALL epoch_key('ordes', ['id'])",
        lambda repo: repo.key("ordes", ["id"]),
        ["table", "key", "ordes", "id"],
        errors.TableNotFound,
        {"table": "ordes", "column": None, "suggestions": ("orders",)},
    ),
    (
        "CALL epoch_key('plain', ['itm'])",
        lambda repo: repo.key("plain", ["itm"]),
        ["table", "key", "plain", "itm"],
        errors.ColumnNotFound,
        {"table": "plain", "column": "itm", "suggestions": ("item",)},
    ),
    (
        "CALL epoch_merge_abort()",
        lambda repo: repo.merge_abort(),
        ["merge", "--abort"],
        errors.EpochMergeError,
        {"target": "main"},
    ),
    (
        "CALL epoch_merge('dev')",
        lambda repo: repo.merge("dev"),
        ["merge", "dev"],
        MergeConflict,
        {
            "verb": "merge",
            "source": "dev",
            "target": "main",
            "conflicts": 1,
            "violations": 0,
            "tables": {"orders": 1},
        },
    ),
    (
        "CALL epoch_merge('dev', expected := '0123456')",
        lambda repo: repo.merge("dev", expected="0123456"),
        ["merge", "dev", "--expected", "0123456"],
        errors.ReferenceMoved,
        {"name": "dev", "expected": "0123456"},
    ),
    (
        "CALL epoch_branch_delete('guarded')",
        lambda repo: repo.branch_delete("guarded"),
        ["branch", "delete", "guarded"],
        errors.Protected,
        {"branch": "guarded", "commit_id": None, "needs": "unprotect"},
    ),
    (
        "CALL epoch_merge('dev', target := 'guarded')",
        lambda repo: repo.merge("dev", into="guarded"),
        ["merge", "dev", "--into", "guarded"],
        errors.Protected,
        {"branch": "guarded", "needs": "review"},
    ),
    (
        "CALL epoch_merge('dev', target := 'checked')",
        lambda repo: repo.merge("dev", into="checked"),
        ["merge", "dev", "--into", "checked"],
        errors.EpochCheckError,
        {"branch": "checked", "commit_id": None, "checks": ("small",)},
    ),
    (
        "CALL epoch_check_remove('smal')",
        lambda repo: repo.check_remove("smal"),
        ["check", "remove", "smal"],
        errors.EpochCheckNameError,
        {"name": "smal", "suggestions": ("small",)},
    ),
    (
        "CALL epoch_check_add('acts', 'SELECT nextval(''numbers'')')",
        lambda repo: repo.check_add("acts", "SELECT nextval('numbers')"),
        ["check", "add", "acts", "SELECT nextval('numbers')"],
        errors.EpochCheckQueryError,
        {"check": "acts"},
    ),
    (
        "CALL epoch_fetch('elsewhere')",
        lambda repo: repo.fetch("elsewhere"),
        ["fetch", "elsewhere"],
        errors.RemoteNotFound,
        {"remote": "elsewhere"},
    ),
    (
        "FROM epoch_query('HEAD', 'DELETE FROM orders')",
        lambda repo: repo.query("HEAD", "DELETE FROM orders"),
        ["query", "DELETE FROM orders", "--ref", "HEAD"],
        errors.EpochQueryError,
        {},
    ),
    (
        "CALL epoch_stash_drop('ffff')",
        lambda repo: repo.stash_drop("ffff"),
        ["stash", "drop", "ffff"],
        ReferenceNotFound,
        {"name": "ffff", "suggestions": ()},
    ),
    (
        "CALL epoch_unprotect('dev')",
        lambda repo: repo.unprotect("dev"),
        ["branch", "unprotect", "dev"],
        errors.EpochReferenceError,
        {"name": "dev"},
    ),
    (
        "CALL epoch_ignore('')",
        lambda repo: repo.ignore(""),
        ["table", "ignore", ""],
        errors.EpochTableError,
        {"table": None, "column": None},
    ),
    (
        "CALL epoch_remote_add('far', 'http://x')",
        lambda repo: repo.remote_add("far", "http://x"),
        ["remote", "add", "far", "http://x"],
        errors.EpochRemoteError,
        {"remote": None},
    ),
    (
        "CALL epoch_push('origin', branch := 'guarded', delete := true)",
        lambda repo: repo.push("origin", branch="guarded", delete=True),
        ["push", "origin", "--delete", "guarded"],
        errors.EpochRemoteRefused,
        {"branch": "guarded", "remote": "origin", "needs": "unprotect"},
    ),
    (
        "FROM epoch_query('HEAD', 'SELECT nextval(''numbers'')')",
        lambda repo: repo.query("HEAD", "SELECT nextval('numbers')"),
        ["query", "SELECT nextval('numbers')", "--ref", "HEAD"],
        errors.EpochActsError,
        {},
    ),
    (
        "CALL epoch_gc(grace := '-1 day')",
        lambda repo: repo.gc(grace="-1 day"),
        ["gc", "--grace", "-1 day"],
        errors.EpochRepositoryError,
        {"database": None},
    ),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    repo = Repo(tmp_path_factory.mktemp("errors") / "shop.duckdb")
    repo("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 1)")
    repo("CREATE TABLE plain (item VARCHAR); CREATE SEQUENCE numbers; CALL epoch_init()")
    repo("CALL epoch_checkout('dev', new_branch := true)")
    repo("UPDATE orders SET amount = 100; CALL epoch_commit('dev')")
    repo("CALL epoch_checkout('main'); CALL epoch_branch('guarded'); CALL epoch_branch('checked')")
    repo("CALL epoch_protect('guarded', require_review := true)")
    repo("CALL epoch_check_add('small', 'FROM orders WHERE amount > 50', branch := 'checked')")
    repo("CALL epoch_branch('both'); CALL epoch_tag('both')")
    repo("UPDATE orders SET amount = 2; CALL epoch_commit('main')")
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path_factory.mktemp("remote")))
    repo("CALL epoch_push(); CALL epoch_push('origin', 'guarded', protection := true)")
    yield repo
    repo.close()


def raised(
    shop: Repo, statement: str, kind: type[Exception], within: Callable[[], AbstractContextManager[None]]
) -> Any:
    """What a statement raises; a merge that it leaves in progress is forgotten."""
    with pytest.raises(kind) as caught, within(), shop.con.cursor() as cursor:
        cursor.execute(statement).fetchall()
    forget_merge(shop)
    return caught.value


def forget_merge(shop: Repo) -> None:
    if shop("FROM epoch_merges()"):
        shop("CALL epoch_merge_abort()")


@pytest.mark.grid(every=3)
@pytest.mark.core
@pytest.mark.parametrize(
    ("statement", "method", "words", "kind", "facts"), REFUSED, ids=[" ".join(row[2]) for row in REFUSED]
)
def test_an_error_is_the_same_through_sql_python_and_the_command_line(
    shop: Repo,
    epoch: Epoch,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    method: Callable[[Repository], object],
    words: list[str],
    kind: type[EpochError],
    facts: dict[str, Any],
) -> None:
    monkeypatch.setenv("EPOCH_DB", str(shop.path))
    require_same(shop, epoch, statement, method, words, kind, facts)


def require_same(
    shop: Repo,
    epoch: Epoch,
    statement: str,
    method: Callable[[Repository], object],
    words: list[str],
    kind: type[EpochError],
    facts: dict[str, Any],
) -> None:
    told = str(raised(shop, statement, duckdb.Error, nullcontext))
    error = raised(shop, statement, kind, lambda: epoch_sql.raising(shop.con))
    assert type(error) is kind
    assert error.facts.items() >= facts.items()
    assert isinstance(error.__cause__, duckdb.Error)
    in_python, in_statements = error.hint, error.hinted(lambda found: in_sql(found, ACTING))
    assert f"{error.kind}: {error.message}" + (f" (hint: {in_statements})" if in_statements else "") in told
    assert str(error) == error.message + (f" (hint: {in_python})" if in_python else "")

    with epoch_sql.open(shop.path) as library, pytest.raises(kind) as caught:
        method(library)
    forget_merge(shop)
    assert type(caught.value) is kind
    assert (caught.value.facts, str(caught.value)) == (error.facts, str(error))

    plain = epoch(*words, code=kind.exit_code).err
    forget_merge(shop)
    document = json.loads(epoch(*words, "--json", code=kind.exit_code).err)
    forget_merge(shop)
    assert (document["kind"], document["facts"]) == (error.kind, json.loads(json.dumps(error.facts)))
    lines = plain.splitlines()
    assert f"error: {document['message']}" in lines
    assert ([f"hint: {document['hint']}"] if document["hint"] else []) == lines[
        lines.index(f"error: {document['message']}") + 1 :
    ]
    if error.suggestion is None:
        assert document["suggestion"] is None
        assert document["hint"] == in_python == in_statements
    else:
        assert (
            Suggestion(
                document["suggestion"]["verb"],
                *document["suggestion"]["arguments"],
                **document["suggestion"]["options"],
            )
            == error.suggestion
        )
        assert command(error.suggestion) in document["hint"] and "epoch_" not in document["hint"]
        assert in_sql(error.suggestion, ACTING) in str(in_statements) and "epoch " not in str(in_statements)
        assert str(error.suggestion) in str(in_python)


def test_what_depends_on_the_working_tables(shop: Repo, epoch: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCH_DB", str(shop.path))
    shop("CALL epoch_checkout('changing', new_branch := true)")
    shop("UPDATE orders SET amount = 7")
    checkout = ("CALL epoch_checkout('dev')", lambda repo: repo.checkout("dev"), ["checkout", "dev"])
    require_same(shop, epoch, *checkout, errors.EpochDirtyError, {"tables": ("orders",)})
    stash_id = shop("CALL epoch_stash()")[0][0]
    shop("UPDATE orders SET amount = 8; CALL epoch_commit('else')")
    pop = ("CALL epoch_stash_pop()", lambda repo: repo.stash_pop(), ["stash", "pop"])
    require_same(shop, epoch, *pop, errors.StashConflict, {"stash_id": stash_id, "tables": ("orders",)})
    shop("CALL epoch_stash_drop(); CREATE TABLE odd (x VARIANT)")
    commit = ("CALL epoch_commit('x')", lambda repo: repo.commit("x"), ["commit", "-m", "x"])
    unfit = {"table": "odd", "column": "x", "type": "VARIANT", "part": "VARIANT"}
    require_same(shop, epoch, *commit, errors.UnsupportedType, unfit)
    shop("DROP TABLE odd; CALL epoch_checkout('main'); CALL epoch_branch_delete('changing', force := true)")


def test_what_depends_on_files(make_repo: MakeRepo, epoch: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo("CREATE TABLE t AS SELECT 1 AS i")
    monkeypatch.setenv("EPOCH_DB", str(repo.path))
    repo("INSERT INTO t VALUES (2)")
    for file in (repo.path.parent / ".epoch").rglob("*.parquet"):
        file.unlink()
    diff = ("FROM epoch_diff('HEAD', 'WORKING')", lambda repo: repo.diff("HEAD", "WORKING"), ["diff"])
    with pytest.raises(errors.EpochStorageError) as caught, epoch_sql.raising(repo.con):
        repo(diff[0])
    assert caught.value.path and caught.value.path.endswith(".parquet")
    require_same(repo, epoch, *diff, errors.EpochStorageError, {"path": caught.value.path})
    (repo.path.parent / ".epoch" / "config.toml").write_text("database =")
    collect = ("CALL epoch_gc()", lambda repo: repo.gc(), ["gc"])
    broken = {"key": None, "file": str(repo.path.parent / ".epoch" / "config.toml")}
    require_same(repo, epoch, *collect, errors.EpochConfigError, broken)


def test_what_came_from_a_remote(
    make_repo: MakeRepo, epoch: Epoch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    author = make_repo(f"CREATE TABLE t AS SELECT 1 AS i; CREATE VIEW v AS FROM read_csv('{tmp_path}/secret.csv')")
    author("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    author("CALL epoch_push()")
    repo = make_repo(name="copy.duckdb", init=False)
    repo("CALL epoch_clone(?)", str(tmp_path / "store"))
    monkeypatch.setenv("EPOCH_DB", str(repo.path))
    query = (
        "FROM epoch_query('HEAD', 'FROM v')",
        lambda repo: repo.query("HEAD", "FROM v"),
        ["query", "FROM v", "--ref", "HEAD"],
    )
    require_same(repo, epoch, *query, errors.EpochTrustError, {"remote": "origin"})


def test_what_depends_on_the_connection(make_repo: MakeRepo, epoch: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo("CREATE TABLE t AS SELECT 1 AS i")
    monkeypatch.setenv("EPOCH_DB", str(repo.path))
    with pytest.raises(errors.EpochTransactionError) as caught, epoch_sql.raising(repo.con):
        repo("BEGIN; INSERT INTO t VALUES (2); CALL epoch_commit('x')")
    repo("ROLLBACK")
    facts = {"pending": "t", "overtaken": False}
    assert caught.value.facts == facts
    with epoch_sql.open(repo.path) as library, pytest.raises(errors.EpochTransactionError) as caught:
        library.connection.execute("BEGIN; INSERT INTO t VALUES (2)")
        library.commit("x")
    assert caught.value.facts == facts
    inside = ["query", "BEGIN; INSERT INTO t VALUES (2); CALL epoch_commit('x')", "--json"]
    document = json.loads(epoch(*inside, code=1).err)
    assert (document["kind"], document["facts"]) == ("EpochTransactionError", facts)
    assert json.loads(epoch("query", "SELEC 1", "--json", code=1).err)["kind"] == "EpochDatabaseError"
    with pytest.raises(errors.EpochArgumentError) as argument, epoch_sql.raising(repo.con):
        repo("FROM epoch_log(NULL)")
    assert argument.value.facts == {"function": "epoch_log", "parameter": "ref"}
    repo.close()
    with epoch_sql.open(repo.path, read_only=True) as library, pytest.raises(errors.EpochReadOnlyError) as refused:
        library.commit("x")
    assert refused.value.facts == {"database": str(repo.path)}
    with epoch_sql.connect(repo.path, read_only=True) as con:
        with pytest.raises(errors.EpochReadOnlyError) as refused, epoch_sql.raising(con):
            con.execute("CALL epoch_commit('x')")
    assert refused.value.facts == {"database": str(repo.path)}
    repo.con = epoch_sql.connect(repo.path)
