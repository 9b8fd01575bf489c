"""A bare clone: history and every verb that needs no working tables, with rows that are read where they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import epoch_sql
from epoch_sql import EpochError, Repository
from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, Serial, everything, sound

BARE = "is a bare clone: it has no working tables, and no branch is checked out"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a repository with two branches that differ."""
    folder = tmp_path_factory.mktemp("made")
    with epoch_sql.connect(folder / "shop.duckdb") as con:
        con.execute(f"{SHOP}; CREATE VIEW dear AS SELECT * FROM orders WHERE amount > 100; CALL epoch_init()")
        con.execute(
            "CALL epoch_branch('work'); UPDATE orders SET note = 'main' WHERE id = 3; CALL epoch_commit('main')"
        )
        con.execute("CALL epoch_checkout('work'); UPDATE orders SET amount = 0 WHERE id < 5")
        con.execute("DELETE FROM orders WHERE id = 99; INSERT INTO log VALUES (7); CALL epoch_commit('work')")
        con.execute("CALL epoch_remote_add('origin', ?)", [str(folder / "store")])
        con.execute("CALL epoch_push(branch := 'main'); CALL epoch_push(branch := 'work')")
    return folder / "store"


@pytest.fixture
def url(made: Path, tmp_path: Path) -> str:
    """A store of the test's own."""
    shutil.copytree(made, tmp_path / "store")
    return str(tmp_path / "store")


@pytest.fixture
def shop(clone: Clone, url: str) -> Repo:
    """A clone with tables."""
    return clone(url)


