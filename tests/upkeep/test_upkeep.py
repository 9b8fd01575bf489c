"""``epoch_gc``, ``epoch_fsck`` and ``epoch_compact``: what they remove, find and rewrite, and what they leave alone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql.config import set_value
from tests.conftest import MakeRepo, Repo, Row

WithHistory = Callable[[], Repo]

NOW = "grace := INTERVAL 0 SECOND"
START = """
    CREATE TABLE orders (id INTEGER PRIMARY KEY, amount DECIMAL(10, 2), note VARCHAR, ratio DOUBLE);
    INSERT INTO orders SELECT i, i * 1.5, 'n' || i, CASE i % 3 WHEN 0 THEN -0.0 WHEN 1 THEN 'nan'::DOUBLE ELSE i END
    FROM range(400) AS r(i);
    CREATE TABLE events (kind INTEGER, text VARCHAR);
    INSERT INTO events SELECT i % 7, 'x' || (i % 3) FROM range(60) AS r(i);
    CREATE TABLE empty (i INTEGER);
    CREATE SCHEMA odd;
    CREATE TABLE odd."x ""y" ("select" INTEGER, "🦆 a.b" VARCHAR, PRIMARY KEY ("select"));
    INSERT INTO odd."x ""y" VALUES (1, NULL), (2, 'Ä');
"""


def objects(repo: Repo) -> dict[str, Path]:
    """The files in the object store, by name."""
    return {path.stem: path for path in (repo.path.parent / ".epoch" / "objects").glob("*/*.parquet")}


def named_files(repo: Repo) -> set[str]:
    return {row[0] for row in repo("SELECT file_id FROM epoch.files")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository with small changes of every kind, on two branches, with a tag and a stash."""
    repo = Repo(tmp_path_factory.mktemp("history") / "shop.duckdb")
    repo(START)
    repo("CALL epoch_init()")
    for n in range(3):
        repo(f"UPDATE orders SET amount = amount + 1 WHERE id % 100 = {n}")
        repo(f"DELETE FROM orders WHERE id = {n + 200}")
        repo(f"INSERT INTO events VALUES ({n}, NULL), ({n}, NULL)")
        repo.commit(f"change {n}")
    repo("CALL epoch_tag('v1', 'HEAD~1')")
    repo("CALL epoch_checkout('development', new_branch := true)")
    repo("ALTER TABLE orders ADD COLUMN checked BOOLEAN DEFAULT true")
    repo("""UPDATE odd."x ""y" SET "🦆 a.b" = '''"' WHERE "select" = 1""")
    repo("ALTER TABLE orders DROP COLUMN note")
    repo("CREATE VIEW totals AS SELECT sum(amount) AS total FROM orders")
    repo.commit("new definitions")
    repo("UPDATE orders SET checked = NULL WHERE id = 5")
    repo("CALL epoch_stash('later')")
    repo.close()
    return repo.path.parent


@pytest.fixture
def with_history(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Repo]]:
    """Copies of that repository."""
    monkeypatch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
    opened: list[Repo] = []

    def copied() -> Repo:
        folder = tmp_path / f"copy{len(opened)}"
        opened.append(Repo(shutil.copytree(made, folder) / "shop.duckdb"))
        return opened[-1]

    yield copied
    for repo in opened:
        repo.close()


def observed(repo: Repo) -> dict[str, list[Row]]:
    """Everything that can be read from a repository, but for how many bytes its tables take."""
    seen: dict[str, list[Row]] = {}
    for query in (
        "SELECT * FROM epoch_log('main')",
        "SELECT * FROM epoch_log('development', table_name := 'orders')",
        "SELECT * FROM epoch_branches() ORDER BY ALL",
        "SELECT * FROM epoch_tags()",
        "SELECT * FROM epoch_reflog()",
        "SELECT * EXCLUDE (bytes) FROM epoch_tables('main')",
        "SELECT * FROM epoch_status()",
        "SELECT stash_id, tables_changed FROM epoch_stashes()",
    ):
        seen[query] = repo(query)
    commits = [row[0] for row in repo("SELECT commit_id FROM epoch.commits ORDER BY sequence")]
    for before, after in [
        *pairwise(commits),
        (commits[0], commits[-1]),
        ("development", "WORKING"),
    ]:
        for function in ("epoch_diff", "epoch_diff_stat", "epoch_diff_summary", "epoch_schema_diff"):
            # As text: NaN does not equal itself in Python.
            seen[f"{function} {before} {after}"] = repo(
                f"SELECT d::VARCHAR FROM {function}(?, ?) AS d ORDER BY ALL", before, after
            )
    for commit in commits:
        for table in ("orders", "events", "empty", 'odd.x "y'):
            seen[f"{table} at {commit}"] = repo(
                "SELECT t::VARCHAR FROM epoch_at(?, ?) AS t ORDER BY ALL", commit, table
            )
    return seen


