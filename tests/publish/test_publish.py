"""A published file says what its reference holds, to any client, and is replaced at once or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.publish.places import file_name
from tests.conftest import Epoch, MakeRepo, Repo

pytestmark = pytest.mark.core

HOSTILE = """it's "a" [b] {c} -- d"""
SQL = f"""
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
CREATE SCHEMA "od'd";
CREATE TABLE types (
    id INTEGER PRIMARY KEY, huge HUGEINT, clock TIMETZ, span INTERVAL, bits BIT, feeling mood, text VARCHAR COLLATE NOCASE,
    list INTEGER[], pair STRUCT(x INTEGER, y VARCHAR), map MAP(VARCHAR, INTEGER), either UNION(n INTEGER, s VARCHAR),
    array_ INTEGER[2], nested STRUCT(k HUGEINT, l INTERVAL[])[], twice INTEGER GENERATED ALWAYS AS (id * 2));
INSERT INTO types SELECT i, i::HUGEINT * 100000000000000000000, '10:00:00+02', INTERVAL 1 MONTH + INTERVAL 3 DAY, '101', 'it''s',
    'Abc', [1, i], {{'x': i, 'y': 'it''s'}}, MAP {{'k': i}}, i::INTEGER::UNION(n INTEGER, s VARCHAR), [i, 2],
    [{{'k': i, 'l': [INTERVAL 40 DAY]}}] FROM range(100) AS r(i);
CREATE TABLE bag AS SELECT i % 3 AS a, CASE WHEN i % 2 = 0 THEN 'x' END AS b FROM range(20) AS r(i);
CREATE TABLE nothing (a INTEGER, b VARCHAR);
CREATE TABLE "od'd"."{HOSTILE.replace('"', '""')}" (id INTEGER PRIMARY KEY, "a'b""c" VARCHAR);
INSERT INTO "od'd"."{HOSTILE.replace('"', '""')}" VALUES (1, 'it''s');
CREATE SEQUENCE numbers START 5 INCREMENT 2;
CREATE MACRO doubled(x) AS x * 2;
CREATE VIEW v AS SELECT doubled(id) AS d, text FROM types WHERE id < 3;
CREATE VIEW "od'd".kinds AS SELECT a, count(*) AS n FROM bag GROUP BY a;
CREATE VIEW "often used" (a, "#") AS SELECT a, list(n) FROM "od'd".kinds WHERE n > 6 GROUP BY a;
COMMENT ON TABLE bag IS 'it''s a bag'; COMMENT ON COLUMN bag.a IS 'a'; COMMENT ON VIEW v IS 'v';
"""
TABLES = ["types", "bag", "nothing", f'''"od'd"."{HOSTILE.replace('"', '""')}"''']


def read(path: Path | str, sql: str) -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


def published(repo: Repo) -> Path:
    return repo.path.parent / "published"


def same(file: Path, repo: Repo, ref: str, table: str, argument: str | None = None) -> None:
    """The table of a published file has the columns and the rows, with their multiplicities, that the reference has."""
    rows = f"FROM {table}" if argument is None else f"FROM epoch_at('{ref}', {argument})"
    truth = repo.con.sql("FROM epoch_at(?, ?)", params=[ref, table])
    with duckdb.connect(str(file), read_only=True) as con:
        found = con.sql(rows)
        assert [*map(str, found.types)] == [*map(str, truth.types)]
        assert found.columns == truth.columns
        assert sorted(map(repr, found.fetchall())) == sorted(map(repr, truth.fetchall()))


def changed(repo: Repo) -> None:
    """Commit a history with deltas: changed values, columns dropped and added again, another column, another type."""
    for number in range(3):
        repo(
            f"UPDATE types SET huge = huge + 1, span = INTERVAL 5 DAY, either = 's'::UNION(n INTEGER, s VARCHAR) WHERE id % 5 = {number}"
        )
        repo(
            f"DELETE FROM types WHERE id = {10 + number}; INSERT INTO bag VALUES (7, 'new'), (7, 'new'); DELETE FROM bag WHERE a = {number}"
        )
        repo.commit()
    repo(
        "ALTER TABLE bag DROP COLUMN b; ALTER TABLE bag ADD COLUMN b INTEGER DEFAULT 5; ALTER TABLE types ADD COLUMN more VARCHAR DEFAULT 'm'"
    )
    repo.commit("columns")


