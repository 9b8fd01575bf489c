"""The program on a pseudo-terminal, as ``conflicts resolve --interactive``: what a person sees, types, and gets."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from epoch_sql.cli.main import run

_PATIENCE = 30.0
# What is started in the background ignores interrupts, and so would the program.
_PROGRAM = """
import signal
from epoch_sql.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_QUESTION = re.compile(r"\[q\]uit\? $")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self.screen, self.seen = ours, ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50", "PAGER": "cat"},
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, pattern: str | re.Pattern[str]) -> str:
        """What the program writes up to a text, from where the last look ended."""
        end = time.monotonic() + _PATIENCE
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, f"waited for {pattern}: {self.seen}"
            if select.select([self.screen], [], [], 0.1)[0] and not self._read():
                pytest.fail(f"ended before {pattern}: {self.seen}")
        seen, self.seen = self.seen, ""
        return seen

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def press(self, keys: str) -> None:
        """Types once single keys are read: what came before is thrown away when the terminal is switched to that."""
        end = time.monotonic() + _PATIENCE
        while termios.tcgetattr(self.screen)[3] & termios.ICANON:
            assert time.monotonic() < end, "no single key is read"
            select.select([], [], [], 0.01)
        self.type(keys)

    def ended(self) -> tuple[int, str]:
        """The exit code, and what was written to the end."""
        end = time.monotonic() + _PATIENCE
        while self._read() and time.monotonic() < end:
            pass
        return self.process.wait(_PATIENCE), self.seen

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.screen)

    def _read(self) -> bool:
        # Linux reports EIO on a terminal that nobody holds open any more.
        with suppress(OSError):
            if found := os.read(self.screen, 65536):
                self.seen += _STYLE.sub("", found.decode(errors="replace")).replace("\r", "")
                return True
        return False


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merge that stopped on two rows with clashing cells and on one that was removed, made once."""
    folder = tmp_path_factory.mktemp("stopped")
    database = folder / "shop.duckdb"

    def change(sql: str, message: str) -> None:
        with duckdb.connect(str(database)) as connection:
            connection.execute(sql)
        assert epoch("commit", "-m", message) == 0

    def epoch(*words: str) -> int:
        return run(["--db", str(database), *words])

    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount DECIMAL(10, 2), note VARCHAR)")
        connection.execute("INSERT INTO orders VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        assert run(["init", str(database)]) == 0
        assert epoch("checkout", "-b", "dev") == 0
        change(
            "UPDATE orders SET amount = 11.5, note = 'theirs' WHERE id = 1; UPDATE orders SET amount = 21 WHERE id = 2;"
            "DELETE FROM orders WHERE id = 3",
            "dev",
        )
        assert epoch("checkout", "main") == 0
        change(
            "UPDATE orders SET amount = 12, note = 'ours' WHERE id = 1;"
            "UPDATE orders SET amount = amount + 2 WHERE id > 1",
            "m",
        )
        assert epoch("merge", "dev") == 3
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home-config"))
    monkeypatch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
    for name in ("EPOCH_DB", "EPOCH_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


Start = Callable[..., Terminal]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts the resolution on a terminal."""
    terminals: list[Terminal] = []

    def started(*more: str) -> Terminal:
        terminals.append(Terminal("conflicts", "resolve", "--interactive", *more))
        return terminals[-1]

    yield started
    for terminal in terminals:
        terminal.close()