class TestCompact:
    def test_rewrites_every_branch_head_into_one_file_and_changes_nothing_that_can_be_read(
        self, with_history: WithHistory
    ) -> None:
        repo = with_history()
        before = observed(repo)
        rows = repo("SELECT table_name, branches, row_count, files_before > 1, files_after FROM epoch_compact()")
        assert rows == [
            ("events", ["development", "main"], 66, True, 1),
            ("orders", ["development"], 397, True, 1),
            ("orders", ["main"], 397, True, 1),
        ]
        assert observed(repo) == before
        assert repo("CALL epoch_fsck()") == []
        assert repo("CALL epoch_compact()") == []

    @pytest.mark.slow
    def test_what_follows_is_as_if_nothing_had_happened(self, with_history: WithHistory) -> None:
        plain, compacted = with_history(), with_history()
        compacted("CALL epoch_compact()")
        for repo in (plain, compacted):
            repo("CALL epoch_stash_pop()")
            repo.commit("stashed")
            repo("CALL epoch_checkout('main')")
            repo("UPDATE orders SET amount = 0 WHERE id = 7")
            repo.commit("on main")
            repo("CALL epoch_reset('v1', hard := true)")
            repo("UPDATE orders SET amount = 1 WHERE id = 9")
            repo.commit("after v1")
        for ref in ("main", "development", "v1"):
            assert plain.tree(ref) == compacted.tree(ref)
            assert plain.at(ref, "events") == compacted.at(ref, "events")
        assert compacted("CALL epoch_fsck()") == []

    def test_differences_across_it_still_read_deltas_only(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE TABLE t AS SELECT i, i AS v FROM range(5000) AS r(i)")
        for n in range(3):
            repo(f"UPDATE t SET v = -1 WHERE i = {n}")
            repo.commit()
        repo("CALL epoch_compact()")
        repo("UPDATE t SET v = -1 WHERE i = 100")
        repo.commit()
        for collected in (False, True):
            if collected:
                repo(f"CALL epoch_gc({NOW})")
            bases = {row[0] for row in repo("SELECT unnest(file_ids) FROM epoch.levels WHERE kind = 'base'")}
            plan = repo("EXPLAIN ANALYZE FROM epoch_diff('HEAD~4', 'HEAD', table_name := 't')")[0][1]
            assert repo("SELECT count(*) FROM epoch_diff('HEAD~4', 'HEAD', table_name := 't')") == [(8,)]
            assert not any(base in plan for base in bases)

    def test_one_table_on_every_branch(self, with_history: WithHistory) -> None:
        repo = with_history()
        assert {row[0] for row in repo("CALL epoch_compact('MAIN.Events')")} == {"events"}
        assert {row[0] for row in repo("CALL epoch_compact()")} >= {"orders"}

    def test_a_table_that_no_branch_has(self, make_repo: MakeRepo) -> None:
        message = make_repo(START).refused("CALL epoch_compact('ordes')")
        assert "EpochTableError: there is no table ordes in any branch (hint: did you mean orders?)" in message

    def test_status_stays_fast_and_right(self, with_history: WithHistory) -> None:
        repo = with_history()
        repo("CALL epoch_compact()")
        known = repo(
            "SELECT count(*) FROM epoch.fingerprints AS f JOIN epoch.versions AS v USING (version_id) "
            "WHERE len(v.level_ids) = 1"
        )
        assert known == [(4,)]
        repo("UPDATE orders SET amount = amount + 1 WHERE id = 3")
        assert repo.status() == [("orders", "modified", 0, 1, 0)]

    def test_damaged_rows_are_not_made_the_truth(self, with_history: WithHistory) -> None:
        repo = with_history()
        repo("UPDATE epoch.versions SET fingerprint = repeat('0', 32) WHERE len(level_ids) > 1")
        before = repo("SELECT commit_id, root_id FROM epoch.commits ORDER BY ALL")
        assert "does not hold the rows that its commit says" in repo.refused("CALL epoch_compact()")
        assert repo("SELECT commit_id, root_id FROM epoch.commits ORDER BY ALL") == before


class TestGc:
    def test_nothing_to_remove(self, with_history: WithHistory) -> None:
        repo = with_history()
        files = objects(repo)
        assert repo(f"CALL epoch_gc({NOW})") == []
        assert objects(repo) == files

    def test_removes_what_a_reset_dropped_once_it_is_old_enough(self, make_repo: MakeRepo) -> None:
        repo = make_repo(START)
        repo("CALL epoch_branch('development')")
        repo("UPDATE orders SET amount = 0 WHERE id = 1")
        repo.commit("dropped")
        dropped = repo.head()
        repo("CALL epoch_reset('HEAD~1', hard := true)")
        assert repo("CALL epoch_gc()") == []
        assert repo.tree(dropped)

        told = repo(f"CALL epoch_gc(dry_run := true, {NOW})")
        assert repo.tree(dropped)
        assert named_files(repo) == objects(repo).keys()
        assert {(kind, description) for kind, _, _, description in told if kind == "commit"} == {("commit", "dropped")}
        assert {kind for kind, *_ in told} == {"commit", "tree", "version", "level", "file"}

        files = objects(repo)
        assert repo(f"CALL epoch_gc({NOW})") == told
        assert "EpochReferenceError: unknown reference" in repo.refused("FROM epoch_log(?)", dropped)
        gone = {object_id for kind, object_id, *_ in told if kind == "file"}
        assert len(gone) == 1
        assert objects(repo).keys() == files.keys() - gone == named_files(repo)
        assert {size for kind, _, size, _ in told if kind == "file"} == {
            size for kind, _, size, _ in told if kind == "level"
        }
        assert [row[4] for row in repo("FROM epoch_log()")] == ["Initial commit"]
        assert (
            repo(
                "(FROM epoch_at('HEAD', 'orders') EXCEPT ALL FROM orders) "
                "UNION ALL (FROM orders EXCEPT ALL FROM epoch_at('HEAD', 'orders'))"
            )
            == []
        )
        assert repo("CALL epoch_fsck()") == []
        assert repo(f"CALL epoch_gc({NOW})") == []

    def test_a_commit_after_it_is_seen_at_once(self, make_repo: MakeRepo) -> None:
        """The graph in memory counts commits: a number that gc has freed must not hide the commit that takes it."""
        repo = make_repo(START)
        repo("DELETE FROM events")
        repo.commit("dropped")
        assert len(repo("FROM epoch_log()")) == 2
        repo("CALL epoch_reset('HEAD~1', hard := true)")
        repo(f"CALL epoch_gc({NOW})")
        repo("DELETE FROM orders")
        repo.commit("kept")
        assert [row[4] for row in repo("FROM epoch_log()")] == ["kept", "Initial commit"]

    def test_keeps_what_stashes_tags_and_detached_heads_need(self, with_history: WithHistory) -> None:
        repo = with_history()
        repo("CALL epoch_checkout('main')")
        repo("CALL epoch_branch_delete('development', force := true)")
        repo("CALL epoch_checkout('HEAD~2')")
        repo("CALL epoch_checkout('v1')")
        repo("CALL epoch_branch_delete('main', force := true)")
        repo(f"CALL epoch_gc({NOW})")
        assert repo("CALL epoch_fsck()") == []
        assert [row[4] for row in repo("FROM epoch_log()")] == ["change 1", "change 0", "Initial commit"]
        commit = repo("SELECT commit_id FROM epoch.stashes")[0][0]
        assert [row[4] for row in repo("FROM epoch_log(?)", commit)][:2] == ["new definitions", "change 2"]

    def test_keeps_young_files_that_nothing_names(self, make_repo: MakeRepo) -> None:
        repo = make_repo(START)
        folder = repo.path.parent / ".epoch" / "objects"
        old, young = folder / "incoming" / "old.parquet", folder / "ab" / f"{'ab' * 32}.parquet"
        for path in (old, young):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"left behind")
        hour_ago = time.time() - 3600
        os.utime(old, (hour_ago, hour_ago))
        assert repo("SELECT kind, object_id, bytes FROM epoch_gc(grace := INTERVAL 30 MINUTE)") == [("file", "old", 11)]
        assert not old.exists()
        assert young.exists()
        assert [row[:3] for row in repo(f"CALL epoch_gc({NOW})")] == [("file", "ab" * 32, 11)]
        assert repo("CALL epoch_fsck()") == []

    def test_what_was_compacted_away_goes_when_no_difference_leads_through_it(self, make_repo: MakeRepo) -> None:
        repo = make_repo(
            "CREATE TABLE t (i INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, i FROM range(999) r(i)"
        )
        repo("UPDATE t SET v = 0 WHERE i = 5")
        repo.commit()
        repo("CALL epoch_compact()")
        repo(f"CALL epoch_gc({NOW})")
        assert repo.one("SELECT count(*) FROM epoch.versions") == 3
        repo("CALL epoch_reset('HEAD~1', hard := true)")
        repo(f"CALL epoch_gc({NOW})")
        assert repo.one("SELECT count(*) FROM epoch.versions") == 1
        assert len(objects(repo)) == 1

    def test_an_old_name_never_means_another_commit(self, make_repo: MakeRepo) -> None:
        repo = make_repo(START)
        repo("DELETE FROM events")
        repo.commit("dropped")
        repo("CALL epoch_reset('HEAD~1', hard := true)")
        repo(f"CALL epoch_gc({NOW})")
        for reference in ("main@{1}", "HEAD@{1}", "main@{1}~1"):
            assert "EpochReferenceError" in (message := repo.refused("FROM epoch_log(?)", reference))
            assert "which gc has removed" in message
        assert len(repo("FROM epoch_log('main@{0}')")) == 1

    def test_a_copy_beside_the_original_does_not_collect_the_files_of_the_original(self, make_repo: MakeRepo) -> None:
        repo = make_repo(START)
        repo.con.close()
        copy = repo.path.with_name("backup.duckdb")
        copy.write_bytes(repo.path.read_bytes())
        repo.con = epoch_sql.connect(repo.path)
        repo("DELETE FROM events WHERE kind = 1")
        repo.commit("only in the original")
        with (
            epoch_sql.connect(copy) as con,
            pytest.raises(duckdb.Error, match=r"belongs to shop\.duckdb, not to backup"),
        ):
            con.execute(f"CALL epoch_gc({NOW})")
        assert repo("CALL epoch_fsck()") == []

    @pytest.mark.slow
    def test_what_a_copy_beside_the_original_needs_stays(self, make_repo: MakeRepo) -> None:
        """Also of copies of copies, under any name, and after a rename; what cannot be read stops gc."""
        repo = make_repo(START)
        repo.close()
        copies = [repo.path.with_name(name) for name in ("backup.duckdb", "a copy")]
        for copy in copies:
            copy.write_bytes(repo.path.read_bytes())
        for number, copy in enumerate(copies):
            with epoch_sql.connect(copy) as con:
                con.execute(f"DELETE FROM events WHERE kind = {number}; CALL epoch_commit('only in a copy')")
        repo.reopen()
        repo("DELETE FROM events; CALL epoch_commit('gone'); CALL epoch_reset('HEAD~1', hard := true)")
        told = repo(f"SELECT object_id FROM epoch_gc(dry_run := true, {NOW}) WHERE kind = 'file'")
        with epoch_sql.connect(copies[0]):
            message = repo.refused(f"CALL epoch_gc({NOW})")
            assert f"{copies[0]} may need the same files" in message and "close what has it open" in message
        assert repo(f"SELECT object_id FROM epoch_gc({NOW}) WHERE kind = 'file'") == told
        assert repo("CALL epoch_fsck()") == []
        for copy in copies:
            with epoch_sql.connect(copy) as con:
                assert con.execute("CALL epoch_fsck()").fetchall() == []
        repo.close()
        renamed = repo.path.rename(repo.path.with_name("renamed.duckdb"))
        with epoch_sql.connect(renamed) as con:
            with pytest.raises(duckdb.Error, match=r'write database = "renamed\.duckdb"'):
                con.execute(f"CALL epoch_gc({NOW})")
            set_value(renamed.parent / ".epoch" / "config.toml", "database", renamed.name)
            con.execute(f"CALL epoch_gc({NOW})")
            assert con.execute("CALL epoch_fsck()").fetchall() == []
        with epoch_sql.connect(copies[1]) as con:
            assert con.execute("CALL epoch_fsck()").fetchall() == []

    def test_a_copy_of_the_folder_is_a_repository_of_its_own(self, make_repo: MakeRepo) -> None:
        repo = make_repo(START)
        repo.close()
        other = repo.path.parent.with_name("copy of the folder")
        shutil.copytree(repo.path.parent, other)
        with epoch_sql.connect(other / repo.path.name) as con:
            con.execute("DELETE FROM events WHERE kind = 1; CALL epoch_commit('x')")
            con.execute(f"CALL epoch_gc({NOW})")
            assert con.execute("CALL epoch_fsck()").fetchall() == []
        repo.reopen()
        repo(f"CALL epoch_gc({NOW})")
        assert repo("CALL epoch_fsck()") == []

    def test_what_is_no_file_of_the_store_stays(self, make_repo: MakeRepo, tmp_path: Path) -> None:
        repo = make_repo(START)
        folder = repo.path.parent / ".epoch" / "objects"
        lake = tmp_path / "lake"
        lake.mkdir()
        ours = "ab" * 32
        names = (f"{ours}.parquet", "orders.parquet")
        for name in names:
            (lake / name).write_bytes(b"years of work")
        for name in ("lake", "cd", "incoming-"):
            (folder / name).symlink_to(lake)
        shutil.rmtree(folder / "incoming", ignore_errors=True)
        (folder / "incoming").symlink_to(lake)
        (folder / "ab").mkdir(exist_ok=True)
        (folder / "ab" / f"{'cd' * 32}.parquet").write_bytes(b"in the folder of others")
        (folder / "ab" / "mine.parquet").write_bytes(b"no file of the store")
        (folder / "ab" / f"{ours}.parquet").symlink_to(lake / names[0])
        before = sorted(path for path in (*folder.rglob("*"), *lake.iterdir()))
        assert repo(f"CALL epoch_gc({NOW})") == []
        assert sorted(path for path in (*folder.rglob("*"), *lake.iterdir())) == before
        folder.rename(tmp_path / "objects")
        folder.symlink_to(tmp_path / "objects")
        assert "is a link" in repo.refused(f"CALL epoch_gc({NOW})")
        assert repo("CALL epoch_fsck()") == []

    @pytest.mark.parametrize(
        ("grace", "message"), [("'soon'", "'soon' is not an interval"), ("INTERVAL (-1) DAY", "'-1 day' is negative")]
    )
    def test_a_grace_that_is_none(self, make_repo: MakeRepo, grace: str, message: str) -> None:
        assert f"EpochRepositoryError: the grace period {message}" in make_repo().refused(
            f"CALL epoch_gc(grace := {grace})"
        )

    def test_a_file_that_is_committed_again_is_kept(self, make_repo: MakeRepo) -> None:
        """The same rows give the same file, which may lie there for long, unnamed, before it is needed again."""
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
        (name,) = objects(repo)
        repo("DROP TABLE t")
        repo.commit("dropped")
        repo("CALL epoch_reset('HEAD~1', hard := true)")
        week_ago = time.time() - 8 * 86400
        os.utime(objects(repo)[name], (week_ago, week_ago))
        repo("CREATE TABLE u (i INTEGER PRIMARY KEY); INSERT INTO u VALUES (1)")
        repo.commit("again")
        repo("CALL epoch_gc()")
        assert repo("CALL epoch_fsck()") == []
        assert repo.at("HEAD", "u") == [(1,)]


