"""The library: a repository opens and closes, its verbs return what they declare and raise what they are."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql import errors
from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Relation

ADA, GRACE = "Ada <ada@example.com>", "Grace <grace@example.com>"

pytestmark = pytest.mark.core


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[epoch_sql.Repository]:
    """Orders on main, and a branch that changed one of them."""
    with epoch_sql.init(tmp_path / "shop.duckdb", author=ADA) as repo:
        repo.connection.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20)"
        )
        repo.commit("orders")
        repo.checkout("staging", new_branch=True)
        repo.connection.execute("UPDATE orders SET amount = 11 WHERE id = 1")
        repo.commit("eleven")
        repo.checkout("main")
        yield repo


def orders(repo: epoch_sql.Repository, ref: str = "HEAD") -> list[tuple[int, int]]:
    return repo.at(ref, "orders").order("id").fetchall()


# Opening and closing.


def test_what_is_no_repository_says_what_to_do_and_stays_as_it_is(tmp_path: Path) -> None:
    missing, plain, text = (tmp_path / name for name in ("missing.duckdb", "plain.duckdb", "notes.txt"))
    with duckdb.connect(str(plain)) as con:
        con.execute("CREATE TABLE t (i INTEGER)")
    text.write_text("no database")
    before = plain.read_bytes()
    with pytest.raises(errors.EpochRepositoryError, match=r"there is no database .*missing\.duckdb") as caught:
        epoch_sql.open(missing)
    assert "init" in str(caught.value) and not missing.exists()
    with pytest.raises(errors.EpochRepositoryError, match="has no Epoch repository") as caught:
        epoch_sql.open(plain)
    assert "init" in str(caught.value) and plain.read_bytes() == before
    with pytest.raises(errors.EpochError, match=r"notes\.txt"):
        epoch_sql.open(text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "plain.duckdb"]


def test_a_repository_that_is_closed_lets_go_of_its_database(repo: epoch_sql.Repository, tmp_path: Path) -> None:
    script = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    command = [sys.executable, "-c", script, str(tmp_path / "shop.duckdb")]
    assert subprocess.run(command, capture_output=True).returncode != 0
    repo.close()
    assert subprocess.run(command, capture_output=True).returncode == 0
    with pytest.raises(errors.EpochError):
        repo.status()


def test_a_database_that_is_open_to_read(repo: epoch_sql.Repository, tmp_path: Path) -> None:
    repo.close()
    with epoch_sql.open(tmp_path / "shop.duckdb", read_only=True) as reader:
        assert orders(reader, "staging") == [(1, 11), (2, 20)]
        assert (reader.status(), reader.head().branch) == ([], "main")
        with pytest.raises(errors.EpochReadOnlyError):
            reader.merge("staging")


def test_init_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.EpochReferenceError):
        epoch_sql.init(tmp_path / "shop.duckdb", branch="no branch")
    assert list(tmp_path.iterdir()) == []
    epoch_sql.init(tmp_path / "shop.duckdb").close()
    with pytest.raises(errors.EpochRepositoryError, match="already"):
        epoch_sql.init(tmp_path / "shop.duckdb")
    epoch_sql.open(tmp_path / "shop.duckdb").close()


def test_what_init_cannot_version_is_a_warning(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("CREATE TABLE t (i INTEGER); CREATE VIEW v AS FROM t; DROP TABLE t")
    with pytest.warns(epoch_sql.EpochWarning, match="view v cannot be made again"):
        epoch_sql.init(tmp_path / "shop.duckdb").close()


def test_clone_tells_how_far_it_is(repo: epoch_sql.Repository, tmp_path: Path) -> None:
    repo.remote_add("origin", str(tmp_path / "store"))
    assert repo.push(branch="main").status == "new"
    progress, clone_folder = epoch_sql.Progress(), tmp_path / "clone"
    clone_folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = epoch_sql.clone(str(tmp_path / "store"), clone_folder / "clone.duckdb", author=GRACE, progress=progress)
    with made as clone:
        assert orders(clone) == [(1, 10), (2, 20)]
        assert progress.done == progress.total > 0
        clone.connection.execute("DELETE FROM orders WHERE id = 2")
        clone.commit("one order")
        assert clone.log(max_count=1)[0].author == GRACE
    with pytest.raises(errors.EpochRemoteError):
        epoch_sql.clone(str(tmp_path / "nothing"), tmp_path / "other.duckdb")
    assert not (tmp_path / "other.duckdb").exists()


# Who acts.


def test_each_repository_has_its_author(repo: epoch_sql.Repository, tmp_path: Path) -> None:
    with epoch_sql.open(tmp_path / "shop.duckdb", author=GRACE) as other:
        other.commit("hers", allow_empty=True)
        repo.commit("his", allow_empty=True)
        other.commit("somebody's", author="Bo <bo@example.com>", allow_empty=True)
        other.review("staging", "main")
    assert [entry.author for entry in repo.log(max_count=3)] == ["Bo <bo@example.com>", ADA, GRACE]
    assert repo.reviews()[0].reviewer == GRACE
    assert repo.audit()[0].actor == GRACE


def test_the_author_of_a_connection_signs_what_its_database_does(tmp_path: Path) -> None:
    with epoch_sql.connect(tmp_path / "shop.duckdb", author=ADA) as con:
        con.execute("CALL epoch_init()")
        con.cursor().execute("CALL epoch_commit('one', allow_empty := true)")
        epoch_sql.install(con, author=GRACE)
        con.execute("CALL epoch_commit('two', allow_empty := true)")
        con.execute("CALL epoch_commit('three', allow_empty := true, author := 'Bo <bo@example.com>')")
        authors = con.execute("SELECT author FROM epoch_log()").fetchall()
    assert authors == [("Bo <bo@example.com>",), (GRACE,), (ADA,), (ADA,)]


# Transactions.


def test_what_is_uncommitted_on_the_connection_is_not_passed_over(repo: epoch_sql.Repository) -> None:
    repo.connection.execute("BEGIN; UPDATE orders SET amount = 0")
    for act in (lambda: repo.commit("zero"), lambda: repo.checkout("staging"), lambda: repo.tag("v1")):
        with pytest.raises(errors.EpochTransactionError) as caught:
            act()
        assert caught.value.pending == "orders"
    assert (repo.status(), repo.tags()) == ([], [])
    repo.connection.execute("COMMIT")
    assert repo.commit("zero").rows.modified == 2
    assert orders(repo) == [(1, 0), (2, 0)]


def test_a_refusal_leaves_the_transaction_as_it_is(repo: epoch_sql.Repository) -> None:
    repo.connection.execute("BEGIN; UPDATE orders SET amount = 0")
    with pytest.raises(errors.EpochReferenceError):
        repo.merge_base("nowhere", "main")
    repo.connection.execute("COMMIT")
    assert repo.connection.sql("SELECT sum(amount) FROM orders").fetchall() == [(0,)]


# Results and errors.


def test_a_merge_says_all_that_it_did(repo: epoch_sql.Repository) -> None:
    merged = repo.merge("staging", into="main", message="Eleven")
    assert (merged.status, merged.rows.modified, merged.kind, merged.source) == ("merged", 1, "merge", "staging")
    assert (merged.target, merged.message, merged.reapplied, merged.kept) == ("main", "Eleven", [], [])
    undone = repo.revert("HEAD")
    assert (undone.branch, undone.message.splitlines()[0]) == ("main", 'Revert "Eleven"')
    again = repo.merge("staging")
    assert [(found.undone_by, len(found.commits)) for found in again.reapplied] == [(undone.commit, 1)]
    assert repo.merge("staging").status == "up-to-date"


def test_what_fails_raises_what_it_is(repo: epoch_sql.Repository) -> None:
    repo.connection.execute("UPDATE orders SET amount = 12 WHERE id = 1")
    repo.commit("twelve")
    with pytest.raises(errors.EpochConflict):
        repo.merge("staging")
    assert [merge.conflicts for merge in repo.merges()] == [1]
    assert [(found.key, found.ours, found.theirs) for found in repo.conflicts()] == [('{"id":1}', "12", "11")]
    assert repo.resolve("orders", "ours").remaining == 0
    assert repo.merge_continue().kind == "merge"
    with pytest.raises(errors.EpochReferenceError):
        repo.log("nowhere")
    with pytest.raises(errors.EpochTableError):
        repo.log(table="nothing")
    with pytest.raises(errors.EpochReferenceError):
        repo.branches and repo.merge_base("nowhere", "main")


def test_a_relation_is_bound_when_it_is_read(repo: epoch_sql.Repository) -> None:
    now, state = repo.at("main", "orders"), repo.at("staging")
    assert now.aggregate("sum(amount)").fetchall() == [(30,)]
    assert state["orders"].filter("id = 1").fetchall() == [(1, 11)]
    assert state.query("SELECT max(amount) AS most FROM orders").fetchall() == [(20,)]
    assert [table.table for table in state.tables()] == ["orders"]
    difference = repo.diff("main", "staging", table="orders")
    assert difference.columns == ["diff_type", "changed_columns", "from_id", "to_id", "from_amount", "to_amount"]
    repo.merge("staging")
    assert now.aggregate("sum(amount)").fetchall() == [(31,)]
    repo.connection.execute("ATTACH ':memory:' AS elsewhere; USE elsewhere")
    assert state["orders"].filter("id = 1").fetchall() == now.filter("id = 1").fetchall() == [(1, 11)]


@pytest.mark.parametrize(
    "read",
    [
        lambda repo: repo.at("nowhere", "orders"),
        lambda repo: repo.diff("nowhere", "main"),
        lambda repo: repo.query("nowhere", "FROM orders"),
    ],
)
def test_a_relation_that_cannot_be_bound(repo: epoch_sql.Repository, read: object) -> None:
    with pytest.raises(errors.EpochReferenceError):
        read(repo)  # type: ignore[operator]


def test_names_and_texts_are_values(repo: epoch_sql.Repository) -> None:
    strange = "it's; DROP TABLE orders --"
    repo.connection.execute('CREATE TABLE "or\'der" (i INTEGER PRIMARY KEY); INSERT INTO "or\'der" VALUES (7)')
    repo.commit(strange)
    assert repo.log(max_count=1)[0].message == strange
    assert repo.at("main", "or'der").fetchall() == [(7,)]
    assert repo.query("main", "SELECT 'it''s' AS told").fetchall() == [("it's",)]


# What there is.


def test_every_verb_is_a_method_with_its_signature_and_its_docs() -> None:
    for verb in VERBS:
        name = verb.name.removeprefix("epoch_")
        method = getattr(epoch_sql.Repository, name, None) or getattr(epoch_sql, name)
        assert inspect.getdoc(method), name
        if name not in ("at", "init", "clone"):
            assert [*inspect.signature(getattr(epoch_sql.Repository, name).signature and method).parameters]
        if verb.record and not isinstance(verb, Relation):
            assert dataclasses.is_dataclass(verb.record) and verb.record.__doc__


def test_each_kind_of_error_is_imported_from_the_package() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds <= set(epoch_sql.__all__)
    for name in epoch_sql.__all__:
        assert getattr(epoch_sql, name) is not None
