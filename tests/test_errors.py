"""Errors: their facts, their suggestions in three languages, and the way through DuckDB."""

from __future__ import annotations

import ast
import inspect
import json
import pickle
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from functools import cache
from pathlib import Path
from subprocess import PIPE
from threading import Thread
from typing import Any

import click
import duckdb
import pytest

import epoch_sql
from epoch_sql import Repository, errors
from epoch_sql.advice import Suggestion, Value, to_resolve
from epoch_sql.cli import main
from epoch_sql.cli.main import program
from epoch_sql.cli.suggested import command
from epoch_sql.errors import EpochError, MergeConflict, ReferenceNotFound
from epoch_sql.extension.failing import in_sql
from epoch_sql.extension.install import ACTING
from epoch_sql.extension.surface import VERBS
from epoch_sql.model.protection import REQUEST
from tests.conftest import Epoch, MakeRepo, Repo

ROOT = Path(__file__).parent.parent
# Where they are installed: in an editable installation, the commands are not below the library.
COMMANDS = Path(main.__file__).parent
LIBRARY = [source for source in Path(epoch_sql.__file__).parent.rglob("*.py") if COMMANDS not in source.parents]
SOURCES = [*LIBRARY, *COMMANDS.rglob("*.py")]
CLASSES = {
    name: found for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, EpochError)
}

SPELLINGS = [
    (Suggestion("status"), "FROM epoch_status()", "epoch status", "repo.status()"),
    (Suggestion("checkout", "x"), "CALL epoch_checkout('x')", "epoch checkout x", 'repo.checkout("x")'),
    (
        Suggestion("checkout", "NAME", new_branch=True),
        "CALL epoch_checkout('NAME', new_branch := true)",
        "epoch checkout -b NAME",
        'repo.checkout("NAME", new_branch=True)',
    ),
    (
        Suggestion("merge", "staging", into="production"),
        "CALL epoch_merge('staging', target := 'production')",
        "epoch merge staging --into production",
        'repo.merge("staging", into="production")',
    ),
    (
        Suggestion("resolve", side="theirs", into=None),
        "CALL epoch_resolve(side := 'theirs')",
        "epoch conflicts resolve --theirs",
        'repo.resolve(side="theirs")',
    ),
    (
        Suggestion("commit", 'it\'s "done" $HOME `x`'),
        "CALL epoch_commit('it''s \"done\" $HOME `x`')",
        "epoch commit -m 'it'\"'\"'s \"done\" $HOME `x`'",
        """repo.commit('it\\'s "done" $HOME `x`')""",
    ),
    (
        Suggestion("key", "my table", ("a", "b c")),
        "CALL epoch_key('my table', ['a', 'b c'])",
        "epoch table key 'my table' a 'b c'",
        'repo.key("my table", ["a", "b c"])',
    ),
    (
        Suggestion("ignore", "-x;rm -rf *", remove=True),
        "CALL epoch_ignore('-x;rm -rf *', remove := true)",
        "epoch table ignore --remove -- '-x;rm -rf *'",
        'repo.ignore("-x;rm -rf *", remove=True)',
    ),
    (
        Suggestion("review", "NAME", "main", verdict="request"),
        "CALL epoch_review('NAME', 'main', verdict := 'request')",
        "epoch review request NAME --into main",
        'repo.review("NAME", "main", verdict="request")',
    ),
    (
        Suggestion("push", "origin", "v1", delete=True),
        "CALL epoch_push('origin', 'v1', delete := true)",
        "epoch push origin --delete v1",
        'repo.push("origin", "v1", delete=True)',
    ),
    (
        Suggestion("init"),
        "CALL epoch_init()",
        "epoch init",
        'epoch_sql.init("DATABASE")',
    ),
    (
        Suggestion("clone", "URL"),
        "CALL epoch_clone('URL')",
        "epoch clone URL",
        'epoch_sql.clone("URL", "DATABASE")',
    ),
    (
        Suggestion("log", "abc", max_count=1),
        "FROM epoch_log('abc', max_count := 1)",
        "epoch log abc --max-count 1",
        'repo.log("abc", max_count=1)',
    ),
]


