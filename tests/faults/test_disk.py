"""Disks that are full or cannot be written: one line says so, nothing is changed, and reading goes on."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql.catalog.history import Refs
from epoch_sql.errors import EpochStorageError
from epoch_sql.storage.writing import LevelWriter
from epoch_sql.verbs import committing
from tests.conftest import Epoch, MakeRepo, Repo

ROOT = os.geteuid() == 0
MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own: 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Makes folders read-only, for root as well."""
    done: list[Path] = []

    def make(folder: Path) -> None:
        done.append(folder)
        if ROOT:
            subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        else:
            folder.chmod(0o555)

    yield make
    for folder in done:
        if ROOT:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        else:
            folder.chmod(0o755)


def one_line(message: str, kind: str = "EpochStorageError") -> str:
    """The error's own line; DuckDB adds where in the statement the function stands."""
    lines = message.strip().splitlines()
    assert f"{kind}: " in lines[0]
    assert "Traceback" not in message
    return lines[0]


if ROOT:
    # Only root can mount a disk; TestRefusedWrites has the same faults for everybody.
    class TestFull:
        def test_a_commit_that_does_not_fit(self, disk: Path) -> None:
            repo = Repo(disk / "shop.duckdb")
            repo(
                "CREATE TABLE t (i INTEGER PRIMARY KEY, v UUID);"
                "INSERT INTO t SELECT i, uuid() FROM range(300000) AS r(i)"
            )
            ballast = disk / "ballast"
            for logged, left, reason in ((False, 2 * MIB, "No space left on device"), (True, MIB, "is full")):
                repo("CHECKPOINT")
                if logged:
                    repo("CREATE TABLE small (i INTEGER)")
                ballast.write_bytes(bytes(shutil.disk_usage(disk).free - left))
                message = one_line(repo.refused("CALL epoch_init()"))
                assert reason in message
                assert "free space" in message
                ballast.unlink()
            assert not list((disk / ".epoch" / "objects").glob("*/*"))
            repo("CALL epoch_init()")
            repo("UPDATE t SET v = uuid() WHERE i % 2 = 0")
            repo("CHECKPOINT")
            before = repo.head(), repo("SELECT count(*), bit_xor(hash(t)) FROM t"), repo.status()
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 2 * MIB))
            one_line(repo.refused("CALL epoch_commit('does not fit')"))
            assert (repo.head(), repo("SELECT count(*), bit_xor(hash(t)) FROM t"), repo.status()) == before
            ballast.unlink()
            assert repo.commit("fits") == (1, 0, 150000, 0)
            assert repo("CALL epoch_fsck()") == []
            repo.close()


class TestRefusedWrites:
    """A file system that refuses to write on, at a chosen moment: a limit on the size of files."""

    @pytest.fixture
    def limited(self) -> Iterator[Callable[[int], None]]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)

        def limit(size: int) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

        yield limit
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    @pytest.fixture
    def limited_copy(self, limited: Callable[[int], None]) -> Callable[..., int]:
        """Writes a file as a commit does, where files may not grow beyond 100 kB."""
        copy = LevelWriter._copy

        def copied(*arguments: object) -> int:
            limited(100_000)
            try:
                return copy(*arguments)  # type: ignore[arg-type]
            finally:
                limited(resource.RLIM_INFINITY)

        return copied

    def test_in_the_middle_of_a_file(
        self, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch, limited_copy: Callable[..., int]
    ) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR)")
        repo("INSERT INTO t SELECT i, md5(i::VARCHAR) FROM range(50000) AS r(i)")
        before = repo.head(), repo.status()
        with monkeypatch.context() as patched:
            patched.setattr(LevelWriter, "_copy", limited_copy)
            message = one_line(repo.refused("CALL epoch_commit('does not fit')"))
        assert "cannot write to" in message
        assert "File too large" in message
        assert (repo.head(), repo.status()) == before
        assert not list((repo.path.parent / ".epoch" / "objects" / "incoming").iterdir())
        assert repo.commit("fits") == (1, 50000, 0, 0)
        assert repo("CALL epoch_fsck()") == []

    def test_an_import(
        self, make_repo: MakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limited_copy: Callable[..., int]
    ) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (-1, 'x')")
        repo(f"COPY (SELECT i, md5(i::VARCHAR) AS v FROM range(50000) AS r(i)) TO '{tmp_path}/t.csv'")
        load = f"CALL epoch_import_files(['{tmp_path}/t.csv'], mode := 'append')"
        before = repo.head(), repo.status(), repo("FROM t")
        with monkeypatch.context() as patched:
            patched.setattr(LevelWriter, "_copy", limited_copy)
            assert "File too large" in one_line(repo.refused(load))
        assert (repo.head(), repo.status(), repo("FROM t")) == before
        assert not list((repo.path.parent / ".epoch" / "objects" / "incoming").iterdir())
        repo(load)
        assert repo("SELECT count(*) FROM epoch_at('HEAD', 't')") == [(50001,)]
        assert repo("CALL epoch_fsck()") == []

    def test_an_export(self, make_repo: MakeRepo, tmp_path: Path, limited: Callable[[int], None]) -> None:
        """What was at the place before is there afterwards, and nothing else."""
        repo = make_repo(
            "CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t SELECT i, md5(i::VARCHAR) FROM range(20000) AS r(i)"
        )
        before = repo.head(), repo.status()
        folder = tmp_path / "out"
        folder.mkdir()
        for form in ("parquet", "csv", "json", "arrow"):
            (folder / f"t.{form}").write_text("as it was")
        calls = [f"'{folder}/t.{form}', tables := ['t']" for form in ("parquet", "csv", "json", "arrow")]
        calls += [f"'{folder}/all', form := 'csv'", f"'{folder}/t.sql'", f"'{folder}/t.duckdb'"]
        names = sorted(folder.iterdir())
        for call in calls:
            limited(100_000)
            try:
                message = repo.refused(f"CALL epoch_export('HEAD', {call})")
            finally:
                limited(resource.RLIM_INFINITY)
            assert f"cannot write {folder}" in one_line(message), message
            assert sorted(folder.iterdir()) == names
            assert {file.read_text() for file in names} == {"as it was"}
        assert (repo.head(), repo.status()) == before
        for call in calls:
            repo(f"CALL epoch_export('HEAD', {call})")

    def test_as_the_transaction_commits(
        self, make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch, limited: Callable[[int], None]
    ) -> None:
        """DuckDB may close a database whose log it cannot write; what was committed before is there afterwards."""
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t FROM range(100)")
        repo("INSERT INTO t VALUES (-1)")
        before = repo.head(), repo.status()
        put = Refs.put

        def limited_put(*arguments: object) -> None:
            put(*arguments)  # type: ignore[arg-type]
            limited(1)

        with monkeypatch.context() as patched:
            patched.setattr(Refs, "put", limited_put)
            message = repo.refused("CALL epoch_commit('does not fit')")
        limited(resource.RLIM_INFINITY)
        one_line(message)
        repo.reopen()
        assert (repo.head(), repo.status()) == before
        assert repo.commit("fits") == (1, 1, 0, 0)
        assert repo("CALL epoch_fsck()") == []


