"""What a person at a terminal sees: wide rows, wide differences, a pager that holds no lock, and readers side by side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import duckdb
import pytest

from epoch_sql.cli import output
from epoch_sql.cli.table import cut
from tests.conftest import Epoch

WIDE = ", ".join(f"i + {n} AS column_{n}" for n in range(31))
READER = "import duckdb, sys; con = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); input()"


@pytest.fixture
def wide(epoch: Epoch, tmp_path: Path) -> Epoch:
    change(
        tmp_path,
        f"CREATE TABLE wide AS SELECT {WIDE}, 'long ' || repeat('x', 100) AS t, '日本語🦆' AS u FROM range(20) AS r(i);"
        "CREATE TABLE plain (id INTEGER PRIMARY KEY, x INTEGER); INSERT INTO plain SELECT i, i FROM range(40) AS r(i)",
    )
    epoch("init", "shop.duckdb")
    epoch("table", "key", "wide", "column_0")
    epoch("commit", "-m", "first")
    return epoch


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A terminal of 80 columns and 30 lines, and what its pager showed."""
    paged: list[str] = []
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "30")
    monkeypatch.setattr(click, "echo_via_pager", lambda content, color: paged.append(content))
    return paged


def change(folder: Path, sql: str) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(sql)


def widest(text: str) -> int:
    from rich.cells import cell_len

    return max(cell_len(line.rstrip()) for line in text.splitlines())


def test_rows_that_do_not_fit_are_shown_as_records(wide: Epoch, screen: list[str]) -> None:
    wide("query", "FROM wide ORDER BY column_0 LIMIT 2")
    (shown,) = screen
    assert widest(shown) <= 80
    assert "record 1" in shown and "record 2" in shown
    assert "column_30 │ 30" in shown and "u         │ 日本語🦆" in shown
    assert "x…" in shown


def test_rows_that_fit_are_a_table_with_long_values_cut(wide: Epoch, screen: list[str]) -> None:
    shown = wide("query", "SELECT column_0 AS a, t FROM wide ORDER BY ALL LIMIT 2").out
    assert not screen and "record" not in shown and "x…" in shown
    assert widest(shown) <= 80


def test_other_forms_cut_nothing(wide: Epoch, screen: list[str]) -> None:
    assert "x" * 100 in wide("query", "SELECT t FROM wide LIMIT 1", "--json").out


@pytest.mark.parametrize("text", ["", "abcdef", "日本語日本語", "🦆🦆🦆🦆", "e\u0301e\u0301e\u0301"])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 12])
def test_a_cut_text_is_never_wider(text: str, columns: int) -> None:
    from rich.cells import cell_len

    found = cut(text, columns)
    assert cell_len(found) <= columns
    assert found == text or found.endswith("…")


def test_wide_differences_show_the_key_and_what_changed(wide: Epoch, tmp_path: Path, screen: list[str]) -> None:
    change(tmp_path, "UPDATE wide SET column_5 = 99 WHERE column_0 IN (3, 11); DELETE FROM wide WHERE column_0 = 7")
    shown = wide("diff").out
    assert widest(shown) <= 80
    assert "column_0" in shown and "8 → 99" in shown and "column_30" not in shown
    wide("diff", "--all-columns", "--limit", "0")
    assert "column_30" in "".join(screen) or "column_30" in wide("diff", "--all-columns").out


def test_many_changed_columns_are_listed_below_the_key(wide: Epoch, tmp_path: Path, screen: list[str]) -> None:
    change(tmp_path, f"UPDATE wide SET {', '.join(f'column_{n} = -1' for n in range(1, 31))} WHERE column_0 = 3")
    wide("diff")
    (shown,) = screen
    assert widest(shown) <= 80
    assert "column_0 3" in shown and "column_30: 33 → -1" in shown


