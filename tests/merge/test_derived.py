"""Derived tables: what both sides changed stays ours as a whole, and is stale until somebody rebuilds it."""

from __future__ import annotations

from pathlib import Path

import pytest

import epoch_sql
from epoch_sql.catalog.history import Protections
from epoch_sql.errors import StaleTables
from epoch_sql.merge.engine import is_as_recorded
from tests.conftest import Repo, begun, opened

# Each table: what the base has, what branch a does, what branch b does; None: it is not there.
CASES: dict[str, tuple[str, str, str]] = {
    "m_keyed": (
        "CREATE TABLE m_keyed (k INTEGER PRIMARY KEY, v INTEGER); INSERT INTO m_keyed VALUES (1, 1), (2, 2)",
        "UPDATE m_keyed SET v = 10 WHERE k = 1",
        "UPDATE m_keyed SET v = 20 WHERE k = 2",
    ),
    "m_bag": (
        "CREATE TABLE m_bag AS SELECT 5 AS total",
        "UPDATE m_bag SET total = 15",
        "CREATE OR REPLACE TABLE m_bag AS SELECT 25 AS total",
    ),
    "m_columns": (
        "CREATE TABLE m_columns (k INTEGER, v INTEGER); INSERT INTO m_columns VALUES (1, 1)",
        "CREATE OR REPLACE TABLE m_columns AS SELECT 'a' AS k, 1 AS w",
        "ALTER TABLE m_columns ALTER v TYPE VARCHAR; ALTER TABLE m_columns DROP k",
    ),
    "m_keys": (
        "CREATE TABLE m_keys (k INTEGER PRIMARY KEY, v INTEGER)",
        "CREATE OR REPLACE TABLE m_keys (k INTEGER PRIMARY KEY, v INTEGER); INSERT INTO m_keys VALUES (1, 2)",
        "CREATE OR REPLACE TABLE m_keys (k INTEGER, v INTEGER PRIMARY KEY); INSERT INTO m_keys VALUES (3, 4)",
    ),
    "m_dropped": ("CREATE TABLE m_dropped AS SELECT 1 AS i", "DROP TABLE m_dropped", "UPDATE m_dropped SET i = 2"),
    "m_renamed": (
        "CREATE TABLE m_renamed AS FROM range(9) r(i)",
        "ALTER TABLE m_renamed RENAME TO m_called",
        "INSERT INTO m_renamed VALUES (9)",
    ),
    "m_new": (
        "",
        "CREATE TABLE m_new (k INTEGER PRIMARY KEY); INSERT INTO m_new VALUES (1)",
        "CREATE TABLE m_new AS SELECT 'x' AS other",
    ),
    "m_kind": (
        "CREATE TABLE m_kind AS SELECT 1 AS i",
        "UPDATE m_kind SET i = 2",
        "DROP TABLE m_kind; CREATE VIEW m_kind AS SELECT 3 AS i",
    ),
    "m_equal": ("CREATE TABLE m_equal AS SELECT 1 AS i", "UPDATE m_equal SET i = 2", "UPDATE m_equal SET i = 2"),
    "m_one": ("CREATE TABLE m_one AS SELECT 1 AS i", "", "UPDATE m_one SET i = 2"),
    "m_none": ("CREATE TABLE m_none AS SELECT 1 AS i", "", ""),
}
ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20);"


@begun(ORDERS + "".join(f"{base};" for base, _, _ in CASES.values()))
def sides(repo: Repo) -> None:
    """Branches a and b, which both changed orders and most of the derived tables."""
    repo("CALL epoch_derived('M_*')")
    repo.commit("what is derived")
    for name, amount in (("a", 1), ("b", 2)):
        repo(f"CALL epoch_checkout('main'); CALL epoch_checkout('{name}', new_branch := true)")
        repo(f"UPDATE orders SET amount = 0 WHERE id = {amount}")
        for case in CASES.values():
            repo(case[amount] or "SELECT 1")
        repo.commit(name)


def stale(repo: Repo, ref: str = "HEAD") -> list[str]:
    return [name for (name,) in repo("SELECT table_name FROM epoch_tables(?) WHERE is_stale ORDER BY ALL", ref)]


def held(repo: Repo, ref: str) -> dict[str, object]:
    """Every table and view of a commit, with its definition and its rows."""
    found = repo("SELECT table_name, kind FROM epoch_tables(?) ORDER BY ALL", ref)
    return {name: (kind, repo.columns(f"FROM epoch_at('{ref}', '{name}')"), repo.at(ref, name)) for name, kind in found}