def test_a_file_has_the_rows_types_and_objects_of_its_reference(make_repo: MakeRepo) -> None:
    repo = make_repo(SQL)
    repo("CALL epoch_tag('v1.0.0')")
    repo("CALL epoch_branch('feature/x')")
    changed(repo)
    tree = repo.tree("main")
    rows = repo("SELECT ref, status, tables, left_out FROM epoch_publish(refs := ['main', 'v1.0.0', 'feature/x'])")
    assert rows == [(name, "published", 4, []) for name in ("main", "v1.0.0", "feature/x")]
    assert sorted(path.name for path in published(repo).iterdir()) == [
        "feature%2Fx.duckdb",
        "main.duckdb",
        "v1.0.0.duckdb",
    ]
    for ref in ("main", "v1.0.0", "feature/x"):
        file = published(repo) / file_name(ref)
        for table in TABLES:
            same(file, repo, ref, table)
    file = published(repo) / "main.duckdb"
    assert read(file, "FROM v ORDER BY ALL") == repo("FROM v ORDER BY ALL")
    assert read(file, "SELECT 'it''s'::mood, doubled(4)") == [("it's", 8)]
    assert read(file, "SELECT comment FROM duckdb_views() WHERE comment IS NOT NULL ORDER BY view_name") == [
        ("it's a bag",),
        ("v",),
    ]
    assert read(file, "SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL") == [("a", "a")]
    assert read(file, "SELECT ref, commit_id FROM epoch_published()") == [("main", repo.head())]
    # History is as it was.
    assert repo.tree("main") == tree
    assert repo("CALL epoch_fsck()") == []


@pytest.mark.parametrize("each", [False, True], ids=["at last", "after each commit"])
def test_published_versions_have_one_base_level(make_repo: MakeRepo, each: bool) -> None:
    repo = make_repo(
        "CREATE TABLE keyed (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO keyed SELECT i, 'a' FROM range(1000) AS r(i);"
        "CREATE TABLE bag AS SELECT i % 300 AS i FROM range(1000) AS r(i)"
    )
    for number in range(3):
        repo(f"UPDATE keyed SET v = 'b{number}' WHERE i % 100 = {number}; DELETE FROM keyed WHERE i = {number + 50}")
        repo(f"DELETE FROM bag WHERE i = {number}; INSERT INTO bag VALUES (7), (7), (NULL)")
        repo.commit()
        if each:
            repo("CALL epoch_publish()")
    levels = repo("SELECT len(level_ids) FROM epoch.versions WHERE version_id IN (SELECT version_id FROM epoch.trees)")
    assert max(levels) > (2,)
    repo("CALL epoch_publish()")
    file = published(repo) / "main.duckdb"
    for table in ("keyed", "bag"):
        same(file, repo, "main", table)
        assert "JOIN" not in read(file, f"EXPLAIN SELECT count(*) FROM {table}")[0][1].upper()
        assert "JOIN" in repo(f"EXPLAIN SELECT count(*) FROM epoch_at('main', '{table}')")[0][1].upper()
    # The same version is not written again, for another file neither.
    before = repo("FROM epoch.compacted ORDER BY ALL")
    assert len(before) == (6 if each else 2)
    repo("CALL epoch_branch('other')")
    repo("CALL epoch_publish(refs := ['other'])")
    assert repo("FROM epoch.compacted ORDER BY ALL") == before
    assert levels == repo(
        "SELECT len(level_ids) FROM epoch.versions WHERE version_id IN (SELECT version_id FROM epoch.trees)"
    )


def least(action: Callable[[], object], times: int = 5) -> float:
    """The least processor time of some attempts."""
    spent = []
    for _ in range(times):
        start = process_time()
        action()
        spent.append(process_time() - start)
    return min(spent)