def test_many_rows_are_shown_some_at_once(
    wide: Epoch, tmp_path: Path, screen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more rows are held than these. The first of them tell the form, and a change in a later one is not hidden."""
    monkeypatch.setattr(output, "_AT_ONCE", 7)
    monkeypatch.setenv("LINES", "5")
    wide("query", "SELECT id, CASE WHEN id = 30 THEN 'much longer' ELSE 'x' END AS v FROM plain ORDER BY id")
    wide("query", "FROM wide ORDER BY column_0")
    wide("query", "SELECT id FROM plain WHERE false")
    table, records = screen
    lines = [line.split() for line in table.splitlines() if line.strip(" ─")]
    assert [line[0].split("m")[-1] for line in lines] == ["id", *map(str, range(40))]
    assert [f"record {number} " in records for number in range(22)] == [False, *[True] * 20, False]
    screen.clear()
    change(
        tmp_path, "UPDATE wide SET column_5 = 99 WHERE column_0 < 9; UPDATE wide SET column_9 = 77 WHERE column_0 > 15"
    )
    shown = wide("diff", "--limit", "0").out + "".join(screen)
    assert widest(shown) <= 80
    headings = [line.split() for line in shown.splitlines() if "column_0" in line]
    assert headings == [["column_0", "column_5"], ["column_0", "column_5", "column_9"]]
    assert "25 → 77" in shown and "8 → 99" in shown


@pytest.mark.parametrize("form", [(), ("--json",), ("--format", "csv")])
@pytest.mark.slow
def test_a_difference_is_in_the_order_of_the_key(wide: Epoch, tmp_path: Path, form: tuple[str, ...]) -> None:
    change(tmp_path, "UPDATE plain SET x = x + 1000 WHERE id % 2 = 0; DELETE FROM plain WHERE id % 3 = 1")
    first = wide("diff", *form, "--", "plain").out
    assert all(wide("diff", *form, "--", "plain").out == first for _ in range(3))
    if form == ("--json",):
        rows = wide("diff", "--json", "--", "plain").json
        ids = [row["from_id"] for row in rows]
        assert ids == sorted(ids) and len(ids) > 20


def test_a_pager_starts_when_the_database_is_closed(
    wide: Epoch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def read(content: str, color: bool) -> None:
        # Another process could write now.
        code = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
        opened.append(subprocess.run([sys.executable, "-c", code, str(tmp_path / "shop.duckdb")]).returncode)

    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setattr(click, "echo_via_pager", read)
    wide("query", "FROM plain")
    assert opened == [0]


def test_readers_work_while_others_read(wide: Epoch, tmp_path: Path) -> None:
    change(tmp_path, "DELETE FROM plain WHERE id = 1")
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "shop.duckdb")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout and reader.stdin
        assert reader.stdout.readline() == b"open\n"
        assert "plain" in wide("--wait", "0", "status").out
        assert "first" in wide("--wait", "0", "log").out
        assert "-1" in wide("--wait", "0", "diff", "--stat").out or wide("--wait", "0", "diff").out
        assert "39" in wide("--wait", "0", "query", "SELECT count(*) FROM plain").out
        refused = wide("--wait", "0", "commit", "-m", "second", code=1).err
        assert f"PID {reader.pid}" in refused and "read_only=True" in refused
        reader.stdin.close()


def test_a_checkout_of_the_branch_that_is_checked_out_keeps_changes(wide: Epoch, tmp_path: Path) -> None:
    change(tmp_path, "DELETE FROM plain WHERE id = 1")
    assert "Already on 'main'" in wide("checkout", "main").err
    assert "removed" in wide("status").out or "-1" in wide("status").out
    assert "Already on 'main'" in wide("checkout", "main", "--force").err
    assert "nothing to commit" in wide("status").out


def test_a_lost_key_column_leaves_the_rest_of_the_status(wide: Epoch, tmp_path: Path) -> None:
    change(tmp_path, "ALTER TABLE wide DROP COLUMN column_0; DELETE FROM plain WHERE id = 1")
    shown = wide("status").out
    assert "plain" in shown and "-1" in shown and "wide" in shown and "epoch table key TABLE --remove" in shown
    assert {row["table_name"]: row["change"] for row in wide("status", "--json").json["changes"]} == {
        "plain": "modified",
        "wide": "unkeyed",
    }
    assert "has lost column_0" in wide("commit", "-m", "second", code=1).err
    wide("table", "key", "wide", "--remove")
    wide("commit", "-m", "second")
    assert "nothing to commit" in wide("status").out


def test_a_key_is_named_or_removed(wide: Epoch) -> None:
    assert "--remove" in wide("table", "key", "wide", code=2).err
    assert "--remove" in wide("table", "key", "wide", "column_1", "--remove", code=2).err


@pytest.mark.parametrize(
    ("branches", "protected", "wanted"),
    [
        (("zeta", "main", "alpha"), (), "main"),
        (("zeta", "beta", "alpha"), ("beta", "zeta"), "beta"),
        (("zeta", "alpha"), (), "zeta"),
    ],
)
@pytest.mark.slow
def test_a_clone_checks_out_the_default_branch(
    epoch: Epoch, tmp_path: Path, branches: tuple[str, ...], protected: tuple[str, ...], wanted: str
) -> None:
    epoch("init", "shop.duckdb", "--branch", branches[0])
    epoch("remote", "add", "origin", str(tmp_path / "store"))
    for branch in branches[1:]:
        epoch("branch", "create", branch)
    for branch in protected:
        epoch("branch", "protect", branch, "--no-force-push")
    for branch in branches:
        epoch("push", "origin", branch)
    if protected:
        epoch("push", "--protection")
    epoch("clone", str(tmp_path / "store"), "copy")
    assert f"On branch {wanted}" in epoch("status", folder="copy").out
