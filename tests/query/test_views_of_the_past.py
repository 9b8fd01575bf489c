"""A view as of a reference: ``epoch_at``, ``epoch_diff`` and ``export`` take its name as that of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Epoch, MakeRepo, Repo, begun

pytestmark = pytest.mark.core

START = """
    CREATE SCHEMA s;
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR, amount DECIMAL(10, 2));
    INSERT INTO orders VALUES (1, 'Ada', 1.5), (2, 'Ada', 2), (3, 'Bo', 4);
    CREATE VIEW totals AS SELECT customer, sum(amount) AS total, count(*) AS n FROM orders GROUP BY customer;
    CREATE VIEW s."big ones" (who, "how much") AS SELECT customer, total FROM totals WHERE total > 3;
    CREATE VIEW twice AS SELECT customer FROM orders
"""
BIG = "s.big ones"


@begun(START)
def shop(repo: Repo) -> None:
    repo("UPDATE orders SET amount = 10 WHERE id = 3; INSERT INTO orders VALUES (4, 'Cy', 1)")
    repo.commit()


def test_at(shop: Repo) -> None:
    assert shop("SELECT customer, total::DOUBLE, n FROM epoch_at('HEAD~1', 'totals') ORDER BY 1") == [
        ("Ada", 3.5, 2),
        ("Bo", 4, 1),
    ]
    assert shop("SELECT customer, total::DOUBLE, n FROM epoch_at('WORKING', 'TOTALS') ORDER BY 1") == shop(
        "SELECT customer, total::DOUBLE, n FROM totals ORDER BY 1"
    )
    assert [name for name, _ in shop.columns(f"FROM epoch_at('HEAD~1', '{BIG}')")] == ["who", "how much"]
    assert shop(f"SELECT who FROM epoch_at('HEAD~1', '{BIG}') ORDER BY 1") == [("Ada",), ("Bo",)]
    assert "did you mean totals" in shop.refused("FROM epoch_at('HEAD', 'totls')")


def test_diff_compares_bags_of_rows(shop: Repo) -> None:
    totals = "epoch_diff('HEAD~1', 'HEAD', table_name := 'totals')"
    assert shop.columns(f"FROM {totals}")[2:] == [
        *((f"{side}_customer", "VARCHAR") for side in ("from", "to")),
        *((f"{side}_total", "DECIMAL(38,2)") for side in ("from", "to")),
        *((f"{side}_n", "BIGINT") for side in ("from", "to")),
    ]
    assert shop(f"SELECT diff_type, from_customer, to_customer FROM {totals} ORDER BY ALL") == [
        ("added", None, "Bo"),
        ("added", None, "Cy"),
        ("removed", "Bo", None),
    ]
    back = "epoch_diff('HEAD', 'HEAD~1', table_name := 'totals')"
    assert shop(f"SELECT diff_type, from_customer, to_customer FROM {back} ORDER BY ALL") == [
        ("added", None, "Bo"),
        ("removed", "Bo", None),
        ("removed", "Cy", None),
    ]
    shop("INSERT INTO orders VALUES (5, 'Ada', 1), (6, 'Ada', 1)")
    twice = "epoch_diff('HEAD', 'WORKING', table_name := 'twice')"
    assert shop(f"FROM {twice}") == [("added", [], None, "Ada"), ("added", [], None, "Ada")]
    assert shop("FROM epoch_diff_stat('HEAD~1', 'WORKING', table_name := 'twice')") == [("twice", 3, 0, 0, 3, 0, 3, 6)]
    assert [row[0] for row in shop("SELECT DISTINCT table_name FROM epoch_diff('HEAD~1', 'HEAD')")] == ["orders"]


def test_a_view_that_comes_goes_and_becomes_another(shop: Repo) -> None:
    shop("CREATE OR REPLACE VIEW twice AS SELECT id::VARCHAR AS customer, 1 AS more FROM orders WHERE id = 1")
    shop('DROP VIEW s."big ones"; CREATE VIEW fresh AS SELECT 7 AS seven')
    shop.commit()
    assert shop("FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'fresh')") == [("added", [], None, 7)]
    assert shop(
        f"SELECT diff_type, from_who FROM epoch_diff('HEAD~1', 'HEAD', table_name := '{BIG}') ORDER BY ALL"
    ) == [
        ("removed", "Ada"),
        ("removed", "Bo"),
    ]
    columns = shop.columns("FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'twice')")
    assert [name for name, _ in columns][2:] == ["from_customer", "to_customer", "from_more", "to_more"]
    assert shop("SELECT count(*) FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'twice')") == [(5,)]
    shop("DROP VIEW fresh; CREATE TABLE fresh (seven INTEGER); INSERT INTO fresh VALUES (7), (8)")
    shop.commit()
    assert shop("FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'fresh')") == [("added", [], None, 8)]
    assert shop("FROM epoch_diff('HEAD', 'HEAD~1', table_name := 'fresh')") == [("removed", [], 8, None)]


def test_what_cannot_be_read_says_so(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (a INTEGER); CREATE VIEW v AS FROM t")
    repo("CREATE VIEW acts AS FROM epoch_commit('x', allow_empty := true); DROP TABLE t")
    repo.commit()
    for call in ("epoch_at('HEAD', '{}')", "epoch_diff('HEAD~1', 'HEAD', table_name := '{}')"):
        message = repo.refused(f"FROM {call.format('v')}")
        assert "there is no table t in HEAD" in message
        assert "epoch_commit acts" in repo.refused(f"FROM {call.format('acts')}")
    assert "acts" in repo.refused("FROM epoch_at('WORKING', 'acts')")
    assert len(repo("FROM epoch_log()")) == 2
    assert repo("FROM epoch_at('HEAD~1', 'v')") == []


@pytest.mark.slow
def test_the_command_line(epoch: Epoch) -> None:
    epoch("init", "shop.duckdb")
    epoch("query", "CREATE TABLE t AS SELECT 1 AS a")
    epoch("query", "CREATE VIEW v AS SELECT a, a * 2 AS b FROM t")
    epoch("commit", "-m", "first")
    epoch("query", "INSERT INTO t VALUES (2)")
    epoch("commit", "-m", "second")
    epoch("export", "main", "v", "v.csv")
    assert Path("v.csv").read_text().split() == ["a,b", "1,2", "2,4"]
    epoch("export", "main~1", "v", "v.parquet")
    assert epoch("query", "--format", "csv", "SELECT * FROM 'v.parquet'").out.split() == ["a,b", "1,2"]
    assert epoch("diff", "main~1..main", "v").out.splitlines()[-1].split() == ["+", "2", "4"]
    assert "added,[],,2,,4" in epoch("diff", "main~1..main", "v", "--format", "csv").out
    assert epoch("diff", "main~1..main", "v", "--stat", "--format", "csv").out.splitlines()[1].startswith("v,1,0,0")
    assert epoch("diff", "main..main", "v", "--exit-code").out == ""