@pytest.mark.slow
def test_what_a_change_and_a_scan_cost(make_repo: MakeRepo, tmp_path: Path) -> None:
    """Files without changed keys stay. A publication costs at most twice what writing the others does, without any
    change next to nothing, and a scan costs what plain Parquet does."""
    repo = make_repo(
        "CREATE TABLE t (i INTEGER PRIMARY KEY, v INTEGER, s VARCHAR);"
        "INSERT INTO t SELECT i, i, 'text ' || i FROM range(3000000) AS r(i)"
    )
    known: set[str] = set()
    spent = []
    for number in range(3):
        repo(f"UPDATE t SET v = -{number} WHERE i BETWEEN 100 AND 1100; DELETE FROM t WHERE i = {number}")
        repo.commit()
        spent.append(least(lambda: repo("CALL epoch_publish()"), times=1))
        file = published(repo) / "main.duckdb"
        truth = repo("SELECT count(*), sum(v), sum(hash(i, v)) FROM t")
        assert read(file, "SELECT count(*), sum(v), sum(hash(i, v)) FROM t") == truth
        ((files,),) = repo("SELECT file_ids FROM epoch.compacted ORDER BY rowid DESC LIMIT 1")
        new = set(files) - known
        assert not known or len(new) == 1
        known |= new
    assert least(lambda: repo("CALL epoch_publish()")) < 0.05
    objects = repo.path.parent / ".epoch" / "objects"
    (changed_file,) = objects.rglob(f"*{new.pop()}*")
    with duckdb.connect(str(file), read_only=True) as con:
        copy = "COPY (FROM '{}') TO '{}' (FORMAT parquet, COMPRESSION zstd)"
        write = least(lambda: con.execute(copy.format(changed_file, tmp_path / "changed.parquet")), times=3)
        assert min(spent[1:]) < 2 * write + 0.1
        plain = tmp_path / "plain.parquet"
        con.execute(f"COPY t TO '{plain}' (FORMAT parquet, COMPRESSION zstd)")
        for query in ("count(*) FROM {}", "sum(v), max(i) FROM {}", "count(*) FROM {} WHERE v > 5 AND i % 7 = 0"):
            view, parquet = (
                least(lambda q=query, s=source: con.execute(f"SELECT {q.format(s)}").fetchall(), times=9)  # type: ignore[misc]
                for source in ("t", f"'{plain}'")
            )
            assert view < 1.1 * parquet + 0.005, query


@pytest.mark.slow
def test_what_the_command_costs_where_nothing_changed(make_repo: MakeRepo) -> None:
    """Next to nothing beyond its start: another command that acts and finds nothing to do takes as long."""
    repo = make_repo("CREATE TABLE t AS SELECT i, i AS v FROM range(100000) AS r(i)")
    repo("CALL epoch_publish()")
    repo.close()
    spent: dict[str, list[float]] = {"publish": [], "gc": []}
    for _ in range(4):
        for command, took in spent.items():
            before = os.times()
            program = [
                sys.executable,
                "-c",
                "from epoch_sql.cli.main import main; main()",
                "--db",
                str(repo.path),
                command,
            ]
            subprocess.run(program, check=True, capture_output=True)
            after = os.times()
            took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent["publish"]) < min(spent["gc"]) + 0.15


def test_every_reference_can_be_read_in_any_file(make_repo: MakeRepo) -> None:
    repo = make_repo(SQL)
    first = repo.head()
    repo("CALL epoch_tag('v1.0.0')")
    changed(repo)
    repo("CALL epoch_publish(refs := ['v1.0.0'])")
    file = published(repo) / "v1.0.0.duckdb"
    hostile = f"""'"od''d".{'"' + HOSTILE.replace(chr(34), chr(34) * 2).replace("'", "''") + '"'}'"""
    for ref in ("main", "v1.0.0", first, first[:7]):
        for table, argument in zip(TABLES, ("'types'", "'main.BAG'", "'nothing'", hostile), strict=True):
            same(file, repo, ref, table, argument)
    with pytest.raises(
        duckdb.Error, match=r"no table or view x at nope in this file, which Epoch published with main, v1\.0\.0"
    ):
        read(file, "FROM epoch_at('nope', 'x')")
    assert read(file, "SELECT count(*) FROM epoch_at('HEAD', 'bag')") == [(20,)]
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{file}' AS a (READ_ONLY)")
        assert con.execute("SELECT count(*) FROM a.epoch_at('main', 'bag')").fetchall() == repo(
            "SELECT count(*) FROM bag"
        )


