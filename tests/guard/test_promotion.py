"""``epoch_promotion``: it allows what the merge then does, and refuses what the merge refuses, for the same reasons."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from tests.conftest import Repo, begun

BO, CY = "Bo <bo@x>", "Cy <cy@x>"


@begun("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20)")
def repo(repo: Repo) -> None:
    """Production, and staging (checked out), which has one commit by Ada that production lacks."""
    repo("CALL epoch_branch('production')")
    repo("CALL epoch_checkout('staging', new_branch := true)")
    change(repo, "UPDATE orders SET amount = 11 WHERE id = 1")


def change(repo: Repo, sql: str, branch: str = "staging") -> str:
    repo("CALL epoch_checkout(?)", branch)
    repo(sql)
    made = repo("CALL epoch_commit('change')")[0][0]
    repo("CALL epoch_checkout('staging')")
    return str(made)


def promotion(repo: Repo, source: str = "staging") -> dict[str, Any]:
    found = repo.con.execute("FROM epoch_promotion(?, 'production')", [source])
    names = [column[0] for column in found.description]
    (row,) = found.fetchall()
    return dict(zip(names, row, strict=True))


def needs(repo: Repo) -> list[str]:
    found = promotion(repo)
    assert found["allowed"] == (found["reasons"] == [])
    return [reason["needs"] for reason in found["reasons"]]


def agrees(repo: Repo) -> list[str]:
    """What the promotion needs, which the merge needs too: without anything, it is made."""
    found = promotion(repo)
    before = repo("FROM epoch_audit()"), repo("FROM epoch_reflog()")
    promotion(repo)
    assert (repo("FROM epoch_audit()"), repo("FROM epoch_reflog()")) == before, "to ask is no refusal"
    try:
        repo("CALL epoch_merge('staging', target := 'production')")
    except duckdb.Error as error:
        assert not found["allowed"], error
        if [reason["needs"] for reason in found["reasons"]] != ["resolve"]:
            assert any(reason["message"].split(":")[0] in str(error) for reason in found["reasons"]), error
    else:
        assert found["allowed"]
    return [reason["needs"] for reason in found["reasons"]]


def test_whose_approval_counts_and_what_is_stale(repo: Repo) -> None:
    repo("CALL epoch_protect('production', require_review := true)")
    assert agrees(repo) == ["review"]
    found = promotion(repo)
    assert (found["ahead"], found["behind"], found["requires_review"]) == (1, 0, True)
    assert "nobody has approved commit" in found["reasons"][0]["message"]

    repo("CALL epoch_review('staging', 'production')")
    assert promotion(repo)["own_approvals"] == ["Ada <ada@example.com>"]
    assert not promotion(repo)["may_approve"]
    assert agrees(repo) == ["review"]
    for reviewer, verdict in ((BO, "approve"), (CY, "reject")):
        repo("CALL epoch_review('staging', 'production', reviewer := ?, verdict := ?)", reviewer, verdict)
    found = promotion(repo)
    assert (found["approvals"], found["rejections"], found["allowed"]) == ([BO], [CY], False)
    assert agrees(repo) == ["review"]

    moved = change(repo, "UPDATE orders SET amount = 12 WHERE id = 1")
    found = promotion(repo)
    assert found["source_commit"] == moved
    assert (found["approvals"], found["rejections"]) == ([], [])
    assert sorted(found["stale_approvals"]) == ["Ada <ada@example.com>", BO]
    assert "an approval of" in found["reasons"][0]["message"]
    repo("CALL epoch_review('staging', 'production', reviewer := ?)", BO)
    assert agrees(repo) == []
    found = promotion(repo)
    assert (found["up_to_date"], found["allowed"], found["ahead"]) == (True, True, 0)


def test_checks_of_the_target_on_the_result_of_the_merge(repo: Repo) -> None:
    repo(
        "CALL epoch_check_add('total', 'SELECT sum(amount) AS total FROM orders HAVING total > 40', branch := 'prod*')"
    )
    repo("CALL epoch_check_add('other', 'FROM orders', branch := 'staging')")
    repo("CALL epoch_check_add('each', 'FROM orders WHERE amount > 10', branch := 'production')")
    # Each side passes by itself, and only the merge of both exceeds the total.
    change(repo, "UPDATE orders SET amount = 30 WHERE id = 2", "production")
    report = "SELECT name, passed, failing_rows FROM epoch_preview_checks('staging', 'production')"
    assert repo(report) == [("each", False, 2), ("total", False, 1)]
    assert repo("FROM epoch_preview_check_rows('total', 'staging', 'production')") == [(41,)]
    rows = "FROM epoch_preview_check_rows('each', 'staging', 'production') ORDER BY id LIMIT 1 OFFSET 1"
    assert (repo.columns(rows), repo(rows)) == ([("id", "INTEGER"), ("amount", "INTEGER")], [(2, 30)])
    assert repo("FROM epoch_check_rows('each', 'production')") == [(2, 30)]
    assert repo("SELECT count(*) FROM epoch_check_rows('each')") == [(2,)]
    assert promotion(repo)["failing_checks"] == ["each", "total"]
    assert agrees(repo) == ["check", "check"]
    for name in ("each", "total"):
        repo("CALL epoch_check_remove(?)", name)
    assert "there is no check tota" in repo.refused("FROM epoch_preview_check_rows('tota', 'staging', 'production')")
    assert agrees(repo) == []


def test_a_check_that_cannot_run_on_the_result(repo: Repo) -> None:
    repo("CALL epoch_check_add('a', 'SELECT error(''no'') FROM orders WHERE amount = 11')")
    repo("CALL epoch_check_add('b', 'FROM orders WHERE amount = 11')")
    found = repo("SELECT name, passed, failing_rows, problem FROM epoch_preview_checks('staging', 'production')")
    assert [row[:3] for row in found] == [("a", False, None), ("b", False, 1)]
    assert "no" in found[0][3]
    assert agrees(repo)[0] == "check"


def test_conflicts_and_a_merge_in_progress(repo: Repo) -> None:
    change(repo, "UPDATE orders SET amount = 99 WHERE id = 1", "production")
    assert promotion(repo)["conflicts"] == 1
    assert agrees(repo) == ["resolve"]
    repo("CALL epoch_resolve('orders', side := 'theirs', target := 'production')")
    assert "finish" in needs(repo)
    assert agrees(repo) == ["finish"]
    repo("CALL epoch_merge_abort(target := 'production')")
    assert needs(repo) == ["resolve"]


@pytest.mark.slow
def test_what_is_undone_counts_as_to_be_brought_again(repo: Repo) -> None:
    repo("CALL epoch_protect('production', require_review := true)")
    repo("CALL epoch_review('staging', 'production', reviewer := ?)", BO)
    assert agrees(repo) == []
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_revert('HEAD')")
    found = promotion(repo)
    assert (found["up_to_date"], found["ahead"], found["approvals"]) == (False, 0, [BO])
    assert agrees(repo) == []