@pytest.mark.core
@pytest.mark.grid(every=2)
@pytest.mark.parametrize(("ours", "theirs"), [("a", "b"), ("b", "a")])
@pytest.mark.slow
def test_what_both_changed_stays_ours(sides: Repo, ours: str, theirs: str) -> None:
    sides("CALL epoch_branch('merged', start := ?)", ours)
    preview = sides("FROM epoch_preview_merge(?, target := 'merged')", theirs)
    assert not any(sum(row[4:7]) for row in preview), "derived tables have no conflicts"
    result = sides.con.execute("CALL epoch_merge(?, target := 'merged')", [theirs])
    told = dict(zip([column[0] for column in result.description or ()], result.fetchall()[0], strict=True))
    mine, merged = held(sides, ours), held(sides, "merged")
    assert merged.pop("orders") == ("table", [("id", "INTEGER"), ("amount", "INTEGER")], [(1, 0), (2, 0)])
    assert merged.pop("m_one") == held(sides, "b")["m_one"], "which b alone changed"
    del mine["orders"], mine["m_one"]
    assert merged == mine
    tables = sorted(["m_one", *(name for name, (kind, *_) in merged.items() if kind == "table")])  # type: ignore[misc]
    assert stale(sides, "merged") == told["stale"] == tables
    assert {row[0] for row in preview if row[7]} == {*tables}
    assert stale(sides, ours) == []
    with opened(sides) as call, call.trying():
        assert is_as_recorded(call, call.commit("merged"))
    # Neither a strategy nor a squash changes that, and nothing is promoted stale where it was asked for.
    for options in ("strategy := 'theirs'", "squash := true"):
        sides("CALL epoch_branch('other', start := ?)", ours)
        sides(f"CALL epoch_merge(?, target := 'other', {options})", theirs)
        assert sides.tree("other") == sides.tree("merged"), options
        sides("CALL epoch_branch_delete('other', force := true)")
    before = sides.head()
    sides("CALL epoch_branch('other', start := ?)", ours)
    assert "m_bag" in sides.refused("CALL epoch_merge(?, target := 'other', require_fresh := true)", theirs)
    assert sides("FROM epoch_merges()") == [] and sides.head() == before
    assert sides("FROM epoch_fsck()") == []


REBUILD = "CREATE OR REPLACE TABLE m AS SELECT sum(amount) AS total FROM orders"


@begun(f"{ORDERS} {REBUILD}")
def shop(repo: Repo) -> None:
    """Main and dev, which both have a commit of their own; dev is checked out."""
    repo("CALL epoch_derived('m')")
    repo.commit("what is derived")
    repo("CALL epoch_checkout('dev', new_branch := true)")
    change(repo, 1)
    repo("CALL epoch_checkout('main')")
    change(repo, 2)
    repo("CALL epoch_checkout('dev')")


def change(repo: Repo, order: int, rebuild: bool = True) -> None:
    """A commit of another amount, and the total of it."""
    repo("UPDATE orders SET amount = amount + 1 WHERE id = ?", order)
    if rebuild:
        repo(REBUILD)
    repo.commit(f"order {order}")


def test_it_is_stale_until_it_is_rebuilt_and_committed(shop: Repo) -> None:
    shop("CALL epoch_merge('main')")
    assert shop.status() == [("m", "stale", 0, 0, 0)]
    # What follows inherits it, wherever it goes, and equal rows or another definition do not make it fresh.
    change(shop, 1, rebuild=False)
    shop("CREATE OR REPLACE TABLE m AS FROM m; COMMENT ON TABLE m IS 'total'")
    assert [row[1] for row in shop.status()] == ["schema", "stale"]
    shop.commit("a comment")
    shop("CALL epoch_checkout('later', new_branch := true)")
    assert stale(shop, "WORKING") == stale(shop) == ["m"]
    shop("CALL epoch_checkout('main'); CALL epoch_checkout('later')")
    assert stale(shop) == ["m"]
    shop.reopen()
    shop(REBUILD)
    assert [row[1] for row in shop.status()] == ["schema"]
    shop.commit("rebuilt")
    assert (shop.status(), stale(shop), stale(shop, "dev")) == ([], [], ["m"])
    # It was rebuilt on top of what the target has.
    assert shop.one("SELECT stale FROM epoch_merge('later', target := 'dev', require_fresh := true)") == []
    assert stale(shop, "dev") == []