TAMPERED = [
    ("UPDATE epoch.commits SET message = 'other' WHERE sequence = 2", {("commit", "do not match its id")}),
    ("UPDATE epoch.commits SET author = 'other' WHERE sequence = 3", {("commit", "do not match its id")}),
    ("DELETE FROM epoch.commits WHERE sequence = 1", {("commit", "which is not in the catalog")}),
    (
        "DELETE FROM epoch.parents WHERE commit_id = (SELECT commit_id FROM epoch.refs WHERE name = 'main')",
        {("commit", "do not match its id")},
    ),
    (
        "UPDATE epoch.commits SET root_id = (SELECT root_id FROM epoch.commits WHERE sequence = 1) WHERE sequence = 3",
        {("commit", "is not the content that the commit names")},
    ),
    (
        "DELETE FROM epoch.roots WHERE root_id = (SELECT root_id FROM epoch.commits WHERE sequence = 2)",
        {("commit", "needs root")},
    ),
    (
        "INSERT INTO epoch.commits FROM epoch.commits WHERE sequence = 2",
        {("commit", "is more than once in epoch.commits")},
    ),
    ("UPDATE epoch.refs SET commit_id = repeat('0', 64) WHERE name = 'v1'", {("ref", "names commit 0000")}),
    ("UPDATE epoch.state SET head_branch = 'gone'", {("ref", "is at branch gone")}),
    ("UPDATE epoch.stashes SET root_id = 'x'", {("stash", "needs root x")}),
    (
        "UPDATE epoch.trees SET object_name = 'renamed' WHERE object_name = 'empty'",
        {("tree", "do not match its id"), ("commit", "is not the content that the commit names")},
    ),
    (
        "UPDATE epoch.schemas SET definition = replace(definition, 'amount', 'amounts')",
        {("schema", "does not match its id"), ("commit", "is not the content that the commit names")},
    ),
    (
        "UPDATE epoch.schemas SET definition = 'no json' WHERE definition LIKE '%events%'",
        {("schema", "does not match its id")},
    ),
    (
        "DELETE FROM epoch.schemas WHERE definition LIKE '%events%'",
        {("version", "needs definition"), ("file", "needs definition")},
    ),
    (
        "UPDATE epoch.versions SET fingerprint = repeat('0', 32) WHERE row_count = 66",
        {("version", "do not match its id"), ("level", "do not match its id"), ("commit", "is not the content")},
    ),
    (
        "UPDATE epoch.versions SET row_count = row_count + 1 WHERE row_count = 66",
        {("version", "has 66 rows instead of 67"), ("level", "does not lead from the rows")},
    ),
    ("DELETE FROM epoch.levels WHERE kind = 'base'", {("version", "needs level")}),
    (
        "UPDATE epoch.levels SET file_ids = file_ids || file_ids WHERE kind = 'delta' AND len(file_ids) > 0",
        {("level", "do not match its id")},
    ),
    ("DELETE FROM epoch.files WHERE old_schema_id IS NOT NULL", {("level", "needs file")}),
    ("UPDATE epoch.fingerprints SET checksum = checksum + 1", {("fingerprint", "are not those of its rows")}),
]


