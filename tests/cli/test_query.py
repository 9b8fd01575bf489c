"""``epoch query``: where its statements come from, what their parameters are, and how their rows are written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow
import pytest

from tests.conftest import Epoch

PROGRAM = (sys.executable, "-c", "from epoch_sql.cli.main import main; main()")
ROWS = "SELECT i AS id, 'name ' || i AS name, i / 7 AS x FROM range({}) t(i)"


@pytest.fixture
def shop(epoch: Epoch) -> Epoch:
    """A repository with one table."""
    epoch("init", "shop.duckdb")
    epoch(
        "query", "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR); INSERT INTO orders VALUES (1, 'Ada')"
    )
    epoch("commit", "-m", "Orders")
    return epoch


def test_where_sql_comes_from(shop: Epoch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 1 AS a;\n-- a comment; no statement\nFROM orders"))
    assert shop("query").out == "a\n1\nid  customer\n1   Ada\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 2 AS a"))
    assert shop("query", "-", "--json").json == [{"a": 2}]
    (tmp_path / "q.sql").write_text("SELECT 'ä;' AS a; UPDATE orders SET customer = 'Bo'; FROM orders")
    assert shop("query", "--file", "q.sql", "--json").json == [{"id": 1, "customer": "Bo"}]
    assert shop("query", "--ref", "HEAD", "FROM orders; SELECT 3 AS b").out == "id  customer\n1   Ada\nb\n3\n"
    for words in (["--file", "q.sql", "SELECT 1"], ["--file", "none.sql"], ["-- nothing"]):
        shop("query", *words, code=2)
    assert len(shop("query", "SELECT 1; SELEC 2", code=1).err.splitlines()) == 1


def test_statements_share_a_transaction_and_what_is_temporary(shop: Epoch) -> None:
    told = shop(
        "query", "BEGIN; INSERT INTO orders VALUES (2, 'Bo'); FROM orders ORDER BY id; COMMIT", "--format", "markdown"
    )
    assert "| 2 | Bo |" in told.out
    assert shop("query", "CREATE TEMP TABLE x AS SELECT 1 AS a; FROM x", "--json").json == [{"a": 1}]
    shop("query", "INSERT INTO orders VALUES (3, 'Cy'); SELECT nope", code=1)
    assert shop("query", "SELECT count(*) AS n FROM orders", "--json").json == [{"n": 3}]


def test_values_are_parameters_and_never_sql(shop: Epoch) -> None:
    hostile = "'; DROP TABLE orders; --"
    sql = "INSERT INTO orders VALUES ($id, $name); FROM orders WHERE id = $id"
    assert shop("query", sql, "-p", "id=2", "-p", f"name={hostile}=x", "--json").json == [
        {"id": 2, "customer": f"{hostile}=x"}
    ]
    assert (
        shop("query", "SELECT customer AS c FROM orders WHERE id = ? AND customer = ?", "-p", "1", "-p", "Ada").out
        == "c\nAda\n"
    )
    for words, told in (
        (["SELECT $x"], "parameter x has no value"),
        (["SELECT $x", "-p", "x=1", "-p", "y=2"], "no parameter $y"),
        (["SELECT ?"], "the SQL has 1 parameters, and 0 are given"),
        (["--ref", "HEAD", "SELECT ?", "-p", "1"], "--ref takes no parameters"),
    ):
        assert told in shop("query", *words, code=2).err


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
@pytest.mark.slow
def test_many_rows_are_all_written(shop: Epoch, form: str) -> None:
    out = shop("query", ROWS.format(25_000), "--format", form).out
    if form == "json":
        assert json.loads(out)[24_999] == {"id": 24_999, "name": "name 24999", "x": 24_999 / 7}
    assert out.count("name 1") == 1 + 10 + 100 + 1000 + 10_000
    assert len(out.splitlines()) == {"table": 25_001, "json": 25_002, "csv": 25_001, "markdown": 25_002}[form]


@pytest.mark.slow
def test_forms_for_programs(shop: Epoch, tmp_path: Path) -> None:
    """In a process of its own, whose standard output takes bytes."""
    sql = "SELECT 170141183460469231731687303715884105727::HUGEINT AS h, [1, NULL] AS l"
    for form in ("parquet", "arrow"):
        with (tmp_path / f"out.{form}").open("wb") as out:
            subprocess.run([*PROGRAM, "query", sql, "--format", form], stdout=out, check=True)
    with duckdb.connect() as con:
        assert con.sql(f"SELECT l FROM '{tmp_path}/out.parquet'").fetchall() == [([1, None],)]
        table = pyarrow.ipc.open_stream(tmp_path / "out.arrow").read_all()
        con.register("arrow", table)
        assert con.sql("SELECT h, typeof(h) FROM arrow").fetchall() == [(2**127 - 1, "HUGEINT")]


@pytest.mark.slow
def test_rows_are_written_as_they_come(shop: Epoch, tmp_path: Path) -> None:
    """Half a million rows need no more memory than ten thousand, but for a batch."""
    command = [*PROGRAM, "query"]

    def memory(rows: int) -> int:
        with (
            Path(os.devnull).open("wb") as nowhere,
            subprocess.Popen([*command, ROWS.format(rows)], stdout=nowhere) as process,
        ):
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = status
        assert status == 0
        return used.ru_maxrss

    assert memory(500_000) < memory(10_000) + 64 * 1024