def test_a_rebuild_with_equal_rows_is_confirmed(shop: Repo) -> None:
    shop("CALL epoch_merge('main')")
    tree = shop.tree()
    assert "no stale table is called 'x'" in shop.refused("CALL epoch_rebuilt('x')")
    assert shop("CALL epoch_rebuilt('M*')") == [("m",)]
    assert shop.status() == [("m", "rebuilt", 0, 0, 0)]
    assert "uncommitted changes in m" in shop.refused("CALL epoch_checkout('main')")
    assert "no stale table" in shop.refused("CALL epoch_rebuilt('m')")
    assert shop.commit("confirmed") == (1, 0, 0, 0)
    assert (shop.status(), stale(shop), shop.tree() == tree) == ([], [], False)
    # The confirmation is merged like any other change, and is lost with the working tables that it was about.
    shop(
        "CALL epoch_checkout('dev~1', force := true); CALL epoch_rebuilt('m'); CALL epoch_checkout('main', force := true)"
    )
    assert shop.status() == []
    assert "nothing to commit" in shop.refused("CALL epoch_commit('x')")


def test_a_side_that_brought_everything_has_it_fresh(shop: Repo) -> None:
    """Whether by a merge, a fast-forward, or where only a confirmation came in."""
    shop("CALL epoch_branch('behind', start := 'main~1'); CALL epoch_branch('forward', start := 'main~1')")
    shop("CALL epoch_merge('dev', target := 'behind')")
    shop("CALL epoch_merge('dev', target := 'forward', ff := true)")
    assert stale(shop, "behind") == stale(shop, "forward") == []
    # Only the other side has something new: what it has not rebuilt is as it has it.
    shop("CALL epoch_merge('main')")
    shop("CALL epoch_branch('topic'); CALL epoch_checkout('topic'); CALL epoch_rebuilt('m'); CALL epoch_commit('same')")
    shop("CALL epoch_merge('topic', target := 'dev')")
    assert (stale(shop, "dev"), stale(shop, "dev~1")) == ([], ["m"])
    # Unless the target has moved.
    shop("CALL epoch_checkout('main')")
    change(shop, 2)
    shop("CALL epoch_merge('topic')")
    assert stale(shop) == ["m"]
    assert shop.one("SELECT stale FROM epoch_merge('dev', target := 'main')") == ["m"]


@pytest.mark.slow
def test_undoing_and_picking(shop: Repo) -> None:
    fresh = shop.tree()
    shop("CALL epoch_merge('main')")
    merged = shop.tree()
    shop("CALL epoch_revert('HEAD')")
    assert (shop.tree(), stale(shop)) == (fresh, [])
    assert shop.one("SELECT stale FROM epoch_merge('main')") == ["m"], "promoted again"
    assert shop.tree() == merged
    shop("CALL epoch_reset('dev~3', hard := true)")
    assert shop.tree() == fresh
    assert shop.one("SELECT stale FROM epoch_cherry_pick('main')") == ["m"]
    # The older commit is undone below newer ones.
    assert shop.one("SELECT stale FROM epoch_revert('HEAD~1')") == ["m"]
    # A soft reset keeps the working tables, and so what is known of them.
    change(shop, 1)
    shop("CALL epoch_merge('main')")
    shop("CALL epoch_reset('HEAD~1')")
    assert [row[:2] for row in shop.status()] == [("m", "stale")]
    shop.commit("by hand")
    assert stale(shop) == ["m"]


@pytest.mark.slow
def test_a_stash_comes_back_as_it_was_or_stale(shop: Repo) -> None:
    shop("CALL epoch_merge('main'); CALL epoch_rebuilt('m'); CALL epoch_stash()")
    assert shop.status() == [("m", "stale", 0, 0, 0)]
    assert shop.one("SELECT stale FROM epoch_stash_pop()") == []
    assert shop.status() == [("m", "rebuilt", 0, 0, 0)]
    shop.commit("fresh")
    # Set aside with orders, and put back on other orders.
    shop("UPDATE orders SET amount = 100 WHERE id = 1")
    shop(REBUILD)
    shop("CALL epoch_stash()")
    change(shop, 2, rebuild=False)
    assert shop.one("SELECT stale FROM epoch_stash_pop()") == ["m"]
    shop.commit("put back")
    assert stale(shop) == ["m"]
    # What both changed stays as it is committed.
    shop(REBUILD)
    shop.commit("fresh")
    shop("UPDATE orders SET amount = 7 WHERE id = 1")
    shop(REBUILD)
    shop("CALL epoch_stash()")
    change(shop, 2)
    total = shop("FROM m")
    assert shop.one("SELECT stale FROM epoch_stash_pop()") == ["m"]
    assert (shop("FROM m"), [row[:2] for row in shop.status()]) == (total, [("m", "stale"), ("orders", "modified")])