@pytest.mark.parametrize(("suggestion", "sql", "words", "python"), SPELLINGS, ids=[row[2] for row in SPELLINGS])
def test_each_surface_spells_a_suggestion_in_its_own_words(
    suggestion: Suggestion, sql: str, words: str, python: str
) -> None:
    assert (in_sql(suggestion, ACTING), command(suggestion), str(suggestion)) == (sql, words, python)


def test_values_come_back_from_each_language_as_they_were() -> None:
    hostile = "a'b\"c\\d $(x) `y` ; -- \U0001f389 {z}"
    told = Suggestion("commit", hostile)
    call = ast.parse(str(told), mode="eval").body
    assert isinstance(call, ast.Call) and ast.literal_eval(call.args[0]) == hostile
    assert shlex.split(command(told)) == ["epoch", "commit", "-m", hostile]
    literal = in_sql(told, ACTING).removeprefix("CALL epoch_commit(").removesuffix(")")
    assert duckdb.sql(f"SELECT {literal}").fetchall() == [(hostile,)]


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


def test_where_nothing_is(make_repo: MakeRepo, epoch: Epoch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = make_repo(init=False)
    facts = {"database": str(empty.path)}
    with pytest.raises(errors.RepositoryNotFound) as caught, epoch_sql.raising(empty.con):
        empty("FROM epoch_log()")
    assert caught.value.facts == facts
    with pytest.raises(errors.RepositoryNotFound) as caught:
        epoch_sql.open(empty.path)
    assert caught.value.facts == facts
    document = json.loads(epoch("--db", str(empty.path), "log", "--json", code=1).err)
    assert (document["kind"], document["facts"]) == ("EpochRepositoryError", facts)
    assert document["suggestion"] == {"verb": "init", "arguments": [], "options": {}}


def test_a_database_that_another_program_has_open(make_repo: MakeRepo, epoch: Epoch) -> None:
    repo = make_repo()
    repo.close()
    holder = f"import duckdb; con = duckdb.connect({str(repo.path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with pytest.raises(errors.EpochLockedError) as caught:
            epoch_sql.open(repo.path)
        document = json.loads(epoch("--wait", "0", "--db", str(repo.path), "log", "--json", code=1).err)
        process.communicate("\n")
    assert caught.value.process == process.pid
    assert document["facts"] == caught.value.facts and document["kind"] == "EpochLockedError"
    repo.con = epoch_sql.connect(repo.path)


@pytest.mark.core
def test_facts_cross_as_they_are(make_repo: MakeRepo) -> None:
    """Whatever a name holds that DuckDB's own text could be confused with."""
    repo = make_repo()
    for name in ("x (hint: y)", "EpochConflict: z", "a\nb", "\U0001f389 '\"", "\x1b[31m", "{}"):
        with pytest.raises(ReferenceNotFound) as caught, epoch_sql.raising(repo.con):
            repo("CALL epoch_checkout(?)", name)
        assert caught.value.name == name
        assert caught.value.message.isprintable()


def test_without_a_watch_duckdb_raises_its_own(repo: Repo) -> None:
    told = repo.refused("CALL epoch_checkout('mian')")
    assert "EpochReferenceError: unknown reference 'mian' (hint: did you mean 'main'?)" in told


def test_errors_of_duckdb_stay_its_own(repo: Repo) -> None:
    with pytest.raises(duckdb.ParserException), epoch_sql.raising(repo.con):
        repo("SELEC 1")
    repo("CREATE VIEW broken AS FROM epoch_log('main')")
    repo("CALL epoch_branch('gone'); CREATE VIEW stale AS FROM epoch_log('gone'); CALL epoch_branch_delete('gone')")
    with pytest.raises(duckdb.CatalogException), epoch_sql.raising(repo.con):
        repo("FROM duckdb_columns(); FROM missing")


@pytest.mark.core
def test_each_thread_raises_its_own(repo: Repo) -> None:
    found: dict[str, str | None] = {}

    def refused(name: str) -> None:
        with repo.con.cursor() as cursor:
            try:
                with epoch_sql.raising(repo.con):
                    cursor.execute("FROM epoch_log(?)", [name]).fetchall()
            except ReferenceNotFound as error:
                found[name] = error.name

    threads = [Thread(target=refused, args=(f"nothing{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"nothing{number}": f"nothing{number}" for number in range(8)}


def test_a_kept_error_holds_no_database_open(make_repo: MakeRepo) -> None:
    repo = make_repo()
    with pytest.raises(ReferenceNotFound) as caught, epoch_sql.raising(repo.con):
        repo("FROM epoch_log('nothing')")
    assert caught.value.name == "nothing"
    repo.close()
    with duckdb.connect(repo.path, config={"threads": 1}) as again:
        # Refused while the database is open with other options.
        assert again.execute("SELECT 1").fetchall() == [(1,)]
    repo.con = epoch_sql.connect(repo.path)


def test_the_names_of_python_are_kinds_of_those_of_sql() -> None:
    assert MergeConflict.__base__ is errors.EpochConflict
    for name, found in CLASSES.items():
        error = found.__new__(found)
        kind = error.kind
        assert kind.startswith("Epoch") and isinstance(error, CLASSES[kind])
        assert (kind == name) == name.startswith("Epoch")


def test_errors_travel_to_other_processes() -> None:
    error = MergeConflict(
        "x",
        to_resolve("main", 1),
        verb="merge",
        source="a",
        target="main",
        conflicts=1,
        violations=0,
        tables={"t": 1},
    )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.facts, str(again), again.suggestion) == (
        MergeConflict,
        error.facts,
        str(error),
        error.suggestion,
    )


def test_every_kind_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\w+) \|.*\|([^|]*)\| (\d) \|$", page, re.MULTILINE)
    assert {name: (re.findall(r"`(\w+)`", facts), int(code)) for name, facts, code in documented} == {
        name: ([f.name for f in fields(found) if f.name not in ("message", "advice")], found.exit_code)
        for name, found in CLASSES.items()
    }


def test_every_class_is_in_one_place() -> None:
    for source in SOURCES:
        if source.name == "errors.py":
            continue
        for node in ast.walk(parsed(source)):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                assert not bases & CLASSES.keys(), f"{source}: {node.name}"


# --- what raise sites say -------------------------------------------------------------------------------------------

COMMAND = re.compile(
    r"\bepoch (?:-|init|config|status|commit|stash|diff|log|show|reflog|branch|checkout|tag|reset|merge|revert|"
    r"cherry-pick|conflicts|review|check|changelog|remote|push|fetch|pull|clone|table|query|export|gc|compact|fsck|demo)"
    r"|\bepoch_\w+ ?\(|\brepo\.\w+\("
)


@cache
def parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def calls(source: Path) -> Iterator[ast.Call]:
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call):
            yield node


def called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def texts(node: ast.AST) -> str:
    """The constant parts of a text."""
    return "".join(n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


SUGGESTED = [
    (f"{source.parent.name}/{source.name}:{call.lineno}", call)
    for source in SOURCES
    for call in calls(source)
    if called(call) == "Suggestion"
]


def test_the_library_names_verbs_only_by_suggestions() -> None:
    """No text that it raises, warns of or advises has a command of any surface in it."""
    for source in LIBRARY:
        tree = parsed(source)
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                where = f"{source.parent.name}/{source.name}:{node.lineno}: {node.value}"
                assert not COMMAND.search(node.value) or "{{" in node.value, where


def test_there_are_suggestions_to_test() -> None:
    assert len(SUGGESTED) > 80


def examples(call: ast.Call) -> Iterator[Suggestion]:
    """The suggestions that a call may make, with ``x`` for what is not constant."""

    def value(node: ast.expr) -> Value:
        try:
            found: Value = ast.literal_eval(node)
        except ValueError:
            known = {"REQUEST": REQUEST}
            return ("x",) if isinstance(node, ast.Tuple) else known.get(ast.unparse(node), "x")
        return found

    verb, *arguments = call.args
    options = {str(keyword.arg): value(keyword.value) for keyword in call.keywords}
    for name in (verb.body, verb.orelse) if isinstance(verb, ast.IfExp) else (verb,):
        assert isinstance(name, ast.Constant), ast.unparse(call)
        yield Suggestion(name.value, *map(value, arguments), **options)


def test_every_suggestion_is_a_call_that_there_is() -> None:
    verbs = {verb.name: verb for verb in VERBS}
    for where, call in SUGGESTED:
        for found in examples(call):
            told = f"{where}: {in_sql(found, ACTING)} | {command(found)} | {found}"
            parameters = verbs[f"epoch_{found.verb}"].parameters
            given = [p.name for p in parameters[: len(found.arguments)]]
            named = re.findall(r"(\w+) := ", in_sql(found, ACTING))
            assert len(found.arguments) <= len(parameters), told
            assert {*named} <= {p.name for p in parameters} - {*given}, told
            assert {p.name for p in parameters if p.default is None} <= {*given, *named}, told
            in_python = ast.parse(str(found), mode="eval").body
            assert isinstance(in_python, ast.Call) and isinstance(in_python.func, ast.Attribute), told
            of_module = ast.unparse(in_python.func.value) == "epoch_sql"
            function = getattr(epoch_sql if of_module else Repository, in_python.func.attr)
            arguments = [ast.literal_eval(argument) for argument in in_python.args]
            options = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in in_python.keywords}
            signature = inspect.signature(function) if of_module else function.signature
            signature.bind(*arguments, **options)
            try:
                parse(shlex.split(command(found))[1:])
            except click.UsageError as error:
                pytest.fail(f"{told}: {error.format_message()}")


def parse(words: list[str]) -> None:
    """Fails for what is no command line; nothing is run."""
    found: click.Command = program
    context = program.make_context("epoch", words)
    while isinstance(found, click.Group):
        name, inner, words = found.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        found, context = inner, inner.make_context(name, words, parent=context)


SEARCHES = ("compile", "search", "match", "fullmatch", "sub", "findall", "finditer")
PARTS = ("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "find", "index")


def looked_for(source: Path) -> Iterator[str]:
    """The texts that a module looks for in others: by ``in``, the methods of str, or regular expressions."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            yield texts(node.left)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in PARTS:
                yield from (
                    n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                )
            elif node.func.attr in SEARCHES and ast.unparse(node.func.value) == "re":
                yield from re.findall(
                    r"[A-Za-z][A-Za-z ]{4,}", re.sub(r"\\.|\[[^]]*\]|\?P<\w+>", "|", texts(node.args[0]))
                )


def sentences(source: Path) -> Iterator[str]:
    """The texts of a module that people read: of several words, and no SQL."""
    tree = parsed(source)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in docs:
            text = texts(node)
            if len(re.findall(r"\b[a-z']+\b", text)) >= 2 and not re.search(r'SELECT|{{|\(\?P<|VARCHAR|\)"?\$', text):
                yield text


NAMES = {
    "Epoch",
    "epoch_",
    "duckdb",
    ".lock",
    "table",
    "trigger",
    "macros",
    "value",
    "detail",
    "from_",
    "create",
    "table_name",
    "refs/",
    ".json",
    "Infinity",
}
"""What is looked for in names, kinds and keys, and stands in a sentence as well."""


def test_no_message_of_our_own_is_read_back() -> None:
    """What a module looks for in a text is no part of what Epoch says: facts travel as fields."""
    said = list(dict.fromkeys(text for source in SOURCES for text in sentences(source)))
    assert len(said) > 500
    assert any("nobody" in text for text in said)
    everything = "\n".join(said)
    for source in SOURCES:
        for text in looked_for(source):
            if re.search(r"[a-z]{4}", text) and text not in NAMES and text in everything:
                found = [sentence for sentence in said if text in sentence and text != sentence]
                assert not found, f"{source.parent.name}/{source.name} looks for {text!r}: {found}"