class TestFsck:
    def test_a_sound_repository(self, make_repo: MakeRepo, with_history: WithHistory) -> None:
        assert with_history()("CALL epoch_fsck()") == []
        assert make_repo()("CALL epoch_fsck()") == []

    @pytest.mark.grid(every=4)
    @pytest.mark.parametrize(("statement", "expected"), TAMPERED)
    def test_a_tampered_catalog(
        self, with_history: WithHistory, statement: str, expected: set[tuple[str, str]]
    ) -> None:
        repo = with_history()
        repo(statement)
        found = repo("SELECT kind, problem FROM epoch_fsck()")
        for kind, text in expected:
            assert any(kind == found_kind and text in problem for found_kind, problem in found), found
        assert {kind for kind, _ in found} == {kind for kind, _ in expected}

    @pytest.mark.parametrize("damage", ["removed", "truncated", "one bit flipped"])
    def test_a_damaged_file(self, with_history: WithHistory, damage: str) -> None:
        repo = with_history()
        (delta,) = repo("SELECT file_ids[1] FROM epoch.levels WHERE kind = 'delta' AND rows_added = 2")[:1][0]
        path = objects(repo)[delta]
        damaged(path, damage)
        ((kind, table, file, commits, problem),) = repo("CALL epoch_fsck()")
        assert (kind, table, file) == ("file", "events", delta)
        messages = {row[0]: row[4] for row in repo("FROM epoch_log('development')")}
        assert [messages[i] for i in commits] == [
            "new definitions",
            "change 2",
            "change 1",
            "change 0",
            "Initial commit",
        ]
        assert str(path) in problem
        assert {"removed": "is missing", "truncated": "bytes instead of", "one bit flipped": "does not match"}[
            damage
        ] in problem

    def test_many_damaged_files_are_all_told(self, with_history: WithHistory) -> None:
        repo = with_history()
        files = objects(repo)
        for path in files.values():
            damaged(path, "truncated")
        found = repo("SELECT kind, object_id FROM epoch_fsck()")
        assert sorted(found) == sorted(("file", name) for name in files)

    def test_it_works_on_a_read_only_database(self, with_history: WithHistory) -> None:
        repo = with_history()
        repo.con.close()
        repo.con = epoch_sql.connect(repo.path, read_only=True)
        assert repo("CALL epoch_fsck()") == []


def damaged(path: Path, damage: str) -> None:
    """Damage a file as its disk might."""
    content = bytearray(path.read_bytes())
    if damage == "removed":
        path.unlink()
        return
    if damage == "truncated":
        del content[-1]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
