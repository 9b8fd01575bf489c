"""Two tables whose names are written alike, "a.b" of schema main and b of schema a: each command tells them apart."""

from __future__ import annotations

from pathlib import Path

import pytest

import epoch_sql
from tests.conftest import Epoch

BOTH = ('"a.b"', "a.b")


@pytest.fixture
def alike(epoch: Epoch, tmp_path: Path) -> Epoch:
    with epoch_sql.connect(tmp_path / "shop.duckdb") as con:
        con.execute(
            'CREATE TABLE "a.b" (id INTEGER, v INTEGER); CREATE SCHEMA a; CREATE TABLE a.b (id INTEGER, v INTEGER)'
        )
        con.execute("CALL epoch_init()")
        con.execute("""CALL epoch_key('"a.b"', ['id']); CALL epoch_key('a.b', ['id'])""")
        con.execute('INSERT INTO "a.b" VALUES (7, 1); INSERT INTO a.b VALUES (8, 1)')
    return epoch


def test_in_what_is_listed(alike: Epoch) -> None:
    assert [row["table_name"] for row in alike("status", "--json").json["changes"]] == [*BOTH]
    assert {row["table_name"]: row["key_columns"] for row in alike("table", "list", "WORKING", "--json").json} == {
        name: ["id"] for name in BOTH
    }
    assert [row["table_name"] for row in alike("diff", "--stat", "--json").json] == [*BOTH]
    told = alike("diff").out
    assert '"a.b"  +1' in told and "\na.b  +1" in told
    assert "7" in told and "8" in told


@pytest.mark.parametrize(("name", "row"), [('"a.b"', 7), ("a.b", 8)])
def test_in_what_is_addressed(alike: Epoch, name: str, row: int) -> None:
    assert [found["to_id"] for found in alike("diff", name, "--json").json] == [row]
    assert f"VALUES ({row}, 1)" in alike("diff", name, "--patch").out
    alike("commit", "-m", "both")
    assert len(alike("log", "--table", name, "--json").json) >= 1
    alike("export", "HEAD", name, "out.csv")
    assert Path("out.csv").read_text() == f"id,v\n{row},1\n"


def test_in_conflicts(alike: Epoch) -> None:
    alike("commit", "-m", "both")
    alike("branch", "create", "side")
    for branch, value in (("side", 2), ("main", 3)):
        alike("checkout", branch)
        alike("query", f'UPDATE "a.b" SET v = {value}; UPDATE a.b SET v = {value}')
        alike("commit", "-m", branch)
    alike("merge", "side", code=3)
    assert [row["table_name"] for row in alike("conflicts", "--format", "json").json["conflicts"]] == [*BOTH]
    alike("conflicts", "resolve", '"a.b"', "--theirs")
    alike("conflicts", "resolve", "a.b", "--ours")
    alike("merge", "--continue")
    assert alike("query", 'SELECT (SELECT v FROM "a.b") AS x, (SELECT v FROM a.b) AS y', "--json").json == [
        {"x": 2, "y": 3}
    ]
