"""Databases that cannot be worked on: locked, newer, in memory, without a repository, read-only, collated."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from tests.conftest import MakeRepo, Repo

EPOCH = str(Path(sys.executable).with_name("epoch"))
HOLDER = """
import sys, time
import duckdb
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
NO_ARGUMENTS = ("epoch_status()", "epoch_log()", "epoch_branches()", "epoch_tables()", "epoch_fsck()")
PROCEDURES = (
    "epoch_commit('x')",
    "epoch_branch('x')",
    "epoch_branch_delete('x')",
    "epoch_checkout('x')",
    "epoch_reset()",
    "epoch_stash()",
    "epoch_stash_pop()",
    "epoch_tag('x')",
    "epoch_ignore('x')",
    "epoch_gc()",
    "epoch_compact()",
)


def hold(path: Path, seconds: float) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path), str(seconds)], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    return process


def first_line(message: str) -> str:
    assert "Traceback" not in message
    return message.strip().splitlines()[0]


class TestLocked:
    def test_the_program_waits_and_then_names_the_holder(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER)")
        repo.close()
        with hold(repo.path, 60) as holder:
            begun = time.monotonic()
            done = subprocess.run(
                [EPOCH, "--wait", "1", "status"], cwd=repo.path.parent, capture_output=True, text=True, check=False
            )
            holder.kill()
        assert done.returncode == 1
        assert time.monotonic() - begun >= 1
        error, hint = done.stderr.strip().splitlines()
        assert error.startswith("error: the database is locked by ")
        assert f"{sys.executable} -c " in error and f"(PID {holder.pid})" in error
        assert hint.startswith("hint: ")

    def test_the_program_goes_on_when_the_lock_is_gone(self, make_repo: MakeRepo) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER)")
        repo.close()
        with hold(repo.path, 1):
            done = subprocess.run(
                [EPOCH, "--wait", "30", "status"], cwd=repo.path.parent, capture_output=True, text=True, check=False
            )
        assert (done.returncode, done.stderr) == (0, "")

    def test_python_gets_duckdbs_own_error(self, make_repo: MakeRepo) -> None:
        repo = make_repo()
        repo.close()
        with hold(repo.path, 60) as holder:
            with pytest.raises(duckdb.IOException, match=f"PID {holder.pid}"):
                epoch_sql.connect(repo.path)
            holder.kill()


class TestRefused:
    @pytest.mark.grid(every=4)
    @pytest.mark.parametrize(
        "call", [*NO_ARGUMENTS, *PROCEDURES, "epoch_at('HEAD', 't')", "epoch_diff('HEAD', 'WORKING')"]
    )
    def test_no_repository(self, make_repo: MakeRepo, call: str) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER)", init=False)
        line = first_line(repo.refused(f"FROM {call}"))
        assert f"EpochRepositoryError: {repo.path} has no Epoch repository" in line
        assert "epoch_init()" in line

    @pytest.mark.grid(every=4)
    @pytest.mark.parametrize("call", [*NO_ARGUMENTS, *PROCEDURES, "epoch_init()"])
    def test_in_memory(self, call: str) -> None:
        with epoch_sql.connect(":memory:") as con, pytest.raises(duckdb.Error) as caught:
            con.execute(f"FROM {call}")
        line = first_line(str(caught.value))
        assert "EpochRepositoryError: an in-memory database cannot be versioned" in line
        assert "epoch_sql.connect('shop.duckdb')" in line

    @pytest.mark.grid(every=4)
    @pytest.mark.parametrize("call", [*NO_ARGUMENTS, *PROCEDURES, "epoch_init()"])
    def test_a_newer_catalog(self, make_repo: MakeRepo, call: str) -> None:
        repo = make_repo()
        repo("UPDATE epoch.state SET catalog_version = 99")
        line = first_line(repo.refused(f"FROM {call}"))
        assert "EpochRepositoryError: the repository of " in line
        assert "was written by a newer Epoch (catalog version 99" in line
        assert "pip install --upgrade epoch-sql" in line

    @pytest.mark.grid(every=3)
    @pytest.mark.parametrize("call", [*PROCEDURES, "epoch_init()"])
    def test_procedures_on_a_read_only_connection(self, make_repo: MakeRepo, call: str) -> None:
        repo = opened_read_only(make_repo)
        line = first_line(repo.refused(f"FROM {call}"))
        assert f"EpochReadOnlyError: {repo.path} is open read-only, so nothing can be changed" in line

    def test_reading_on_a_read_only_connection(self, make_repo: MakeRepo) -> None:
        repo = opened_read_only(make_repo)
        assert repo.status() == [("t", "modified", 1, 0, 0)]
        assert repo.at("HEAD", "t") == [(1,)]
        assert repo("SELECT diff_type FROM epoch_diff('HEAD', 'WORKING')") == [("added",)]
        for call in NO_ARGUMENTS:
            repo(f"FROM {call}")

    @pytest.mark.grid(every=6)
    @pytest.mark.parametrize("collation", ["nocase", "NOACCENT.NOCASE"])
    @pytest.mark.parametrize(
        "call", [*NO_ARGUMENTS, *PROCEDURES, "epoch_at('HEAD', 't')", "epoch_diff('HEAD', 'WORKING')"]
    )
    def test_strings_that_are_equal_though_they_differ(self, make_repo: MakeRepo, collation: str, call: str) -> None:
        repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'a')")
        repo("UPDATE t SET v = 'A'")
        repo(f"SET GLOBAL default_collation = '{collation}'")
        line = first_line(repo.refused(f"FROM {call}"))
        assert f"EpochRepositoryError: default_collation is {collation}" in line
        assert "RESET default_collation" in line
        repo("RESET default_collation")
        assert repo.status() == [("t", "modified", 0, 1, 0)]


def opened_read_only(make_repo: MakeRepo) -> Repo:
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    repo("INSERT INTO t VALUES (2)")
    repo.con.close()
    repo.con = epoch_sql.connect(repo.path, read_only=True)
    return repo