class TestReadOnly:
    def test_files_that_cannot_be_written(self, make_repo: MakeRepo, read_only: Callable[[Path], None]) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
        repo("INSERT INTO t VALUES (2)")
        before = repo.head()
        read_only(repo.path.parent / ".epoch")
        message = one_line(repo.refused("CALL epoch_commit('refused')"))
        assert f"cannot write to {repo.path.parent / '.epoch' / 'objects'}" in message
        assert "make the folder writable" in message
        assert repo.head() == before
        assert repo.status() == [("t", "modified", 1, 0, 0)]
        assert repo.at("HEAD", "t") == [(1,)]
        assert repo("CALL epoch_fsck()") == []

    def test_a_folder_in_which_no_repository_can_be_made(
        self, make_repo: MakeRepo, read_only: Callable[[Path], None]
    ) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY)", init=False)
        folder = repo.path.parent / ".epoch"
        folder.mkdir()
        read_only(folder)
        message = repo.refused("CALL epoch_init()").strip().splitlines()[0]
        assert "EpochConfigError" in message or "EpochStorageError" in message
        assert "cannot be written" in message
        assert "(hint: " in message
        assert "EpochRepositoryError" in repo.refused("FROM epoch_log()")

    def test_a_read_only_disk(self, make_repo: MakeRepo, read_only: Callable[[Path], None]) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
        repo("INSERT INTO t VALUES (2)")
        repo.con.close()
        read_only(repo.path.parent)
        with pytest.raises(duckdb.IOException):
            epoch_sql.connect(repo.path)
        repo.con = epoch_sql.connect(repo.path, read_only=True)
        assert repo.status() == [("t", "modified", 1, 0, 0)]
        assert repo.at("HEAD", "t") == [(1,)]
        assert repo("CALL epoch_fsck()") == []
        assert "is open read-only" in one_line(repo.refused("CALL epoch_commit('x')"), "EpochReadOnlyError")

    def test_the_command_line_on_a_read_only_disk(
        self, make_repo: MakeRepo, read_only: Callable[[Path], None], epoch: Epoch
    ) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
        repo("INSERT INTO t VALUES (2)")
        repo.con.close()
        read_only(repo.path.parent)
        database = str(repo.path)
        assert "modified:  t" in epoch("--db", database, "status").out
        for arguments in (["log", "--oneline"], ["query", "FROM t"], ["diff", "HEAD"], ["fsck"]):
            epoch("--db", database, *arguments)
        assert "error: cannot write to " in epoch("init", str(repo.path.with_name("new.duckdb")), code=1).err
        for arguments in (["commit", "-m", "x"], ["gc"], ["init"], ["checkout", "main"]):
            assert epoch("--db", database, *arguments, code=1).err == (
                f"error: cannot write to {database}: {'Read-only file system' if ROOT else 'Permission denied'}\n"
                "hint: make the file and its folder writable\n"
            )


def test_a_refused_init_leaves_no_folder(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would belong to a database without a repository, and no other database there could have one."""

    def full(*_: object) -> None:
        raise EpochStorageError("the disk is full", "free space")

    repo = make_repo("CREATE TABLE t AS SELECT 1 AS i", init=False)
    with monkeypatch.context() as patch:
        patch.setattr(committing, "record", full)
        assert "the disk is full (hint: free space)" in one_line(repo.refused("CALL epoch_init()"))
    assert not (repo.path.parent / ".epoch").exists()
    assert "has no Epoch repository" in repo.refused("FROM epoch_status()")
    repo("CALL epoch_init()")
    assert "has an Epoch repository already" in repo.refused("CALL epoch_init()")
    assert repo("CALL epoch_fsck()") == []
