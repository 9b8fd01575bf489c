"""``reset`` moves the branch, ``stash`` sets uncommitted changes aside and puts them back."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo, begun
from tests.support.databases import picture

START = """
    CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20);
    CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (1), (1);
    CREATE VIEW seen AS SELECT id FROM orders;
"""
EDITS = """
    UPDATE orders SET amount = 0 WHERE id = 1; INSERT INTO orders VALUES (3, 30); DELETE FROM log WHERE rowid = 0;
    CREATE TABLE fresh (i INTEGER); INSERT INTO fresh VALUES (1); ALTER TABLE orders ADD COLUMN note VARCHAR DEFAULT 'n';
    CREATE OR REPLACE VIEW seen AS SELECT amount FROM orders; CREATE SCHEMA far
"""


@begun(START)
def shop(repo: Repo) -> None:
    """Three commits on main, tagged v1 to v3."""
    repo("CALL epoch_tag('v1')")
    for n in (2, 3):
        repo(
            f"UPDATE orders SET amount = {n} WHERE id = 1; INSERT INTO orders VALUES ({n + 10}, {n}); INSERT INTO log VALUES ({n})"
        )
        repo.commit(f"commit {n}")
        repo(f"CALL epoch_tag('v{n}')")


# Reset.


def test_reset_keeps_the_working_tables(shop: Repo) -> None:
    before = picture(shop)
    target = shop.one("SELECT commit_id FROM epoch_tags() WHERE name = 'v1'")
    assert shop("CALL epoch_reset('v1')") == [(target, 0, 0, 0, [])]
    assert shop.head() == target
    assert picture(shop) == before
    assert shop.status() == [("log", "modified", 2, 0, 0), ("orders", "modified", 2, 1, 0)]
    assert shop.commit("both at once") == (2, 4, 1, 0)
    assert shop.tree() == shop.tree("v3")
    assert shop("SELECT message FROM epoch_log()") == [("both at once",), ("Initial commit",)]


def test_reset_to_the_same_commit_changes_nothing(shop: Repo) -> None:
    shop(EDITS)
    before, status = picture(shop), shop.status()
    shop("CALL epoch_reset()")
    assert (picture(shop), shop.status()) == (before, status)


def test_reset_forwards(shop: Repo) -> None:
    shop("CALL epoch_reset('v1', hard := true)")
    shop("CALL epoch_reset('v3')")
    assert shop.status() == [("log", "modified", 0, 0, 2), ("orders", "modified", 0, 1, 2)]
    shop("CALL epoch_reset(hard := true)")
    assert shop.status() == []
    assert shop.at("v3", "orders") == shop("FROM orders ORDER BY ALL")


@pytest.mark.grid(every=4)
@pytest.mark.parametrize(
    "edits", ["", EDITS, "DROP VIEW seen; DROP TABLE orders; DROP TABLE log", "ALTER TABLE orders RENAME TO log2"]
)
@pytest.mark.parametrize("ref", ["v1", "HEAD", "v3~1"])
def test_hard_reset_brings_the_working_tables_along(shop: Repo, edits: str, ref: str) -> None:
    shop("CALL epoch_checkout(?)", ref)
    wanted = picture(shop)
    shop("CALL epoch_checkout('main')")
    if edits:
        shop(edits)
    shop("CALL epoch_reset(?, hard := true)", {"v3~1": "v2"}.get(ref, ref))
    assert picture(shop) == wanted
    assert shop.status() == []
    assert shop("SELECT branch FROM epoch_head()") == [("main",)]
    assert len(shop("FROM epoch_log('v3')")) == 3


def test_hard_reset_counts_the_rows_that_it_changed(shop: Repo) -> None:
    assert shop.columns("FROM epoch_reset()") == [
        ("commit_id", "VARCHAR"),
        *((name, "BIGINT") for name in ("rows_added", "rows_modified", "rows_removed")),
        ("warnings", "VARCHAR[]"),
    ]
    assert shop("CALL epoch_reset('v1', hard := true)")[0][1:] == (0, 1, 4, [])
    assert shop("CALL epoch_reset('v3', hard := true)")[0][1:] == (4, 1, 0, [])


@pytest.mark.parametrize("ref", ["HEAD", "v2"])
def test_hard_reset_of_a_detached_checkout_only_discards(shop: Repo, ref: str) -> None:
    shop("CALL epoch_checkout('v2')")
    before, reflog = picture(shop), shop("FROM epoch_reflog()")
    shop(EDITS)
    assert shop("CALL epoch_reset(?, hard := true)", ref)[0][0] == shop.head()
    assert (picture(shop), shop.status(), shop("FROM epoch_reflog()")) == (before, [], reflog)
    for other in ("v1", "main"):
        assert "not a branch" in shop.refused("CALL epoch_reset(?, hard := true)", other)
    assert (picture(shop), shop.status()) == (before, [])


def test_a_dropped_tip_is_in_the_reflog(shop: Repo) -> None:
    tip = shop.head()
    shop("CALL epoch_tag_delete('v3'); CALL epoch_reset('v1', hard := true)")
    assert shop("SELECT old_commit FROM epoch_reflog('main') LIMIT 1") == [(tip,)]
    shop("CALL epoch_reset('main@{1}', hard := true)")
    assert shop.head() == tip
    assert len(shop("FROM orders")) == 4


# Stash.


def test_a_stash_takes_everything_aside_and_puts_it_back(shop: Repo) -> None:
    clean = picture(shop)
    shop(EDITS)
    dirty, status = picture(shop), shop.status()
    ((stash_id, changed, _, _),) = shop("CALL epoch_stash('later')")
    assert changed == len(status)
    assert picture(shop) == clean
    assert shop.status() == []
    assert shop("SELECT stash_id, branch, author, message, tables_changed FROM epoch_stashes()") == [
        (stash_id, "main", "Ada <ada@example.com>", "later", changed)
    ]
    shop.reopen()
    assert shop("CALL epoch_stash_pop()") == [(stash_id, changed, [], [])]
    assert picture(shop) == dirty
    assert shop.status() == status
    assert shop("FROM epoch_stashes()") == []
    shop.commit()
    shop("CALL epoch_checkout('HEAD~1')")
    assert picture(shop) == clean


@pytest.mark.grid(every=4)
@pytest.mark.parametrize(
    "edits",
    [
        "ALTER TABLE orders RENAME TO bought",
        "ALTER TABLE orders ALTER amount TYPE VARCHAR; UPDATE orders SET amount = 'x' WHERE id = 1",
        "DROP TABLE log",
        "CREATE OR REPLACE TABLE log AS SELECT 'other' AS what",
        "TRUNCATE log",
        "CREATE INDEX by_amount ON orders (amount)",
        "CREATE TABLE a (i INTEGER PRIMARY KEY); CREATE TABLE b (i INTEGER REFERENCES a (i)); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
        "CREATE SEQUENCE s; CREATE MACRO m(a) AS a; CREATE TYPE e AS ENUM ('x'); CREATE SCHEMA far; CREATE TABLE far.t (m e)",
    ],
)
def test_stashes_of_every_kind(shop: Repo, edits: str) -> None:
    clean = picture(shop)
    shop(edits)
    dirty, status = picture(shop), shop.status()
    shop("CALL epoch_stash()")
    assert picture(shop) == clean
    shop("CALL epoch_stash_pop()")
    assert picture(shop) == dirty
    assert shop.status() == status


def test_stashes_are_a_stack(shop: Repo) -> None:
    for n in (1, 2, 3):
        shop(f"UPDATE orders SET amount = {n}00 WHERE id = 1")
        shop(f"CALL epoch_stash('stash {n}')")
    assert [m for (m,) in shop("SELECT message FROM epoch_stashes()")] == ["stash 3", "stash 2", "stash 1"]
    middle = shop.one("SELECT stash_id FROM epoch_stashes() WHERE message = 'stash 2'")
    assert shop("CALL epoch_stash_drop(?)", middle[:8])[0][0] == middle
    for n in (3, 1):
        shop("CALL epoch_stash_pop()")
        assert shop("SELECT amount FROM orders WHERE id = 1") == [(n * 100,)]
        shop("CALL epoch_reset(hard := true)")
    assert "EpochReferenceError: there is no stash" in shop.refused("CALL epoch_stash_pop()")
    assert "EpochReferenceError: there is no stash" in shop.refused("CALL epoch_stash_drop()")


def test_nothing_to_stash(shop: Repo) -> None:
    assert "EpochNothingToCommit: there is nothing to stash" in shop.refused("CALL epoch_stash()")
    assert shop("FROM epoch_stashes()") == []


def test_a_stash_is_not_put_over_uncommitted_changes(shop: Repo) -> None:
    shop("UPDATE orders SET amount = 0")
    shop("CALL epoch_stash()")
    shop("INSERT INTO log VALUES (99)")
    before = picture(shop)
    assert "EpochDirtyError: uncommitted changes in log would be lost" in shop.refused("CALL epoch_stash_pop()")
    assert picture(shop) == before
    assert len(shop("FROM epoch_stashes()")) == 1


MOVES = {
    "another table moved on": ("UPDATE orders SET amount = 0 WHERE id = 1", "INSERT INTO log VALUES (7)", None),
    "a table came": ("UPDATE orders SET amount = 0 WHERE id = 1", "CREATE TABLE more (i INTEGER)", None),
    "a table went": ("UPDATE orders SET amount = 0 WHERE id = 1", "DROP TABLE log", None),
    "a new table and a new view": (
        "CREATE TABLE mine (i INTEGER); CREATE VIEW v AS FROM mine",
        "INSERT INTO log VALUES (7)",
        None,
    ),
    "both did the same": ("INSERT INTO log VALUES (7)", "INSERT INTO log VALUES (7)", None),
    "the table went there and back": (
        "UPDATE orders SET amount = 0 WHERE id = 1",
        "UPDATE orders SET amount = -1 | UPDATE orders SET amount = CASE id WHEN 1 THEN 3 WHEN 2 THEN 20 WHEN 12 THEN 2 ELSE 3 END",
        None,
    ),
    "the same cell moved on": (
        "UPDATE orders SET amount = 0 WHERE id = 1; UPDATE orders SET amount = 5 WHERE id = 2; INSERT INTO log VALUES (5)",
        "UPDATE orders SET amount = -1 WHERE id = 1",
        "orders",
    ),
    "the table that changed went": ("INSERT INTO log VALUES (5)", "DROP TABLE log", "log"),
    "the table that went changed": ("DROP TABLE log", "INSERT INTO log VALUES (5)", "log"),
    "a view was redefined twice": (
        "CREATE OR REPLACE VIEW seen AS SELECT 1 AS one",
        "CREATE OR REPLACE VIEW seen AS SELECT 2 AS two",
        "seen",
    ),
}


@pytest.mark.grid(every=12)
@pytest.mark.parametrize("case", MOVES)
def test_a_stash_on_a_branch_that_moved_on(shop: Repo, case: str) -> None:
    stashed, moved, conflict = MOVES[case]
    shop(stashed)
    changed = dict.fromkeys(name for name, *_ in shop.status())
    after_stash = picture(shop)
    shop("CALL epoch_stash()")
    for step in moved.split("|"):
        shop(step)
        shop.commit()
    before = picture(shop)
    if conflict:
        told = shop.refused("CALL epoch_stash_pop()")
        assert f"EpochConflict: the stash and what was committed since clash in {conflict} (hint: " in told
        assert picture(shop) == before
        assert len(shop("FROM epoch_stashes()")) == 1
        return
    shop("CALL epoch_stash_pop()")
    found = picture(shop)
    for name in changed:
        assert found.rows.get(f"main.{name}") == after_stash.rows.get(f"main.{name}")
    for name in before.rows.keys() - {f"main.{name}" for name in changed}:
        assert found.rows[name] == before.rows[name]
    assert [name for name, *_ in shop.status()] == ([] if case == "both did the same" else list(changed))


def test_a_stash_on_another_branch(shop: Repo) -> None:
    shop("CALL epoch_branch('old', start := 'v1')")
    shop("INSERT INTO log VALUES (50); CREATE TABLE mine (i INTEGER)")
    shop("CALL epoch_stash()")
    shop("CALL epoch_checkout('old')")
    before = shop("FROM log ORDER BY ALL")
    shop("CALL epoch_stash_pop()")
    assert shop.status() == [("log", "modified", 1, 0, 0), ("mine", "added", 0, 0, 0)]
    assert shop("FROM log ORDER BY ALL") == sorted([*before, (50,)])


def test_a_stash_merges_cell_by_cell_with_what_was_committed_since(shop: Repo) -> None:
    shop("UPDATE orders SET amount = 100 WHERE id = 1; INSERT INTO orders VALUES (50, 50); INSERT INTO log VALUES (5)")
    shop("CALL epoch_stash()")
    shop("ALTER TABLE orders ADD COLUMN note VARCHAR DEFAULT 'n'; UPDATE orders SET note = 'x' WHERE id = 1")
    shop("DELETE FROM orders WHERE id = 2; INSERT INTO log VALUES (6)")
    shop.commit()
    shop("ALTER TABLE orders RENAME TO bookings")
    shop.commit()
    committed = shop("FROM bookings ORDER BY id"), shop("FROM log ORDER BY ALL")
    shop("CALL epoch_stash_pop()")
    rows = [(1, 100, "x"), *(row for row in committed[0] if row[0] != 1), (50, 50, "n")]
    assert shop("FROM bookings ORDER BY id") == sorted(rows)
    assert shop("FROM log ORDER BY ALL") == sorted([*committed[1], (5,)])
    assert shop.status() == [("bookings", "modified", 1, 1, 0), ("log", "modified", 1, 0, 0)]
    assert shop("FROM epoch_stashes()") == []
    shop("CALL epoch_reset(hard := true)")
    assert (shop("FROM bookings ORDER BY id"), shop("FROM log ORDER BY ALL")) == committed


def test_a_stash_that_would_violate_a_constraint_is_kept(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2); "
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id))"
    )
    repo("INSERT INTO c VALUES (10, 2)")
    repo("CALL epoch_stash()")
    repo("DELETE FROM p WHERE id = 2")
    repo.commit()
    assert "clash in c (hint" in repo.refused("CALL epoch_stash_pop()")
    assert repo.status() == []
    assert repo("FROM c") == []
    assert len(repo("FROM epoch_stashes()")) == 1


def test_a_stash_survives_a_hard_reset_and_a_detached_head(shop: Repo) -> None:
    shop("CALL epoch_checkout('v3')")
    shop("INSERT INTO log VALUES (50)")
    shop("CALL epoch_stash()")
    assert shop("SELECT branch FROM epoch_stashes()") == [(None,)]
    shop("CALL epoch_checkout('main'); CALL epoch_reset('v3', hard := true); CALL epoch_stash_pop()")
    assert shop.status() == [("log", "modified", 1, 0, 0)]
