"""``epoch branch protect``, ``review``, ``check`` and ``changelog``: what they print, their hints and exit codes."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

from epoch_sql.cli.main import run
from tests.conftest import ADA, Epoch

GRACE = "Grace <grace@example.com>"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Production is protected; staging, checked out, has a commit by Ada that production lacks."""
    folder = tmp_path_factory.mktemp("template")
    database = str(folder / "shop.duckdb")
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER)")
        connection.execute("INSERT INTO orders VALUES (1, 10), (2, 20)")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", ADA)
        for command in (
            "branch create production",
            "branch protect production --require-review --no-force-push",
            "branch create staging --checkout",
        ):
            assert run(["init", database]) == 0 if command.endswith("create production") else True
            assert run(["--db", database, *command.split()]) == 0
        with duckdb.connect(database) as connection:
            connection.execute("UPDATE orders SET amount = -1 WHERE id = 1")
        assert run(["--db", database, "commit", "-m", "Change an amount"]) == 0
    return folder


@pytest.fixture
def epoch(template: Path, tmp_path: Path, epoch: Epoch) -> Epoch:
    """Runs command lines on a copy of the template."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return epoch


@pytest.mark.slow
def test_a_promotion_from_request_to_rollback(epoch: Epoch) -> None:
    told = epoch("merge", "staging", "--into", "production", code=4).err.splitlines()
    assert len(told) == 2
    assert told[0].startswith("error: branch production requires a review: nobody has approved commit ")
    assert told[1].startswith("hint: epoch review approve staging --into production")

    assert "Requested a review of staging (" in epoch("review", "request", "staging", "--into", "production").err
    own = epoch("review", "approve", "staging", "--into", "production").err
    assert "warning: Ada <ada@example.com> is an author of what it brings in: this approval does not count" in own
    assert "hint: let somebody else approve it" in own
    told = epoch("merge", "staging", "--into", "production", code=4).err
    assert "hint: somebody else: epoch review approve staging" in told

    epoch("review", "reject", "staging", "--into", "production", "-m", "why?", who="Bo <bo@x>")
    told = epoch("review", "approve", "staging", "--into", "production", who=GRACE).err
    assert "warning: somebody else has rejected it" in told
    assert "Bo <bo@x> rejected commit" in epoch("merge", "staging", "--into", "production", code=4).err
    told = epoch("review", "approve", "staging", "--into", "production", "-m", "now it is", who="Bo <bo@x>").err
    assert told.startswith("Approved staging (") and "warning" not in told

    lines = epoch("review", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["approved"] * 5
    assert lines[0].endswith("now it is") and "staging → production" in lines[0]
    listed = epoch("review", "--json").json
    assert [(row["verdict"], row["reviewer"]) for row in listed[:2]] == [("approve", "Bo <bo@x>"), ("approve", GRACE)]

    epoch("checkout", "production")
    epoch("merge", "staging")
    epoch("tag", "v1.0", "--message", "first")
    told = epoch("reset", "--hard", "main").err
    assert told.startswith("[production ") and told.endswith("] Roll back to main (~1 rows)\n")
    assert epoch("log", "--oneline", "--first-parent").out.splitlines()[0].endswith(" (production) Roll back to main")
    assert "Roll back to v1.0 (~1 rows)" in epoch("reset", "--hard", "v1.0").err
    assert epoch("reset", "--hard").err.startswith("HEAD is now at ")
    assert "it takes no direct commit" in epoch("commit", "-m", "x", "--allow-empty", code=4).err
    assert "protected from being rewritten" in epoch("reset", "main", code=4).err
    assert "it cannot be renamed" in epoch("branch", "rename", "production", "p", code=4).err
    epoch("checkout", "staging")
    told = epoch("branch", "delete", "production", "--force", code=4).err
    assert "it cannot be deleted" in told and "hint: epoch branch unprotect production" in told


def test_protection_is_shown(epoch: Epoch) -> None:
    assert "protected" in next(line for line in epoch("branch").out.splitlines() if "production" in line)
    assert "protected" not in epoch("status").out
    assert epoch("status", "--json").json["protection"] is None
    epoch("checkout", "production")
    assert "The branch is protected: review required, no force push" in epoch("status").out
    assert epoch("status", "--json").json["protection"]["require_review"] is True
    told = epoch("branch", "protect", "production", "--no-force-push").err
    assert "Branch 'production' is protected: no force push" in told
    assert "warning: no longer: review required" in told
    row = epoch("branch", "protect", "production", "--require-review", "--allow-self-review", "--json").json[0]
    assert row == {
        "branch": "production", "require_review": True, "no_force_push": False, "allow_self_review": True,
        "require_fresh": False,
    }  # fmt: skip
    assert "no longer protected" in epoch("branch", "unprotect", "production").err
    told = epoch("branch", "unprotect", "production", code=1).err
    assert told.splitlines() == ["error: branch production is not protected", "hint: epoch branch list"]


def test_checks_from_the_command_line(epoch: Epoch, tmp_path: Path) -> None:
    assert "there are no checks" in epoch("check", "run").err
    told = epoch("check", "add", "negative", "SELECT * FROM orders WHERE amount < 0", "--branch", "prod*").err
    assert told == "Added check 'negative' for merges into prod*\n"
    epoch("check", "add", "many", "SELECT 1 FROM orders HAVING count(*) > 100")
    assert epoch("check", "list", "--json").json == [
        {"name": "many", "branch": "*", "sql": "SELECT 1 FROM orders HAVING count(*) > 100"},
        {"name": "negative", "branch": "prod*", "sql": "SELECT * FROM orders WHERE amount < 0"},
    ]
    assert "2 checks passed on production" in epoch("check", "run", "production").err
    file = tmp_path / "checks.xml"
    ran = epoch("check", "run", "staging", "--junit", str(file), code=4)
    assert ran.out.splitlines() == ["pass  many", "FAIL  negative: 1 row", '      {"id": 1, "amount": -1}']
    assert ran.err == "error: 1 of 2 checks failed on staging: negative\n"
    suite = ElementTree.parse(file).getroot().find("testsuite")
    assert suite is not None
    assert suite.attrib == {"name": "epoch check run staging", "tests": "2", "failures": "1", "errors": "0"}
    cases = suite.findall("testcase")
    assert [(case.get("name"), case.find("failure") is not None) for case in cases] == [
        ("many", False), ("negative", True)
    ]  # fmt: skip
    assert suite.findtext("testcase/failure") == '{"id": 1, "amount": -1}'
    assert epoch("check", "run", "staging", "--json", code=4).json[1] == {
        "name": "negative",
        "branch": "prod*",
        "passed": False,
        "failing_rows": 1,
        "first_rows": [{"id": 1, "amount": -1}],
        "problem": None,
    }
    epoch("review", "approve", "staging", "--into", "production", who=GRACE)
    told = epoch("merge", "staging", "--into", "production", code=4).err
    assert told.startswith("error: check negative fails on the merge of staging into production, 1 row: ")
    assert "hint: correct it in staging" in told
    epoch("query", "DROP TABLE orders")
    assert (
        "FAIL  negative: there is no table orders in WORKING" in epoch("check", "run", "--junit", "c.xml", code=4).out
    )
    assert ElementTree.parse("c.xml").getroot().get("errors") == "2"
    assert epoch("check", "remove", "negative").err == "Removed check 'negative'\n"


def test_wrong_input_is_one_line_with_a_hint(epoch: Epoch) -> None:
    for command, error in [
        (["review", "approve", "stagin", "--into", "production"], "unknown reference 'stagin'"),
        (["review", "approve", "staging", "--into", "produktion"], "there is no branch produktion"),
        (["branch", "protect", "nowhere", "--require-review"], "there is no branch nowhere"),
        (["branch", "protect", "production"], "nothing to protect"),
        (["check", "add", "a", "DELETE FROM orders"], "a check only reads: its SQL is not a query"),
        (["check", "add", "a", "SELEC"], "the SQL of the check is wrong"),
        (["check", "add", "a", "SELECT 1", "--branch", "stagign"], "there is no branch 'stagign'"),
        (["check", "remove", "a"], "there is no check a"),
        (["changelog", "nowhere"], "unknown reference 'nowhere'"),
    ]:
        told = epoch(*command, code=1).err.splitlines()
        assert len(told) == 2, told
        assert told[0].startswith(f"error: {error}")
        assert told[1].startswith("hint: ")
    epoch("review", "approve", "staging", code=2)
    assert epoch("review", "list", "--json").json == []
    assert epoch("check", "list", "--json").json == []


def test_the_changelog_as_markdown_and_json(epoch: Epoch) -> None:
    epoch("review", "approve", "staging", "--into", "production", who=GRACE)
    epoch("merge", "staging", "--into", "production", "-m", "Release *one* <now>\n\nWith care.")
    epoch("tag", "v1", "production")
    page = epoch("changelog", "production", "--since", "main").out
    lines = page.splitlines()
    assert lines[0] == "# Changelog of production since main"
    assert lines[2] == r"## v1: Release \*one\* \<now\>"
    assert "by Ada \\<ada@example.com\\> from staging, commit " in lines[4]
    assert "With care." in lines
    assert lines[-3:] == [
        "| table | added | modified | removed |",
        "| --- | ---: | ---: | ---: |",
        "| orders | 0 | 1 | 0 |",
    ]
    entry, *others = epoch("changelog", "production", "--format", "json").json
    assert (entry["tag"], entry["source"], entry["rows_modified"]) == ("v1", "staging", 1)
    assert entry["tables"] == [{"table_name": "orders", "rows_added": 0, "rows_modified": 1, "rows_removed": 0}]
    assert [other["message"] for other in others] == ["Initial commit"]
    assert epoch("changelog").out.splitlines()[0] == "# Changelog of staging"
    assert epoch("changelog", "v1", "--since", "v1").out.splitlines() == ["# Changelog of v1 since v1", "", "Nothing."]


def test_protection_holds_for_plain_sql_too(epoch: Epoch, tmp_path: Path) -> None:
    import epoch_sql

    epoch("checkout", "production")
    with epoch_sql.connect(tmp_path / "shop.duckdb") as connection:
        for call in ("epoch_commit('x', allow_empty := true)", "epoch_merge('staging')", "epoch_reset('staging')"):
            with pytest.raises(duckdb.Error, match="EpochProtectionError"):
                connection.execute(f"CALL {call}")
