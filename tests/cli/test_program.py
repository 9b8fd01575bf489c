"""``epoch`` as a program: help, usage, streams, locks, and the completion of names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.shell_completion import ShellComplete

import epoch_sql
from epoch_sql.cli.main import program
from tests.conftest import Epoch
from tests.support.commands import every_command


@pytest.fixture(scope="module")
def completing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completing")
    with epoch_sql.connect(folder / "shop.duckdb") as con:
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY); CALL epoch_init(); CALL epoch_tag('v1')")
        con.execute("CALL epoch_branch('development'); CALL epoch_check_add('positive', 'FROM orders WHERE id < 0')")
        con.execute("CALL epoch_remote_add('origin', ?)", [str(folder / "store")])
    return folder / "shop.duckdb"


class TestProgram:
    def test_every_command_explains_itself(self, epoch: Epoch) -> None:
        for path, _ in every_command():
            told = epoch(*path, "--help").out
            assert told.startswith(f"Usage: epoch {' '.join(path)}")
            assert re.search(r"^  [A-Z].*", told, re.MULTILINE)

    def test_help_lists_every_command_under_a_heading(self, epoch: Epoch) -> None:
        told = epoch("--help").out
        for name, command in program.every().items():
            assert command.name == name
            assert re.search(rf"^  {name} +\S", told, re.MULTILINE)

    def test_usage_errors_exit_2(self, epoch: Epoch) -> None:
        assert epoch("nonsense", code=2).err.startswith("error: ")
        assert epoch("log", "--nonsense", code=2).err.endswith("hint: epoch log --help\n")

    def test_outside_of_a_repository(self, epoch: Epoch) -> None:
        told = epoch("status", code=1)
        assert told.err.startswith("error: no Epoch repository in ")
        assert told.err.endswith("hint: epoch init\n")

    def test_results_go_to_stdout_and_messages_to_stderr(self, developed: Epoch) -> None:
        for arguments in (["status"], ["log"], ["diff", "main.."], ["branch"], ["table"]):
            told = developed(*arguments)
            assert told.out
            assert told.err == ""


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion(self, epoch: Epoch, shell: str) -> None:
        assert "_EPOCH_COMPLETE" in epoch("completion", shell).out

    @pytest.mark.parametrize(
        ("words", "begun", "names"),
        [
            (["checkout"], "", ["HEAD", "development", "main", "v1"]),
            (["log"], "de", ["development"]),
            (["merge"], "m", ["main"]),
            (["merge", "main", "--into"], "", ["development", "main"]),
            (["diff"], "main..dev", ["main..development"]),
            (["diff", "main"], "o", ["orders"]),
            (["table", "key"], "", ["orders"]),
            (["branch", "delete"], "", ["development", "main"]),
            (["branch", "create"], "", []),
            (["tag", "delete"], "", ["v1"]),
            (["push"], "", ["origin"]),
            (["remote", "remove"], "", ["origin"]),
            (["check", "remove"], "", ["positive"]),
            (["config", "get"], "", []),
        ],
    )
    def test_names_are_completed(self, completing: Path, words: list[str], begun: str, names: list[str]) -> None:
        asked = ["--db", str(completing), *words]
        found = ShellComplete(program, {}, "epoch", "_EPOCH_COMPLETE").get_completions(asked, begun)
        assert sorted(item.value for item in found) == names

    def test_where_there_is_no_database_nothing_is_completed(self, tmp_path: Path) -> None:
        asked = ["--db", str(tmp_path / "none.duckdb"), "checkout"]
        assert ShellComplete(program, {}, "epoch", "_EPOCH_COMPLETE").get_completions(asked, "") == []


class TestProcesses:
    """What only another process shows: the lock, a reader that leaves, the installed program."""

    @staticmethod
    def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        program = Path(sys.executable).with_name("epoch")
        return subprocess.Popen(
            [program, *arguments], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def test_a_locked_database_names_the_holder(self, shop: Epoch, folder: Path) -> None:
        with duckdb.connect(str(folder / "shop.duckdb")):
            waiting = self.start(folder, "--wait", "0.3", "status")
            out, err = waiting.communicate(timeout=30)
        assert (waiting.returncode, out) == (1, "")
        assert f"(PID {os.getpid()})" in err
        assert err.startswith("error: the database is locked by ")

    def test_a_lock_that_is_released_in_time(self, shop: Epoch, folder: Path) -> None:
        with duckdb.connect(str(folder / "shop.duckdb")) as connection:
            waiting = self.start(folder, "--wait", "30", "status")
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(timeout=1)
            connection.execute("DELETE FROM orders")
        out, err = waiting.communicate(timeout=30)
        assert (waiting.returncode, err) == (0, "")
        assert "modified:  orders" in out

    def test_a_reader_that_leaves_is_no_error(self, shop: Epoch, folder: Path) -> None:
        writing = self.start(folder, "query", "FROM range(1000000)", "--format", "csv")
        assert writing.stdout is not None
        assert writing.stderr is not None
        assert writing.stdout.readline() == "range\n"
        writing.stdout.close()
        assert (writing.wait(timeout=60), writing.stderr.read()) == (141, "")
        writing.stderr.close()