def test_two_files_can_be_compared(make_repo: MakeRepo) -> None:
    repo = make_repo(SQL)
    repo("CALL epoch_branch('before')")
    changed(repo)
    repo("CALL epoch_publish(refs := ['main', 'before'])")
    with duckdb.connect() as con:
        for name in ("main", "before"):
            con.execute(f"ATTACH '{published(repo) / name}.duckdb' AS \"{name} file\" (READ_ONLY)")
        added = con.execute(
            'SELECT count(*) FROM (SELECT a FROM "main file".bag EXCEPT ALL SELECT a FROM "before file".bag)'
        )
        assert added.fetchall() == [(6,)]


def test_an_unchanged_reference_is_not_written_again(make_repo: MakeRepo) -> None:
    repo = make_repo(SQL)
    status = "SELECT status FROM epoch_publish()"
    assert repo(status) == [("published",)]
    file = published(repo) / "main.duckdb"
    written = file.stat()
    assert repo(status) == [("unchanged",)]
    assert file.stat() == written
    file.unlink()
    assert repo(status) == [("published",)]
    repo("DELETE FROM bag")
    repo.commit()
    assert repo(status) == [("published",)]
    assert read(file, "FROM bag") == []


def test_a_copy_needs_nothing_else(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(SQL)
    changed(repo)
    repo(f"CALL epoch_publish(path := '{tmp_path / 'copies'}', materialize := true)")
    truths = {table: repo.at("main", table) for table in TABLES}
    shutil.copy(tmp_path / "copies" / "main.duckdb", tmp_path / "copy.duckdb")
    shutil.move(repo.path.parent / ".epoch" / "objects", tmp_path / "gone")
    for table, truth in truths.items():
        assert read(tmp_path / "copy.duckdb", f"FROM {table} ORDER BY ALL") == truth
    assert read(tmp_path / "copy.duckdb", "SELECT count(*) FROM v") == [(3,)]
    assert read(tmp_path / "copy.duckdb", "SELECT count(*) FROM duckdb_tables()") == [(4,)]


def test_a_moved_repository_is_healed(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(SQL)
    repo("CALL epoch_publish()")
    repo.close()
    # A folder like that of a partition, with a quote.
    moved = tmp_path / "id=5 it's"
    shutil.move(repo.path.parent, moved)
    with pytest.raises(duckdb.IOException):
        read(moved / "published" / "main.duckdb", "FROM bag")
    repo = Repo(moved / repo.path.name)
    assert repo("SELECT status FROM epoch_publish()") == [("published",)]
    for table in TABLES:
        same(moved / "published" / "main.duckdb", repo, "main", table)
    assert repo("SELECT count(*) FROM epoch.published WHERE replaced_at IS NULL") == [(1,)]
    repo.close()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2Fb", "../../x", "ä", "a b", "A"])
def test_names_of_files_stay_in_the_folder_and_differ(name: str, tmp_path: Path) -> None:
    others = {"..", ".", "a/b", "a%2Fb", "../../x", "ä", "a b", "A"} - {name}
    assert (tmp_path / file_name(name)).parent == tmp_path
    assert not file_name(name).startswith(".")
    assert file_name(name) not in map(file_name, others)


def commit_at_last(repo: Repo) -> None:
    """Commit again while another connection writes, as the error says."""
    while True:
        try:
            repo.commit()
        except duckdb.Error as error:
            assert "just retry" in str(error)
        else:
            return


class TestByItself:
    """``publish.refs``: what moves is published, and what is deleted is removed."""

    @pytest.fixture
    def repo(self, make_repo: MakeRepo, epoch: Epoch) -> Repo:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1)")
        self.set(repo, "publish.refs", "main v* rel/*")
        return repo

    @staticmethod
    def set(repo: Repo, key: str, value: str) -> None:
        epoch_sql.config.set_value(epoch_sql.config.repository_config(repo.path), key, value)

    def value(self, repo: Repo, name: str = "main") -> list[Any]:
        return read(published(repo) / file_name(name), "SELECT v FROM t ORDER BY i")

    @pytest.mark.slow
    def test_each_move_is_published(self, repo: Repo) -> None:
        repo("UPDATE t SET v = 2")
        repo.commit()
        assert self.value(repo) == [(2,)]
        first = repo.head()
        repo("CALL epoch_branch('rel/1')")
        repo("CALL epoch_tag('v1')")
        repo("CALL epoch_tag('other')")
        repo("CALL epoch_branch('work')")
        assert {path.name for path in published(repo).iterdir()} == {"main.duckdb", "rel%2F1.duckdb", "v1.duckdb"}
        repo("CALL epoch_checkout('work')")
        repo("UPDATE t SET v = 3")
        repo.commit()
        assert self.value(repo) == [(2,)]
        repo("CALL epoch_merge('work', target := 'main')")
        assert self.value(repo) == [(3,)]
        repo("CALL epoch_checkout('main')")
        repo("CALL epoch_revert('HEAD')")
        assert self.value(repo) == [(2,)]
        repo("CALL epoch_cherry_pick('work')")
        assert self.value(repo) == [(3,)]
        repo(f"CALL epoch_reset('{first}', hard := true)")
        assert self.value(repo) == [(2,)]
        repo("CALL epoch_branch_rename('rel/1', 'rel/2')")
        repo("CALL epoch_tag_delete('v1')")
        assert {path.name for path in published(repo).iterdir()} == {"main.duckdb", "rel%2F2.duckdb"}

    def test_a_pull_is_published(self, repo: Repo, tmp_path: Path) -> None:
        repo(f"CALL epoch_remote_add('origin', '{tmp_path / 'store'}')")
        repo("CALL epoch_push()")
        other = Repo(tmp_path / "clone" / "c.duckdb") if (tmp_path / "clone").mkdir() is None else repo
        other(f"CALL epoch_clone('{tmp_path / 'store'}')")
        self.set(other, "publish.refs", "main")
        repo("UPDATE t SET v = 9")
        repo.commit()
        repo("CALL epoch_push()")
        other("CALL epoch_pull()")
        assert self.value(other) == [(9,)]
        other.close()

    def test_a_move_stands_where_publishing_fails(self, repo: Repo) -> None:
        published(repo).write_text("a file")
        repo("UPDATE t SET v = 2")
        ((commit_id, *_, warnings),) = repo("CALL epoch_commit('two')")
        assert commit_id == repo.head()
        (warning,) = warnings
        assert "branch main moved, and is not published: cannot write " in warning
        assert warning.endswith("publish main again")
        ((_, _, warnings),) = repo("CALL epoch_tag('v1')")
        assert "tag v1 moved, and is not published" in warnings[0]
        published(repo).unlink()
        assert repo("SELECT ref, status FROM epoch_publish()") == [("main", "published"), ("v1", "published")]
        self.set(repo, "publish.storage_version", "v1")
        ((_, _, warnings),) = repo("CALL epoch_tag('v2')")
        assert warnings == ["nothing is published: v1 is not a storage version"]

    def test_files_of_deleted_references_are_removed(self, repo: Repo) -> None:
        repo("CALL epoch_branch('rel/1')")
        repo("CALL epoch_branch('kept')")
        repo("CALL epoch_publish(refs := ['kept'])")
        foreign = published(repo) / "v9.duckdb"
        duckdb.connect(str(foreign)).close()
        self.set(repo, "publish.refs", "main")
        repo("CALL epoch_branch_delete('rel/1', force := true)")
        assert (published(repo) / "rel%2F1.duckdb").exists()
        self.set(repo, "publish.refs", "main rel/*")
        assert repo("SELECT ref, status FROM epoch_publish()") == [("main", "published"), ("rel/1", "removed")]
        assert {path.name for path in published(repo).iterdir()} == {"main.duckdb", "kept.duckdb", "v9.duckdb"}

    @pytest.mark.slow
    def test_threads_publish_the_newest(self, repo: Repo) -> None:
        repo("CALL epoch_publish()")
        failed: list[str] = []

        def publish() -> None:
            with repo.con.cursor() as cursor:
                for _ in range(3):
                    try:
                        cursor.execute("CALL epoch_publish(refs := ['main'])")
                    except duckdb.Error as error:
                        # The caller's own view is compared, while another connection writes.
                        if "just retry" not in str(error):
                            failed.append(str(error))

        threads = [threading.Thread(target=publish) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(2, 6):
            repo("UPDATE t SET v = ?", number)
            commit_at_last(repo)
        for thread in threads:
            thread.join()
        assert not failed
        repo("CALL epoch_publish()")
        assert self.value(repo) == [(5,)]
        assert not [path for path in published(repo).iterdir() if path.suffix != ".duckdb"]


class TestGarbage:
    def test_what_a_published_file_names_is_kept(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE TABLE t AS SELECT i FROM range(1000) AS r(i)")
        first = repo.head()
        repo("UPDATE t SET i = i + 1")
        repo.commit()
        for _ in range(2):
            repo("INSERT INTO t VALUES (5)")
            repo.commit()
        repo("CALL epoch_publish()")
        file = published(repo) / "main.duckdb"
        repo(f"CALL epoch_reset('{first}', hard := true)")
        repo("CALL epoch_gc(grace := '0 days')")
        assert read(file, "SELECT count(*), max(i) FROM t") == [(1002, 1000)]
        assert repo("CALL epoch_fsck()") == []
        repo("CALL epoch_publish()")
        assert read(file, "SELECT count(*), max(i) FROM t") == [(1000, 999)]
        # Readers may still have the file before it open, for the grace period.
        assert repo("SELECT count(*) FROM epoch_gc(grace := '1 day')") == [(0,)]
        removed = repo("SELECT count(*) FROM epoch_gc(grace := '0 days') WHERE kind = 'file'")
        assert removed[0][0] > 0
        assert repo("SELECT count(*) FROM epoch.published") == [(1,)]
        assert repo("FROM epoch.compacted") == []
        assert read(file, "SELECT count(*), max(i) FROM t") == [(1000, 999)]
        assert repo("CALL epoch_fsck()") == []


class TestRefused:
    def test_references(self, repo: Repo) -> None:
        assert "unknown reference 'nope'" in repo.refused("CALL epoch_publish(refs := ['nope'])")
        assert "WORKING is not committed" in repo.refused("CALL epoch_publish(refs := ['WORKING'])")
        repo(f"CALL epoch_checkout('{repo.head()}')")
        assert "no branch is checked out" in repo.refused("CALL epoch_publish()")
        rows = repo("SELECT ref FROM epoch_publish(refs := ['HEAD'])")
        assert rows == [(repo.head()[:12],)]

    def test_storage_versions(self, repo: Repo) -> None:
        assert "v9.9.9" in repo.refused("CALL epoch_publish(storage_version := 'v9.9.9')")
        assert "is not a storage version" in repo.refused("CALL epoch_publish(storage_version := 'it''s')")
        assert not published(repo).exists() or not list(published(repo).iterdir())

    def test_no_file_of_somebody_else_is_replaced(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE TABLE t AS SELECT 1 AS i", name="main.duckdb")
        message = repo.refused(f"CALL epoch_publish(path := '{repo.path.parent}')")
        assert "exists, and Epoch did not publish it: nothing was written" in message
        assert repo("FROM t") == [(1,)]


if os.geteuid() == 0:
    # Only root can mount a disk.
    def test_a_full_disk_leaves_the_old_file(make_repo: MakeRepo, tmp_path: Path) -> None:
        repo = make_repo("CREATE TABLE t AS SELECT i, uuid() AS u FROM range(20000) AS r(i)")
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
        try:
            repo(f"CALL epoch_publish(path := '{disk}', materialize := true)")
            old = (disk / "main.duckdb").read_bytes()
            repo("DELETE FROM t WHERE i = 0")
            repo.commit()
            (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 200_000))
            message = repo.refused(f"CALL epoch_publish(path := '{disk}', materialize := true)")
            assert "EpochStorageError: cannot write " in message.splitlines()[0]
            assert "free space, or make the folder writable" in message
            assert (disk / "main.duckdb").read_bytes() == old
            assert sorted(path.name for path in disk.iterdir()) == ["ballast", "main.duckdb"]
            (disk / "ballast").unlink()
            assert repo(f"SELECT status FROM epoch_publish(path := '{disk}', materialize := true)") == [("published",)]
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


class TestStrangers:
    """A published view runs in the program of whoever reads it: only what the repository holds is published."""

    def test_views_that_reach_outside_are_left_out(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE TABLE t AS SELECT 1 AS i")
        secret = repo.path.parent / "secret.csv"
        secret.write_text("a\n1\n")
        repo(f"CREATE VIEW reads AS FROM read_csv('{secret}'); CREATE VIEW names AS FROM '{secret}'")
        repo(
            "CREATE MACRO environment(x) AS current_setting(x); CREATE VIEW calls AS SELECT environment('TimeZone') AS home; CREATE VIEW fine AS FROM t"
        )
        repo("CREATE VIEW over AS FROM reads")
        repo.commit()
        ((left_out,),) = repo("SELECT left_out FROM epoch_publish()")
        told = {text.partition(":")[0] for text in left_out}
        assert told == {"view reads", "view names", "macro environment", "view calls", "view over"}
        assert read(
            published(repo) / "main.duckdb", "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1"
        ) == [("fine",), ("t",)]

    def test_what_is_not_trusted_is_left_out(self, make_repo: MakeRepo, tmp_path: Path) -> None:
        repo = make_repo(
            "CREATE TABLE t AS SELECT 1 AS i; CREATE MACRO home() AS current_setting('TimeZone'); CREATE TABLE g (i INTEGER, h VARCHAR AS (home()))"
        )
        repo(f"CALL epoch_remote_add('origin', '{tmp_path / 'store'}')")
        repo("CALL epoch_push()")
        (tmp_path / "clone").mkdir()
        clone = Repo(tmp_path / "clone" / "c.duckdb")
        clone(f"CALL epoch_clone('{tmp_path / 'store'}')")
        ((tables, left_out),) = clone("SELECT tables, left_out FROM epoch_publish()")
        assert tables == 1
        assert {text.partition(":")[0] for text in left_out} == {"table g", "macro home"}
        clone.close()


def test_sequences_have_their_values(make_repo: MakeRepo, tmp_path: Path) -> None:
    """A file that is copied goes on with the values that come next in the commit."""
    repo = make_repo(
        "CREATE SEQUENCE used START 5; CREATE SEQUENCE spent MAXVALUE 3; CREATE SCHEMA s; CREATE SEQUENCE s.new"
    )
    repo("SELECT nextval('used'), nextval('spent') FROM range(3)")
    repo("CREATE TABLE t AS SELECT 1 AS i")
    repo.commit()
    for materialize in (False, True):
        repo("CALL epoch_publish(path := ?, materialize := ?)", str(tmp_path / "files"), materialize)
        copy = shutil.copy(tmp_path / "files" / "main.duckdb", tmp_path)
        with duckdb.connect(str(copy)) as con:
            assert con.execute("SELECT nextval('used'), nextval('s.new')").fetchall() == [(8, 1)]
            with pytest.raises(duckdb.Error, match="reached maximum value"):
                con.execute("SELECT nextval('spent')").fetchall()


class TestConnections:
    """``connect(ref=…)``: the state of a reference, without a lock on the database."""

    def test_a_state_without_a_lock(self, make_repo: MakeRepo, epoch: Epoch) -> None:
        repo = make_repo(SQL)
        repo("CALL epoch_tag('v1.0.0')")
        changed(repo)
        count = repo("SELECT count(*) FROM bag")
        with epoch_sql.connect(repo.path, ref="v1.0.0") as con, con.cursor() as cursor:
            assert cursor.execute("SELECT count(*) FROM bag").fetchall() == [(20,)]
            assert cursor.execute("SELECT count(*) FROM epoch_at('main', 'bag')").fetchall() == count
            for table in TABLES:
                assert con.execute(f"FROM {table} ORDER BY ALL").fetchall() == repo.at("v1.0.0", table)
            with pytest.raises(duckdb.InvalidInputException, match="read-only"):
                con.execute("CREATE TABLE x (i INTEGER)")
        repo.close()
        with epoch_sql.connect(repo.path, ref="main") as con:
            epoch("--wait", "0", "--db", str(repo.path), "query", "INSERT INTO bag VALUES (1, 2)")
            assert con.execute("SELECT count(*) FROM bag").fetchall() == count
        with epoch_sql.open(repo.path) as library, library.at("main").connect() as con:
            assert con.execute("SELECT count(*) FROM bag").fetchall() == count
            with pytest.raises(epoch_sql.ReferenceNotFound):
                library.at("nope").connect()

    def test_what_is_left_out_is_a_warning(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE VIEW reads AS FROM read_csv('/etc/passwd')")
        with pytest.warns(epoch_sql.EpochWarning, match=r"main lacks view reads: it calls read_csv\(\)"):
            epoch_sql.connect(repo.path, ref="main").close()


def test_storage_versions_of_new_databases(tmp_path: Path, epoch: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(path: Path) -> str:
        with duckdb.connect() as con:
            con.execute(f"ATTACH '{path}' AS it (READ_ONLY)")
            ((tags,),) = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'it'").fetchall()
        return str(tags["storage_version"])

    epoch("init", "shop.duckdb", "--storage-version", "v1.0.0")
    epoch("--db", "shop.duckdb", "query", "CREATE TABLE t AS SELECT 1 AS i")
    epoch("--db", "shop.duckdb", "commit", "-m", "t")
    assert version(tmp_path / "shop.duckdb").startswith("v1.0.0")
    epoch("--db", "shop.duckdb", "remote", "add", "origin", str(tmp_path / "store"))
    epoch("--db", "shop.duckdb", "push")
    epoch("clone", str(tmp_path / "store"), "cloned", "--storage-version", "v1.2.0")
    assert version(tmp_path / "cloned" / "shop.duckdb").startswith("v1.2.0")
    epoch_sql.connect(tmp_path / "connected.duckdb", storage_version="v1.0.0").close()
    assert version(tmp_path / "connected.duckdb").startswith("v1.0.0")
    (tmp_path / "python").mkdir()
    epoch_sql.init(tmp_path / "python" / "p.duckdb", storage_version="v1.0.0").close()
    assert version(tmp_path / "python" / "p.duckdb").startswith("v1.0.0")
    assert (
        "does not write storage version v9.9.9"
        in epoch("init", "x/new.duckdb", "--storage-version", "v9.9.9", code=1).err
        if (tmp_path / "x").mkdir() is None
        else True
    )
    assert not list((tmp_path / "x").iterdir())


def test_the_command(make_repo: MakeRepo, epoch: Epoch) -> None:
    repo = make_repo("CREATE TABLE t AS SELECT 1 AS i; CREATE VIEW reads AS FROM read_csv('/etc/passwd')")
    repo.close()
    db = str(repo.path)
    told = epoch("--db", db, "publish", "main").err
    assert told.startswith(
        f"warning: {published(repo) / 'main.duckdb'} lacks view reads: it calls read_csv()\nPublished main ("
    )
    assert "Unchanged: main (" in epoch("--db", db, "publish").err
    ((found),) = epoch("--db", db, "publish", "--json", "--to", "copies", "--materialize").json
    assert found["status"] == "published"
    assert Path(found["path"]) == Path.cwd() / "copies" / "main.duckdb"
    epoch("--db", db, "publish", "nope", code=1)