@pytest.mark.slow
def test_patterns_are_a_part_of_a_commit(shop: Repo) -> None:
    assert shop("FROM epoch_derived_patterns()") == [("m",)]
    shop("CALL epoch_derived('extra_*')")
    shop("CALL epoch_derived('m', remove := true)")
    assert shop.status() == [("extra_*", "derived", 0, 0, 0), ("m", "derived", 0, 0, 0)]
    assert "uncommitted changes in extra_*, m" in shop.refused("CALL epoch_checkout('main')")
    shop("CALL epoch_stash()")
    assert (shop.status(), shop("FROM epoch_derived_patterns()")) == ([], [("m",)])
    shop("CALL epoch_stash_pop()")
    shop.commit("others")
    shop("CALL epoch_checkout('main'); CALL epoch_derived('b_*'); CALL epoch_derived('own')")
    assert shop("FROM epoch_derived_patterns()") == [("b_*",), ("m",), ("own",)]
    change(shop, 2)
    shop("CALL epoch_derived('later')")
    # A pattern that one side removed is gone, so that m is merged as a bag of rows.
    assert shop.one("SELECT stale FROM epoch_merge('dev')") == []
    assert shop("FROM m ORDER BY ALL") == [(31,), (32,)]
    assert shop("FROM epoch_derived_patterns()") == [("b_*",), ("extra_*",), ("later",), ("own",)]
    assert shop.status() == [("later", "derived", 0, 0, 0)]
    assert "did you mean later?" in shop.refused("CALL epoch_derived('latter', remove := true)")
    assert "on one line" in shop.refused("CALL epoch_derived(?)", "a\nb")


@pytest.mark.slow
def test_a_protected_branch_takes_no_stale_table(shop: Repo, tmp_path: Path) -> None:
    shop(
        "CALL epoch_protect('main', require_fresh := true); CALL epoch_remote_add('origin', ?)", str(tmp_path / "store")
    )
    shop("CALL epoch_push(); CALL epoch_push(branch := 'main')")
    told = shop.refused("CALL epoch_merge('dev', target := 'main')")
    assert "EpochProtectionError: the merge would leave m stale on main" in told
    assert "CALL epoch_merge('main'), rebuild, CALL epoch_commit('MESSAGE'), merge again" in told
    assert shop("FROM epoch_merges()") == []
    with pytest.raises(StaleTables) as caught, epoch_sql.raising(shop.con):
        shop("CALL epoch_merge('dev', target := 'main', squash := true)")
    assert (caught.value.tables, caught.value.branch, caught.value.exit_code) == (("m",), "main", 4)
    # Its own merge is refused wherever it would come in: by a fast-forward, a pull, a push.
    shop("CALL epoch_merge('main')")
    assert "stale on main" in shop.refused("CALL epoch_merge('dev', target := 'main', ff := true)")
    shop("CALL epoch_unprotect('main'); CALL epoch_merge('dev', target := 'main', ff := true)")
    assert "origin refuses the push: the merge would leave m stale on main" in shop.refused(
        "CALL epoch_push(branch := 'main')"
    )
    shop("CALL epoch_checkout('main'); CALL epoch_protect('main', require_fresh := true)")
    # Commits stay open.
    change(shop, 1, rebuild=False)
    assert stale(shop) == ["m"]
    change(shop, 1)
    shop("CALL epoch_push(branch := 'main')")
    # A clone has the patterns, what is stale, and what the branch is protected from.
    shop("CALL epoch_push(branch := 'dev')")
    with epoch_sql.connect(tmp_path / "clone.duckdb") as con:
        con.execute("CALL epoch_clone(?)", [str(tmp_path / "store")])
        assert con.execute("FROM epoch_derived_patterns()").fetchall() == [("m",)]
        assert con.execute(
            "SELECT is_derived, is_stale FROM epoch_tables('origin/dev') WHERE table_name = 'm'"
        ).fetchall() == [(True, True)]
        con.execute("CALL epoch_checkout('dev')")
        assert con.execute("FROM epoch_status()").fetchall() == [("m", "stale", 0, 0, 0)]
        assert con.execute("FROM epoch_fsck()").fetchall() == []
    with opened(shop) as call:
        assert Protections(call.cursor).get("main").require_fresh
