"""What is ignored here and committed there stays as it is committed, whatever is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo, begun

pytestmark = pytest.mark.core

COMMITTED = """
CREATE SCHEMA far;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER);
INSERT INTO orders VALUES (1, 10), (2, 20);
CREATE TABLE x_keyed (id INTEGER PRIMARY KEY, v VARCHAR DEFAULT 'new', m mood);
INSERT INTO x_keyed VALUES (1, 'a', 'glad'), (2, 'b', 'sad');
CREATE TABLE x_bag (v VARCHAR);
INSERT INTO x_bag VALUES ('a'), ('a'), ('b');
CREATE TABLE far.x_far AS SELECT 1 AS i;
CREATE VIEW x_view AS SELECT id FROM x_keyed;
CREATE VIEW seen AS SELECT amount FROM orders;
CREATE MACRO x_twice(n) AS 2 * n;
CREATE SEQUENCE x_numbers START 5;
CREATE TYPE x_kind AS ENUM ('p', 'q');
"""
LOCAL = """
DROP VIEW x_view; DROP MACRO x_twice; DROP SEQUENCE x_numbers; DROP TYPE x_kind;
DELETE FROM x_bag; DROP TABLE far.x_far; ALTER TABLE x_keyed ADD COLUMN mine INTEGER;
UPDATE x_keyed SET v = 'mine'; CREATE VIEW x_kind AS SELECT 1 AS mine; CREATE TABLE x_twice (n INTEGER);
"""
"""What this database has under the ignored names: other rows, definitions and kinds, or nothing."""

TABLES = ("x_keyed", "x_bag", "far.x_far")


def held(repo: Repo, ref: str = "HEAD") -> list[object]:
    """Everything that a commit has under the ignored names."""
    rows = [sorted(repo.at(ref, name), key=str) for name in TABLES]
    (root,) = repo(
        "SELECT root_id FROM epoch.commits WHERE commit_id = (SELECT commit_id FROM epoch_log(ref := ?, max_count := 1))",
        ref,
    )
    objects = repo(
        "SELECT kind, object_name, definition FROM epoch.trees WHERE object_name LIKE 'x\\_%' ESCAPE '\\' AND "
        "kind <> 'table' AND subtree_id IN (SELECT unnest(subtree_ids) FROM epoch.roots WHERE root_id = ?) ORDER BY ALL",
        root[0],
    )
    assert len(objects) == 4
    return [*rows, objects]


def own(repo: Repo) -> list[object]:
    """What this database has under these names."""
    return [
        repo("FROM x_keyed ORDER BY ALL"),
        repo("FROM x_bag ORDER BY ALL"),
        repo("FROM x_kind"),
        repo("FROM x_twice"),
    ]


def change(repo: Repo, amount: int) -> None:
    repo(f"UPDATE orders SET amount = {amount} WHERE id = 1")
    repo.commit()


@begun(COMMITTED)
def repo(made: Repo) -> None:
    """Main has orders and what is ignored here; branch there is one commit ahead, in both."""
    made("CALL epoch_checkout('there', new_branch := true)")
    made("UPDATE orders SET amount = 11 WHERE id = 1; UPDATE x_keyed SET v = 'there' WHERE id = 1")
    made("INSERT INTO x_bag VALUES ('there'); CREATE OR REPLACE VIEW x_view AS SELECT v FROM x_keyed")
    made.commit()
    made("CALL epoch_checkout('main')")
    made("CALL epoch_ignore('x_*')")
    made("CALL epoch_ignore('far.x*')")
    made(LOCAL)


def commit(repo: Repo) -> str:
    change(repo, 12)
    return "main"


def merge(repo: Repo) -> str:
    repo("CALL epoch_merge('there')")
    return "there"


def merge_of_both(repo: Repo) -> str:
    repo("INSERT INTO orders VALUES (3, 30)")
    repo.commit()
    repo("CALL epoch_merge('there')")
    return "there"


def fast_forward(repo: Repo) -> str:
    repo("CALL epoch_merge('there', ff := true)")
    return "there"


def merge_back(repo: Repo) -> str:
    change(repo, 11)
    repo("CALL epoch_merge('main', target := 'there')")
    repo("CALL epoch_merge('there')")
    return "there"


def cherry_pick(repo: Repo) -> str:
    repo("CALL epoch_cherry_pick('there')")
    return "there"


def revert(repo: Repo) -> str:
    repo("CALL epoch_merge('there')")
    repo("CALL epoch_revert('HEAD')")
    return "main"


def checkout(repo: Repo) -> str:
    repo("CALL epoch_checkout('there')")
    assert held(repo) == held(repo, "there")
    change(repo, 13)
    repo("CALL epoch_checkout('main')")
    repo("CALL epoch_checkout('there')")
    return "there"


def reset(repo: Repo) -> str:
    repo("UPDATE orders SET amount = 99")
    repo("CALL epoch_reset('there', hard := true)")
    return "there"


def soft_reset(repo: Repo) -> str:
    repo("CALL epoch_reset('there')")
    change(repo, 15)
    return "there"


def rollback(repo: Repo) -> str:
    repo("CALL epoch_merge('there')")
    repo("CALL epoch_protect('main', no_force_push := true)")
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    return "main"


def stash(repo: Repo) -> str:
    repo("UPDATE orders SET amount = 77 WHERE id = 2")
    repo("CALL epoch_stash()")
    repo("CALL epoch_merge('there')")
    repo("CALL epoch_stash_pop()")
    assert repo.status() == [("orders", "modified", 0, 1, 0)]
    repo.commit()
    return "there"


def squash(repo: Repo) -> str:
    repo("CALL epoch_merge('there', squash := true)")
    return "there"


ROUTES = (
    *(commit, merge, merge_of_both, fast_forward, merge_back, cherry_pick, revert, checkout, reset, soft_reset),
    *(rollback, stash, squash),
)


@pytest.mark.grid(every=8)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
def test_what_is_ignored_stays_as_it_is_committed(repo: Repo, route: Callable[[Repo], str]) -> None:
    states = {branch: held(repo, branch) for branch in ("main", "there")}
    mine = own(repo)
    like = route(repo)
    assert held(repo) == states[like]
    assert own(repo) == mine, "nothing is brought over what is ignored"
    assert repo.status() == []
    assert repo("FROM epoch_diff_summary('HEAD', 'WORKING')") == []
    change(repo, 1000)
    assert held(repo) == states[like]
    assert repo("CALL epoch_fsck()") == []


def test_differences_and_tables_have_it_as_committed(repo: Repo) -> None:
    assert repo.status() == []
    assert repo("FROM epoch_diff_summary('HEAD', 'WORKING')") == []
    assert repo("FROM epoch_diff('HEAD', 'WORKING', table_name := 'x_keyed')") == []
    assert len(repo("FROM epoch_diff('there', 'WORKING', table_name := 'x_keyed')")) == 1
    assert repo("SELECT table_name FROM epoch_tables('WORKING')") == repo("SELECT table_name FROM epoch_tables()")
    assert "nothing to commit" in repo.refused("CALL epoch_commit('nothing')")


def test_it_is_removed_only_where_it_is_not_ignored(repo: Repo) -> None:
    repo("DROP TABLE x_bag")
    assert repo.status() == []
    assert "'x_' is not ignored" in repo.refused("CALL epoch_ignore('x_', remove := true)")
    repo("DROP TABLE x_twice; DROP VIEW x_kind; ALTER TABLE x_keyed DROP COLUMN mine")
    repo("CALL epoch_ignore('x_*', remove := true)")
    assert repo("FROM epoch_ignored()") == [("far.x*",)]
    assert ("x_bag", "removed", 0, 0, 3) in repo.status()
    repo.commit()
    assert "there is no table x_bag" in repo.refused("FROM epoch_at('HEAD', 'x_bag')")
    assert repo.at("HEAD", "far.x_far") == [(1,)]


def test_a_schema_stays_while_an_ignored_table_is_committed_in_it(repo: Repo) -> None:
    repo("DROP SCHEMA far")
    assert "schema far cannot be removed: far.x_far is committed in it" in repo.refused("CALL epoch_commit('gone')")
    repo("CREATE SCHEMA far")
    change(repo, 4)
    assert repo.at("HEAD", "far.x_far") == [(1,)]


def test_a_stash_of_what_is_ignored_by_now_is_not_forgotten(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE log (id INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO log VALUES (1, 'a')")
    repo("UPDATE log SET v = 'b'")
    repo("CALL epoch_stash()")
    repo("CALL epoch_ignore('log')")
    assert "the stash changes log, which is ignored since" in repo.refused("CALL epoch_stash_pop()")
    repo("CALL epoch_ignore('log', remove := true)")
    repo("CALL epoch_stash_pop()")
    assert repo("FROM log") == [(1, "b")]


def test_new_tables_have_ids_that_ignored_ones_do_not_have(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE a AS SELECT 1 AS i")
    repo("ALTER TABLE a RENAME TO x_a")
    repo.commit()
    repo("CALL epoch_ignore('x_*')")
    repo("CREATE TABLE a AS SELECT 2 AS j, 'new' AS k")
    repo.commit()
    assert (repo.at("HEAD", "x_a"), repo.at("HEAD", "a")) == ([(1,)], [(2, "new")])


@pytest.mark.parametrize("diverged", [False, True])
@pytest.mark.slow
@pytest.mark.older
def test_a_pull_and_the_next_push_leave_it_in_place(make_repo: MakeRepo, tmp_path: Path, diverged: bool) -> None:
    here = make_repo("CREATE TABLE s AS SELECT 1 AS i")
    here("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    here("CALL epoch_push()")
    (tmp_path / "other").mkdir()
    there = Repo(tmp_path / "other" / "shop.duckdb")
    there("CALL epoch_clone(?)", str(tmp_path / "store"))
    there("CREATE TABLE scratch AS SELECT range AS id FROM range(1000); CREATE VIEW scratch_view AS FROM scratch")
    there.commit()
    there("CALL epoch_push()")
    here("CALL epoch_ignore('scratch*')")
    if diverged:
        here("CREATE TABLE own AS SELECT 1 AS i")
        here.commit()
    here("CALL epoch_pull()")
    assert here.status() == []
    here("INSERT INTO s VALUES (2)")
    here.commit()
    here("CALL epoch_push()")
    there("CALL epoch_pull()")
    assert there.one("SELECT count(*) FROM scratch_view") == 1000
