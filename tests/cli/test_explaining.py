"""``epoch review show`` and ``epoch diff --explain``: the verdict on a promotion, and what its changes have in common."""

from __future__ import annotations

from tests.conftest import Epoch


def test_show_says_the_verdict_and_what_the_changes_have_in_common(epoch: Epoch) -> None:
    epoch("init")
    epoch("query", 'CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, "s\x1b[31m" VARCHAR)')
    epoch("query", "INSERT INTO t SELECT i, i, 'x' || i FROM range(4) r (i)")
    epoch("commit", "-m", "one")
    epoch("branch", "create", "production")
    epoch("branch", "protect", "production", "--require-review")
    epoch("check", "add", "few", "SELECT count(*) AS n FROM t HAVING n > 5", "--branch", "production")
    epoch("query", "UPDATE t SET v = v - 2, \"s\x1b[31m\" = 'e\x1b[0mx'")
    epoch("query", "INSERT INTO t VALUES (8, 12, NULL), (9, 12, NULL)")
    epoch("commit", "-m", "two")
    told = epoch("review", "show", "main", "--into", "production").out
    assert "\x1b" not in told
    verdict, ahead, *rest = told.splitlines()
    assert verdict.endswith("→ production: not ready")
    assert ahead == "  1 commit ahead, 0 behind"
    assert any("branch production requires a review: nobody has approved" in line for line in rest)
    assert any("check few fails on the merge of main into production, 1 row" in line for line in rest)
    patterns = rest[rest.index("t") :]
    assert patterns[1] == "  ~ v: -2 in each of 4"
    assert patterns[2].endswith("in each of 4") and "is now e" in patterns[2]
    assert patterns[3].startswith("  + 2 added rows: v is always 12, s")
    found = epoch("review", "show", "main", "--into", "production", "--json").json[0]
    assert (found["allowed"], found["failing_checks"], len(found["changes"])) == (False, ["few"], 4)
    assert epoch("diff", "--explain", "production..main").out.splitlines() == patterns
    assert epoch("diff", "--explain", "production..main", "--format", "json").json == found["changes"]
    assert epoch("diff", "--explain", "--exit-code").out == ""
    assert epoch("diff", "--explain", "--stat", code=2).err

    epoch("check", "remove", "few")
    epoch("review", "approve", "main", "--into", "production", who="Bo <bo@x>")
    shown = epoch("review", "show", "main", "--into", "production").out.splitlines()
    assert shown[0].endswith("ready to merge") and "  approvals: Bo <bo@x>" in shown
    epoch("merge", "main", "--into", "production")
    assert epoch("review", "show", "main", "--into", "production").out.splitlines()[0].endswith("already up to date")
