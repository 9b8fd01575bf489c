"""Do worktrees share what is committed, keep apart what is not, and lose nothing?"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.linked import syncing
from epoch_sql.model.worktrees import Record, record_document
from tests.conftest import MakeRepo, Repo, begun

SHOP = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders SELECT i, i FROM range(100) r(i);"
    "CREATE TABLE log (line VARCHAR); INSERT INTO log VALUES ('a'), ('a');"
    "CREATE VIEW total AS SELECT sum(amount) AS total FROM orders"
)


@begun(SHOP)
def shop(repo: Repo) -> None:
    """Two commits, a tag, and a branch production."""
    repo("CALL epoch_tag('v1'); CALL epoch_branch('production'); CALL epoch_ignore('scratch_*')")
    repo("UPDATE orders SET amount = 1000 WHERE id = 1")
    repo.commit("second")


def added(shop: Repo, folder: Path, arguments: str = "") -> Repo:
    """A worktree that the repository adds."""
    ((path,),) = shop(f"SELECT path FROM epoch_worktree_add(?{arguments})", str(folder))
    return Repo(Path(path))


def sound(*repos: Repo) -> bool:
    """Whether nothing is damaged, in what each has."""
    return not any(repo("FROM epoch_fsck()") for repo in repos)


def state(repo: Repo) -> list[Any]:
    """What a repository has of history: every branch with its commits, and every row of each."""
    branches = [row[0] for row in repo("SELECT name FROM epoch_branches() ORDER BY name")]
    return [
        (name, repo("SELECT commit_id FROM epoch_log(?)", name), repo("FROM epoch_at(?, 'orders') ORDER BY id", name))
        for name in branches
    ]


@pytest.mark.core
def test_a_worktree_begins_with_everything(shop: Repo, tmp_path: Path) -> None:
    before = state(shop)
    nightly = added(shop, tmp_path / "nightly")
    assert nightly("SELECT branch FROM epoch_head()") == [("nightly",)]
    assert nightly.status() == []
    assert nightly("FROM orders ORDER BY id") == shop("FROM orders ORDER BY id")
    assert nightly("FROM total") == shop("FROM total")
    assert [row for row in state(nightly) if row[0] != "nightly"] == before
    assert nightly("SELECT count(*) FROM epoch_diff('v1', 'main', table_name := 'orders')") == [(1,)]
    assert nightly("FROM epoch_ignored()") == [("scratch_*",)]
    assert nightly("SELECT name FROM epoch_tags()") == [("v1",)]
    assert not (tmp_path / "nightly" / ".epoch" / "objects").exists()
    assert sound(shop, nightly)
    nightly.close()


@pytest.mark.core
def test_a_worktree_knows_the_hashes_of_large_tables(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO big SELECT i, i FROM range(200000) r(i)"
    )
    repo("CREATE TABLE small (id INTEGER); UPDATE big SET v = 0 WHERE id = 5; CALL epoch_commit('two')")
    repo("UPDATE big SET v = 1 WHERE id = 6; INSERT INTO small VALUES (1)")
    beside = added(repo, tmp_path / "beside")
    hashes = "SELECT table_id, version_id, row_count, checksum, buckets FROM epoch.fingerprints ORDER BY ALL"
    sums = "SELECT table_id, bucket, sum(checksum) FROM epoch.buckets GROUP BY ALL ORDER BY ALL"
    assert beside(hashes) == repo(hashes) and len(beside(sums)) > 1000
    assert beside(sums) == repo(sums)
    assert beside.status() == []
    beside("UPDATE big SET v = -1 WHERE id = 7; DELETE FROM big WHERE id = 8")
    assert beside.commit("beside") == (1, 0, 1, 1)
    beside("CALL epoch_checkout('old', new_branch := true); CALL epoch_reset('HEAD~2', hard := true)")
    assert beside.one("SELECT v FROM big WHERE id = 5") == 5 and beside.status() == []
    beside.close()


@pytest.mark.core
def test_commits_reach_each_other_and_a_build_is_promoted(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly", ", branch := 'production', new_branch := 'build'")
    # Half-built tables are seen by nobody else.
    nightly(
        "UPDATE orders SET amount = 0 WHERE id BETWEEN 10 AND 19; CREATE TABLE totals AS SELECT sum(amount) AS s FROM orders"
    )
    assert shop("SELECT count(*) FROM orders WHERE amount = 0") == [(1,)]
    nightly.commit("build")
    shop("UPDATE orders SET amount = 77 WHERE id = 50")
    shop.commit("third")
    assert shop("SELECT message FROM epoch_log('build') LIMIT 1") == [("build",)]
    ((status, commit),) = shop("SELECT status, commit_id FROM epoch_merge('build', target := 'production')")
    assert status == "merged"
    assert nightly("CALL epoch_merge('main')")[0][0] == "merged"
    assert nightly.one("SELECT amount FROM orders WHERE id = 50") == 77
    assert nightly.one("SELECT commit_id FROM epoch_branches() WHERE name = 'production'") == commit
    assert shop("CALL epoch_checkout('production')")
    assert shop("FROM totals") == nightly("FROM epoch_at('production', 'totals')")
    nightly.reopen()
    shop.reopen()
    assert state(nightly) == state(shop)
    assert sound(shop, nightly)
    nightly.close()


@pytest.mark.slow
def test_two_worktrees_see_each_other(shop: Repo, tmp_path: Path) -> None:
    one, two = added(shop, tmp_path / "one"), added(shop, tmp_path / "two")
    one("INSERT INTO orders VALUES (1001, 1)")
    one.commit("one")
    two("CALL epoch_branch('again')")
    assert two("SELECT message FROM epoch_log('one') LIMIT 1") == [("one",)]
    two("CALL epoch_merge('one')")
    one("CALL epoch_merge('two')")
    shop("CALL epoch_merge('two', target := 'main')")
    assert state(one)[:1] == state(two)[:1]
    assert [row[1:3] for row in one("FROM epoch_worktrees()")] == [row[1:3] for row in two("FROM epoch_worktrees()")]
    assert sound(shop, one, two)
    one.close()
    two.close()


MOVES = (
    "epoch_checkout('{}')",
    "epoch_branch_delete('{}', force := true)",
    "epoch_branch_rename('{}', 'other')",
    "epoch_merge('ahead', target := '{}')",
    "epoch_merge('ahead', target := '{}', ff := true)",
)


def test_a_branch_moves_only_where_it_belongs(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    shop("CALL epoch_checkout('ahead', new_branch := true); INSERT INTO log VALUES ('ahead')")
    shop.commit("ahead")
    shop("CALL epoch_checkout('main')")
    nightly.reopen()
    before = state(shop)
    theirs, here = str(tmp_path / "nightly" / shop.path.name), str(shop.path)
    for repo, branch, how, path in (
        (shop, "nightly", "is checked out in", theirs),
        (nightly, "main", "is checked out in", here),
        (nightly, "production", "belongs to", here),
    ):
        for move in MOVES:
            refused = repo.refused(f"CALL {move.format(branch)}")
            assert f"branch {branch} {how} the worktree {path}" in refused, move
            assert "epoch_branch('NAME'" in refused
    assert state(shop) == state(nightly) == before
    # Each moves its own.
    nightly("CALL epoch_reset('HEAD~1', hard := true); CALL epoch_checkout('topic', new_branch := true)")
    assert "belongs to" in shop.refused("CALL epoch_checkout('nightly')")
    assert "is checked out" in shop.refused("CALL epoch_checkout('topic')")
    nightly.close()


@pytest.mark.slow
def test_what_cannot_be_added(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    shop("CALL epoch_branch('behind', start := 'v1')")
    before = (state(shop), shop("FROM epoch_worktrees()"))
    for arguments, told in {
        (tmp_path / "full", "NULL"): "is not an empty folder",
        (tmp_path / "full" / "file", "NULL"): "is not an empty folder",
        (shop.path.parent / ".epoch" / "x", "NULL"): "Epoch's own",
        (tmp_path / "x", "'main'"): "is checked out in",
        (tmp_path / "x", "'nightly'"): "is checked out in the worktree",
        (tmp_path / "x", "'nothing'"): "there is no branch nothing",
        (tmp_path / "bad name.lock", "NULL"): "EpochReferenceError",
    }.items():
        assert told in shop.refused(f"CALL epoch_worktree_add(?, branch := {arguments[1]})", str(arguments[0])), (
            arguments
        )
    assert "is a linked worktree" in nightly.refused("CALL epoch_worktree_add(?)", str(tmp_path / "x"))
    (tmp_path / "closed").mkdir(mode=0o500)
    if not _is_root():
        assert "cannot make the worktree" in shop.refused("CALL epoch_worktree_add(?)", str(tmp_path / "closed" / "x"))
    assert (state(shop), shop("FROM epoch_worktrees()")) == before
    assert not (tmp_path / "x").exists()
    nightly.close()


def _is_root() -> bool:
    import os

    return os.getuid() == 0


def test_a_removed_worktree_leaves_its_branches(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    nightly("INSERT INTO orders VALUES (1001, 1)")
    remove = "CALL epoch_worktree_remove(?)"
    assert "is open in this program" in shop.refused(remove, str(tmp_path / "nightly"))
    nightly.close()
    assert "uncommitted changes in orders" in shop.refused(remove, str(tmp_path / "nightly"))
    nightly = Repo(nightly.path)
    nightly("CALL epoch_stash()")
    nightly.close()
    assert "1 stashes" in shop.refused(remove, str(tmp_path / "nightly"))
    nightly = Repo(nightly.path)
    nightly("CALL epoch_stash_pop()")
    nightly.commit("night")
    nightly("CALL epoch_branch('topic')")
    nightly.close()
    shop(remove, str(nightly.path))
    assert not (tmp_path / "nightly").exists()
    assert shop("SELECT path, status FROM epoch_worktrees()") == [(str(shop.path), "here")]
    shop("CALL epoch_checkout('nightly', force := true)")
    assert shop.one("SELECT amount FROM orders WHERE id = 1001") == 1
    shop("CALL epoch_branch_delete('topic')")
    shop("CALL epoch_gc(grace := '0 days')")
    assert sound(shop)
    assert "is not a worktree" in shop.refused(remove, str(tmp_path / "nightly"))


def test_gone_moved_and_copied_worktrees_are_told(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    nightly("INSERT INTO orders VALUES (1001, 1)")
    nightly.commit("night")
    nightly.close()
    (tmp_path / "nightly").rename(tmp_path / "moved")
    assert [row[4] for row in shop("FROM epoch_worktrees()")] == ["here", "gone"]
    assert "is gone, so nobody knows what it needs" in shop.refused("CALL epoch_gc(grace := '0 days')")
    # Once it is used at its new place, the others know it there.
    moved = Repo(tmp_path / "moved" / shop.path.name)
    shop("CALL epoch_branch('other')")
    assert [(row[0], row[4]) for row in shop("FROM epoch_worktrees()")][1] == (str(moved.path), "there")
    moved.close()
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    copy = Repo(tmp_path / "copy" / shop.path.name)
    assert "is a copy of the worktree" in copy.refused("CALL epoch_branch('x')")
    copy.close()
    shutil.rmtree(tmp_path / "moved")
    shutil.rmtree(tmp_path / "copy")
    shop("CALL epoch_worktree_remove(?)", str(tmp_path / "moved"))
    assert shop("CALL epoch_checkout('nightly', force := true)")
    assert shop.one("SELECT amount FROM orders WHERE id = 1001") == 1
    shop("CALL epoch_gc(grace := '0 days')")
    assert sound(shop)


@pytest.mark.slow
def test_a_forgotten_worktree_changes_nothing_any_more(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    nightly.close()
    (tmp_path / "nightly").rename(tmp_path / "hidden")
    shop("CALL epoch_worktree_remove(?)", str(tmp_path / "nightly"))
    hidden = Repo(tmp_path / "hidden" / shop.path.name)
    assert "is no longer a worktree of" in hidden.refused("CALL epoch_branch('x')")
    hidden.close()
    shop.close()
    shop.path.parent.rename(tmp_path / "elsewhere")
    hidden = Repo(tmp_path / "hidden" / shop.path.name)
    assert "to which the worktree" in hidden.refused("CALL epoch_branch('x')")
    hidden.close()


def test_a_copy_of_the_main_one_has_no_worktrees(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    shop.close()
    shutil.copytree(shop.path.parent, tmp_path / "copy")
    nightly("INSERT INTO orders VALUES (1001, 1)")
    nightly.commit("night")
    nightly.close()
    copy = Repo(tmp_path / "copy" / shop.path.name)
    assert [row[4] for row in copy("FROM epoch_worktrees()")] == ["here", "gone"]
    copy("CALL epoch_worktree_remove(?)", str(nightly.path))
    copy("CALL epoch_checkout('nightly'); CALL epoch_gc(grace := '0 days')")
    copy.close()
    shop, nightly = Repo(shop.path), Repo(nightly.path)
    assert shop("CALL epoch_merge('nightly')")
    assert shop.one("SELECT amount FROM orders WHERE id = 1001") == 1
    assert sound(shop, nightly)
    shop.close()
    nightly.close()


@pytest.mark.grid(every=2)
@pytest.mark.parametrize("collects", ["main", "linked"])
def test_gc_keeps_what_other_worktrees_need(shop: Repo, tmp_path: Path, collects: str) -> None:
    nightly = added(shop, tmp_path / "nightly")
    for repo, key in ((shop, 1001), (nightly, 2001)):
        repo("INSERT INTO orders VALUES (?, 1)", key)
        repo("CALL epoch_stash()")
        repo("INSERT INTO orders VALUES (?, 2)", key + 1)
        repo.commit("mine")
        repo("CALL epoch_checkout(?, new_branch := true)", f"gone{key}")
        repo("INSERT INTO log VALUES ('gone')")
        repo.commit("gone")
        repo("CALL epoch_checkout(?)", "main" if repo is shop else "nightly")
        repo("CALL epoch_branch_delete(?, force := true)", f"gone{key}")
        repo("CALL epoch_compact()")
    # Commits that only one of them has taken in so far are in the exchange.
    nightly("UPDATE orders SET amount = 55 WHERE id = 5")
    nightly.commit("not taken in yet")
    one, other = (shop, nightly) if collects == "main" else (nightly, shop)
    assert "cannot be read now" in one.refused("CALL epoch_gc(grace := '0 days')")
    other.close()
    one("CALL epoch_gc(grace := '0 days')")
    other = Repo(other.path)
    assert sound(one, other)
    assert other("CALL epoch_stash_pop()")
    other.close()
    one("CALL epoch_gc(grace := '0 days')")
    other = Repo(other.path)
    one.reopen()
    assert sound(one, other)
    assert state(one) == state(other)
    other.close()


def test_nothing_in_the_exchange_is_believed(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    nightly("INSERT INTO orders VALUES (1001, 1)")
    nightly.commit("night")
    nightly.close()
    exchange = shop.path.parent / ".epoch" / "exchange"
    [record] = [p for p in (exchange / "worktrees").iterdir() if str(nightly.path) in p.read_text()]
    commits = sorted((exchange / "commits").iterdir())
    good, before = {path: path.read_bytes() for path in (record, *commits)}, state(shop)
    tip = commits[0].stem
    for path, data in (
        (record, b"{"),
        (record, good[record].replace(b"nightly", b"n\\u0000ght", 1)),
        (record, record_document(Record(record.stem, str(nightly.path), {"a..b": tip}))),
        (record, record_document(Record("0" * 32, str(nightly.path), {"x": tip}))),
        (record, record_document(Record(record.stem, str(nightly.path), {"nightly": "0" * 64}, "nightly"))),
        (commits[0], good[commits[0]].replace(b"night", b"knight", 1)),
        (commits[0], b"\xff" * 99),
    ):
        path.write_bytes(data)
        shop.reopen()
        assert any("nothing is taken in from the worktree" in text for text in warned(shop)), data
        assert state(shop) == before
        path.write_bytes(good[path])
    stranger = Record("f" * 32, "/tmp", {"evil": shop.head()}, "evil", ())
    (exchange / "worktrees" / f"{'f' * 32}.json").write_bytes(record_document(stranger))
    claims = {"main": tip, "production": tip, "nightly": tip}
    record.write_bytes(record_document(Record(record.stem, "/etc", claims, "main")))
    shop.reopen()
    assert any("branch main of the worktree" in text for text in warned(shop))
    assert [row[:2] for row in state(shop) if row[0] != "nightly"] == [row[:2] for row in before if row[0] != "nightly"]
    assert shop.one("SELECT amount FROM epoch_at('nightly', 'orders') WHERE id = 1001") == 1
    assert str(nightly.path) in [row[0] for row in shop("FROM epoch_worktrees()")]
    assert sound(shop)


def warned(repo: Repo) -> list[str]:
    """The warnings of a call."""
    found = list(repo.one("SELECT warnings FROM epoch_branch('passing')"))
    repo("CALL epoch_branch_delete('passing')")
    return found


def test_definitions_that_reach_outside_are_data_until_they_are_trusted(shop: Repo, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("n\n1\n")
    nightly = added(shop, tmp_path / "nightly")
    nightly(f"CREATE VIEW outside AS SELECT * FROM read_csv('{tmp_path}/in.csv')")
    nightly.commit("a view")
    nightly.close()
    assert any("is kept as data" in text for text in warned(shop)) or shop("FROM epoch.untrusted")
    shop("CALL epoch_merge('nightly')")
    assert not shop("FROM duckdb_views() WHERE view_name = 'outside'")
    shop("CALL epoch_remote_trust(?)", str(nightly.path))
    assert shop("FROM outside") == [(1,)]


@pytest.mark.slow
def test_branches_of_one_name_are_both_kept(shop: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nightly = added(shop, tmp_path / "nightly")
    with monkeypatch.context() as unaware:
        # Both at once: neither has read what the other told.
        unaware.setattr(syncing, "_follow", lambda *_: [])
        nightly("INSERT INTO orders VALUES (1001, 1); CALL epoch_commit('night'); CALL epoch_branch('topic')")
        shop("CALL epoch_branch('topic', start := 'v1')")
    shop.reopen()
    nightly.reopen()
    assert any("branch topic of the worktree" in text for text in warned(shop))
    assert nightly.one("SELECT count(*) FROM epoch_at('topic', 'orders')") == 101
    assert shop.one("SELECT count(*) FROM epoch_at('topic', 'orders')") == 100
    nightly.close()
    shop("CALL epoch_worktree_remove(?)", str(nightly.path))
    assert shop.one("SELECT count(*) FROM epoch_at('topic-nightly', 'orders')") == 101
    assert sound(shop)


@pytest.mark.slow
def test_what_add_does_for_history_is_as_many_statements_for_any(make_repo: MakeRepo, tmp_path: Path) -> None:
    """It copies whole tables of the catalog, and no object: with more history there are no more steps."""
    repo, counts = make_repo(SHOP), []
    for number in (0, 1, 2):
        for change in range(4):
            repo("UPDATE orders SET amount = ? WHERE id = ?", -1 - change, number)
            repo.commit(str(change))
        objects, calls = sorted((repo.path.parent / ".epoch" / "objects").rglob("*")), 0

        def counting(frame: Any, event: str, _: Any) -> None:
            nonlocal calls
            calls += event == "call" and "/epoch_sql/linked/" in frame.f_code.co_filename

        repository = epoch_sql.open(repo.path)
        sys.setprofile(counting)
        try:
            repository.worktree_add(str(tmp_path / f"w{number}"), new_branch=f"w{number}")
        finally:
            sys.setprofile(None)
            repository.close()
        assert sorted((repo.path.parent / ".epoch" / "objects").rglob("*")) == objects
        counts.append(calls)
        repo("CALL epoch_worktree_remove(?)", str(tmp_path / f"w{number}"))
        repo(f"CALL epoch_branch_delete('w{number}')")
    assert counts[1] == counts[2]


@pytest.mark.slow
def test_another_program_builds_while_this_one_works(shop: Repo, tmp_path: Path) -> None:
    nightly = added(shop, tmp_path / "nightly")
    nightly.close()
    program = (
        "import epoch_sql, sys; repo = epoch_sql.open(sys.argv[1], author='Bo <b@x>')\n"
        "for n in range(5):\n"
        "    repo.connection.execute('UPDATE orders SET amount = amount + 1'); repo.commit(f'build {n}')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(nightly.path)]) as builder:
        number = 0
        while builder.poll() is None:
            number += 1
            shop("INSERT INTO log VALUES (?)", str(number))
            shop.commit(f"work {number}")
    assert builder.returncode == 0
    shop("CALL epoch_merge('nightly', target := 'main')")
    assert shop.one("SELECT amount FROM orders WHERE id = 2") == 7
    assert shop.one("SELECT count(*) FROM log") == 2 + number
    assert len(shop("FROM epoch_log('nightly')")) == 7
    assert sound(shop)


def test_a_plain_database_pays_nothing(repo: Repo) -> None:
    repo("CALL epoch_branch('b')")
    assert not (repo.path.parent / ".epoch" / "exchange").exists()
    with duckdb.connect():
        assert [row[3:] for row in repo("FROM epoch_worktrees()")] == [("main", "here")]


@pytest.mark.slow
def test_what_a_worktree_costs(make_repo: MakeRepo, tmp_path: Path) -> None:
    """As much as DuckDB takes to load the tables, and a little more, whatever the history."""
    repo = make_repo("CREATE TABLE t AS SELECT i, i * 7 AS v, 'text ' || i AS s FROM range(300_000) AS r (i)")
    repo("CALL epoch_key('t', ['i'])")
    spent = []

    def add(number: int) -> float:
        start = process_time()
        repo("CALL epoch_worktree_add(?, new_branch := ?)", str(tmp_path / f"w{number}"), f"w{number}")
        return process_time() - start

    for number in range(2):
        spent.append(add(number))
        repo("UPDATE t SET v = 0 WHERE i = ?", number)
        repo.commit()
    data = tmp_path / "t.parquet"
    repo(f"COPY t TO '{data}' (FORMAT parquet)")
    loads = []
    for number in range(2):
        start = process_time()
        with duckdb.connect(str(tmp_path / f"loaded{number}.duckdb")) as con:
            con.execute(f"CREATE TABLE t AS FROM '{data}'")
        loads.append(process_time() - start)
    for number in range(20):
        repo("CALL epoch_commit(?, allow_empty := true)", f"empty {number}")
    later = add(2)
    assert min(spent) < 2 * min(loads) + 1
    assert later < 1.5 * min(spent) + 0.3
    assert Repo(tmp_path / "w2" / repo.path.name)("SELECT count(*), sum(v) FROM t") == repo(
        "SELECT count(*), sum(v) FROM t"
    )