@pytest.fixture
def bare(url: str, tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "bare"
    folder.mkdir()
    with epoch_sql.clone(url, folder / "shop.duckdb", bare=True, author="Bo <bo@example.com>") as repo:
        yield repo


def files_here(bare: Repository) -> list[str]:
    [(path,)] = bare.connection.sql("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchall()
    return [path.stem for path in (Path(path).parent / ".epoch" / "objects").rglob("*.parquet")]


def test_it_has_the_history_and_no_rows(bare: Repository, shop: Repo) -> None:
    assert [one.commit for one in bare.log("work")] == [row[0] for row in shop("FROM epoch_log(ref := 'work')")]
    assert {branch.name for branch in bare.branches()} >= {"main", "work"}
    assert not any(branch.is_current for branch in bare.branches())
    assert bare.head().commit == bare.log("main")[0].commit
    assert bare.connection.sql("SELECT 1 FROM duckdb_tables() WHERE schema_name <> 'epoch'").fetchall() == []
    assert files_here(bare) == []
    assert bare.fsck() == []


def test_it_reads_what_a_clone_reads(bare: Repository, shop: Repo) -> None:
    for ref in ("main", "work", "main~1"):
        for table in ("orders", "log", "dear"):
            assert sorted(bare.at(ref, table).fetchall()) == sorted(shop.at(ref, table))
    query = "SELECT count(*), sum(amount) FROM orders"
    assert bare.query("work", query).fetchall() == shop("FROM epoch_query('work', ?)", query)
    assert bare.diff("main", "work", table="orders").fetchall() == shop(
        "FROM epoch_diff('main', 'work', table_name := 'orders')"
    )
    assert len(bare.history("orders", "3").fetchall()) == len(shop("FROM epoch_history('orders', '3', ref := 'main')"))


def test_a_merge_is_that_of_a_clone_and_can_be_pushed(bare: Repository, shop: Repo, clone: Clone, url: str) -> None:
    preview = bare.preview_merge("work", into="main")
    assert {one.table for one in preview} == {"orders", "log"}
    made = bare.merge("work", into="main", message="promote")
    assert (made.status, made.rows.total) == ("merged", 6)
    assert bare.push(branch="main").status == "pushed"
    shop("CALL epoch_merge('work')")
    other = clone(url)
    tree = "SELECT tree_id FROM epoch.commits JOIN epoch.refs USING (commit_id) WHERE kind = 'branch' AND name = 'main'"
    assert other(tree) == shop(tree)
    assert everything(other) == everything(shop)
    assert sound(other)
    assert bare.fsck() == []


def test_what_guards_a_branch_guards_it_here(bare: Repository) -> None:
    bare.protect("main", require_review=True)
    with pytest.raises(epoch_sql.EpochProtectionError, match="review"):
        bare.merge("work", into="main")
    bare.review("work", "main", reviewer="Cy <cy@example.com>")
    bare.check_add("no gifts", "SELECT * FROM orders WHERE amount = 0")
    with pytest.raises(epoch_sql.EpochCheckError, match="no gifts"):
        bare.merge("work", into="main")
    bare.check_remove("no gifts")
    assert bare.merge("work", into="main").status == "merged"


def test_conflicts_are_resolved_here(bare: Repository, shop: Repo) -> None:
    shop("CALL epoch_checkout('work'); UPDATE orders SET note = 'work' WHERE id = 3")
    shop.commit("clash")
    shop("CALL epoch_push(branch := 'work')")
    assert bare.fetch().moved == ["origin/work"]
    with pytest.raises(epoch_sql.EpochConflict):
        bare.merge("origin/work", into="main")
    assert len(bare.conflicts(into="main")) == 1
    bare.resolve("orders", "theirs", into="main")
    bare.merge_continue(into="main")
    assert bare.query("main", "SELECT note FROM orders WHERE id = 3").fetchall() == [("work",)]


WORKS: list[Callable[[Repository], Any]] = [
    lambda r: r.branch("topic", "work"),
    lambda r: r.tag("v1", "main"),
    lambda r: r.revert("main", into="main"),
    lambda r: r.cherry_pick("work", into="main"),
    lambda r: r.reset("main~1", into="main"),
    lambda r: r.reset("main~1", hard=True, into="main"),
    lambda r: r.changelog("main"),
    lambda r: r.patch("main", "work").fetchall(),
    lambda r: r.blame("orders", ref="work").fetchall(),
    lambda r: r.schema_diff("main", "work"),
    lambda r: r.diff_stat("main", "work"),
    lambda r: r.tables("work"),
    lambda r: r.check_run("work"),
    lambda r: r.fetch(),
    lambda r: r.gc(grace="0 days"),
    lambda r: r.compact(),
    lambda r: r.branch_rename("main", "trunk"),
    lambda r: r.remote_trust("origin"),
]

REFUSED: list[Callable[[Repository], Any]] = [
    lambda r: r.status(),
    lambda r: r.commit("x"),
    lambda r: r.checkout("work"),
    lambda r: r.checkout("work", force=True),
    lambda r: r.reset(hard=True),
    lambda r: r.reset("main~1"),
    lambda r: r.merge("work"),
    lambda r: r.merge_continue(),
    lambda r: r.revert("main"),
    lambda r: r.pull(),
    lambda r: r.stash(),
    lambda r: r.key("orders", ["id"]),
    lambda r: r.ignore("x_*"),
    lambda r: r.derived("x_*"),
    lambda r: r.rebuilt("orders"),
    lambda r: r.plan("work"),
    lambda r: r.check_run(),
    lambda r: r.import_files(["orders.csv"]),
    lambda r: r.worktree_add("elsewhere"),
    lambda r: r.at("WORKING", "orders").fetchall(),
    lambda r: r.diff_stat("main", "WORKING"),
]


def test_what_needs_no_working_tables_works(bare: Repository) -> None:
    for verb in WORKS:
        verb(bare)
        assert bare.fsck() == []


def test_what_needs_working_tables_is_refused_and_changes_nothing(bare: Repository) -> None:
    before = bare.log(all_refs=True), bare.branches()
    for verb in REFUSED:
        with pytest.raises(EpochError, match=BARE) as told:
            verb(bare)
        assert 'repo.merge("SOURCE", into="BRANCH")' in str(told.value) or "target := 'BRANCH'" in str(told.value)
    assert (bare.log(all_refs=True), bare.branches()) == before
    assert bare.fsck() == []


def test_what_it_stands_on_cannot_be_removed(bare: Repository) -> None:
    with pytest.raises(EpochError, match="the rows of this bare clone lie at origin"):
        bare.remote_remove("origin")
    with pytest.raises(EpochError, match="HEAD of this bare clone"):
        bare.branch_delete("main", force=True)


def test_a_clone_reads_no_row_and_a_merge_only_what_changed(url: str, tmp_path: Path) -> None:
    """The files of tables may be gone: a clone and a log do without, and a merge needs the two deltas."""
    (tmp_path / "bare").mkdir()
    store, aside = Path(url), tmp_path / "aside"
    (store / "objects").rename(aside)
    with epoch_sql.clone(url, tmp_path / "bare" / "shop.duckdb", bare=True) as bare:
        assert len(bare.log("main")) == 2
        files = bare.connection.sql(
            "SELECT file_id, level.kind FROM epoch.levels AS level, unnest(file_ids) AS f(file_id)"
        )
        for file_id, kind in files.fetchall():
            if kind == "delta":
                (store / "objects" / file_id[:2]).mkdir(parents=True, exist_ok=True)
                shutil.copy(aside / file_id[:2] / f"{file_id}.parquet", store / "objects" / file_id[:2])
        assert bare.merge("work", into="main").status == "merged"
        assert bare.diff_stat("main~1", "main")
        with pytest.raises(EpochError, match=r"parquet is missing; table orders needs it"):
            bare.at("main", "orders").fetchall()


@pytest.mark.slow
def test_of_a_bucket_only_what_is_read_is_fetched(
    make_repo: MakeRepo, s3: str, s3_server: tuple[str, Serial], tmp_path: Path, clone: Clone
) -> None:
    repo = make_repo(SHOP)
    repo("CALL epoch_branch('work'); UPDATE orders SET note = 'main' WHERE id = 3; CALL epoch_commit('main')")
    repo("CALL epoch_checkout('work')")
    repo("DELETE FROM orders WHERE id = 99; CALL epoch_commit('work')")
    repo("CALL epoch_remote_add('origin', ?)", s3)
    for branch in ("main", "work"):
        repo("CALL epoch_push(branch := ?)", branch)
    requests = s3_server[1].requests
    requests.clear()
    (tmp_path / "bare").mkdir()

    def fetched() -> int:
        return sum(method == "GET" and "/objects/" in path for method, path in requests)

    with epoch_sql.clone(s3, tmp_path / "bare" / "shop.duckdb", bare=True, author="Bo <bo@example.com>") as bare:
        assert bare.log("work") and bare.fsck() == []
        assert fetched() == 0
        bare.merge("work", into="main")
        assert fetched() == 2
        assert bare.push(branch="main").objects == 1
        assert bare.at("main", "orders").aggregate("count(*)").fetchall() == [(99,)]
        assert bare.at("main", "orders").aggregate("count(*)").fetchall() == [(99,)]
        assert fetched() == 3
        assert bare.fsck() == []
    assert sound(clone(s3))


def test_damage_at_the_store_is_found_where_it_is_read(bare: Repository, url: str) -> None:
    for path in (Path(url) / "objects").rglob("*.parquet"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    assert bare.log("work")
    for read in (
        lambda: bare.at("main", "orders").fetchall(),
        lambda: bare.merge("work", into="main"),
        lambda: bare.diff_stat("main", "work"),
    ):
        with pytest.raises(EpochError, match="corrupted: its content does not match its name"):
            read()
    assert len(bare.log("main")) == 2


def test_a_link_in_the_store_is_not_followed(bare: Repository, url: str, tmp_path: Path) -> None:
    for path in [*(Path(url) / "objects").rglob("*.parquet")]:
        moved = tmp_path / path.name
        path.rename(moved)
        path.symlink_to(moved)
    with pytest.raises(EpochError, match="is a link, and could lead out of it"):
        bare.at("main", "orders").fetchall()


def test_a_store_that_is_away_is_named(bare: Repository, url: str) -> None:
    Path(url).rename(Path(url).with_name("away"))
    assert len(bare.log("main")) == 2
    with pytest.raises(EpochError, match="cannot be used"):
        bare.at("main", "orders").fetchall()
    with pytest.raises(EpochError, match="cannot be used"):
        bare.merge("work", into="main")
    Path(url).with_name("away").rename(Path(url))
    assert bare.merge("work", into="main").status == "merged"


def test_sql_of_a_stranger_does_not_run(make_repo: MakeRepo, tmp_path: Path) -> None:
    url = str(tmp_path / "other")
    repo = make_repo(SHOP)
    repo(f"CREATE VIEW spy AS SELECT * FROM read_text('{tmp_path}/*')")
    repo.commit("spy")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    (tmp_path / "bare").mkdir()
    with pytest.warns(epoch_sql.EpochWarning, match="kept as data|trust remote"):
        bare = epoch_sql.clone(url, tmp_path / "bare" / "shop.duckdb", bare=True)
    with bare, pytest.raises(epoch_sql.EpochTrustError):
        bare.at("main", "spy").fetchall()