def orders(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        return [(i, str(amount), note) for i, amount, note in connection.execute("FROM orders ORDER BY id").fetchall()]


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_each_row_shows_both_sides_and_the_base(start: Start, folder: Path) -> None:
    terminal = start()
    first = terminal.until(_QUESTION)
    assert 'orders {"id":1}: modify/modify  (1 of 3)' in first
    assert ["base", "ours", "theirs"] in lines(first)
    assert ["amount", "10.0", "12.0", "11.5"] in lines(first)
    assert ["note", "a", "ours", "theirs"] in lines(first)
    terminal.press("t")
    second = terminal.until(_QUESTION)
    assert "2 left" in second
    assert 'orders {"id":2}: modify/modify  (2 of 3)' in second
    terminal.press("o")
    third = terminal.until(_QUESTION)
    assert 'orders {"id":3}: modify/delete  (3 of 3)' in third
    assert ["amount", "30.0", "32.0", "(removed)"] in lines(third)
    assert "[v]alue" not in third
    terminal.press("t")
    code, end = terminal.ended()
    assert code == 0
    assert "hint: epoch merge --continue, or epoch merge --abort" in end
    assert run(["merge", "--continue"]) == 0
    assert orders(folder) == [(1, "11.50", "theirs"), (2, "22.00", "b")]


def test_a_value_for_each_cell_and_one_that_does_not_fit(start: Start, folder: Path) -> None:
    terminal = start()
    terminal.until(_QUESTION)
    terminal.press("v")
    terminal.until("value of amount .*: $")
    terminal.type("much\n")
    refused = terminal.until(_QUESTION)
    assert "error: 'much' is not a value of column amount DECIMAL(10,2) in table orders" in refused
    terminal.press("v")
    terminal.until("value of amount .*: $")
    terminal.type("99.25\n")
    terminal.until("value of note .*: $")
    terminal.type("it's 🎉\n")
    terminal.until(_QUESTION)
    terminal.press("b")
    terminal.until(_QUESTION)
    terminal.press("o")
    assert terminal.ended()[0] == 0
    assert run(["merge", "--continue"]) == 0
    assert orders(folder) == [(1, "99.25", "it's 🎉"), (2, "20.00", "b"), (3, "32.00", "c")]


@pytest.mark.slow
def test_nothing_typed_as_a_value_goes_back(start: Start) -> None:
    terminal = start()
    terminal.until(_QUESTION)
    terminal.press("v")
    terminal.until("value of amount .*: $")
    terminal.type("\n")
    terminal.until(_QUESTION)
    terminal.press("q")
    assert terminal.ended()[0] == 0


def test_skipped_rows_and_those_after_quitting_stay_open(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = start()
    terminal.until(_QUESTION)
    terminal.press("s")
    terminal.until(_QUESTION)
    terminal.press("t")
    terminal.until(_QUESTION)
    terminal.press("q")
    code, end = terminal.ended()
    assert code == 0
    assert "epoch conflicts resolve --theirs" in end
    assert run(["merge", "--continue"]) == 3
    told = capsys.readouterr().err
    assert 'CONFLICT (modify/modify): orders {"id":1} amount' in told
    assert 'CONFLICT (modify/delete): orders {"id":3}' in told
    assert '{"id":2}' not in told


@pytest.mark.slow
def test_other_keys_are_no_answer_and_the_end_of_the_input_quits(start: Start) -> None:
    terminal = start()
    terminal.until(_QUESTION)
    terminal.press("x")
    terminal.until(_QUESTION)
    terminal.press("\x04")
    code, end = terminal.ended()
    assert (code, end.splitlines()[0]) == (0, "quit")


def test_an_interrupt_keeps_what_was_decided(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = start()
    terminal.until(_QUESTION)
    terminal.press("o")
    terminal.until(_QUESTION)
    terminal.press("\x03")
    assert terminal.ended()[0] == 130
    assert run(["merge", "--continue"]) == 3
    assert '{"id":1}' not in capsys.readouterr().err


@pytest.mark.slow
def test_another_target_than_the_branch_that_is_checked_out(start: Start, folder: Path) -> None:
    assert run(["checkout", "dev"]) == 0
    terminal = start("orders", "--into", "main")
    for _ in range(3):
        terminal.until(_QUESTION)
        terminal.press("o")
    code, end = terminal.ended()
    assert (code, "epoch merge --continue --into main" in end) == (0, True)
    assert run(["merge", "--continue", "--into", "main"]) == 0
    assert orders(folder) == [(1, "11.50", "theirs"), (2, "21.00", "b")]


def test_no_merge_is_said_before_any_question(start: Start) -> None:
    assert run(["merge", "--abort"]) == 0
    code, told = start().ended()
    assert code == 1
    assert "error: no merge into main is in progress" in told


def test_off_a_terminal_it_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["conflicts", "resolve", "--interactive"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: --interactive needs a terminal")
    assert "hint: epoch conflicts resolve --ours" in told.err


def test_an_interrupt_ends_the_program_at_once(tmp_path: Path) -> None:
    """DuckDB would go on, and tell of it in words of its own."""
    database = tmp_path / "shop.duckdb"
    duckdb.connect(str(database)).close()
    assert run(["init", str(database)]) == 0
    terminal = Terminal(
        "--db",
        str(database),
        "query",
        "SET threads = 1; SELECT count(*) FROM range(1000000000000) AS r(i) WHERE i % 7 = 1",
    )
    try:
        terminal.until(r"0:00:01")
        terminal.process.send_signal(signal.SIGINT)
        code, told = terminal.ended()
    finally:
        terminal.close()
    assert code == 130
    # DuckDB may have drawn its own progress in the line, which is cleared.
    assert told.rstrip().endswith("interrupted")
    assert run(["--db", str(database), "fsck"]) == 0


@pytest.mark.slow
def test_copies_of_a_row_without_a_key_can_be_all_taken(start: Start, folder: Path) -> None:
    database = str(folder / "shop.duckdb")

    def change(sql: str) -> None:
        with duckdb.connect(database) as connection:
            connection.execute(sql)
        assert run(["commit", "-m", "x"]) == 0

    assert run(["merge", "--abort"]) == 0
    change("CREATE TABLE bag (v VARCHAR); INSERT INTO bag VALUES ('a'), ('b')")
    assert run(["checkout", "-b", "more"]) == 0
    change("INSERT INTO bag VALUES ('a'), ('a'), ('b'), ('b')")
    assert run(["checkout", "main"]) == 0
    change("INSERT INTO bag VALUES ('a'), ('b')")
    assert run(["merge", "more"]) == 3
    terminal = start()
    first = terminal.until(_QUESTION)
    assert "copies  (1 of 2)" in first
    assert "[a]ll" in first
    assert "[v]alue" not in first
    terminal.press("a")
    assert "[a]ll" in terminal.until(_QUESTION)
    terminal.press("t")
    assert terminal.ended()[0] == 0
    assert run(["merge", "--continue"]) == 0
    with duckdb.connect(database) as connection:
        assert sorted(connection.execute("SELECT count(*) FROM bag GROUP BY v").fetchall()) == [(3,), (4,)]
