"""dbt builds on a branch, commits with keys and derived tables, and publishes only what passed.

``make test-all`` installs dbt below EPOCH_CLIENTS. All of its runs are in one process, because each start takes seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
BEGIN = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, region VARCHAR, amount INTEGER);
INSERT INTO orders VALUES (1, 'north', 10), (2, 'south', 20), (3, 'north', 30);
CALL epoch_init(); CALL epoch_tag('v1'); CALL epoch_branch('production');
CALL epoch_protect('production', require_fresh := true, no_force_push := true);
"""
COMPARE = ["run-operation", "epoch_compare", "--args", "{model: totals, from: production~1}"]
NEGATIVE = "UPDATE orders SET amount = -11 WHERE id = 2; INSERT INTO orders VALUES (4, 'north', 5)"
NIGHTLY = "nightly/shop.duckdb"
STEPS: list[str | list[str] | dict[str, str]] = [
    BEGIN,
    ["deps"],
    ["build"],
    ["build"],
    f"CALL epoch_checkout('production'); {NEGATIVE}; CALL epoch_commit('wrong'); CALL epoch_checkout('dbt/work')",
    ["build"],
    "CALL epoch_stash(); CALL epoch_checkout('production'); UPDATE orders SET amount = 25 WHERE id = 2;"
    "UPDATE totals SET amount = 0; CALL epoch_commit('right'); CALL epoch_checkout('dbt/work'); CALL epoch_stash_pop()",
    ["build"],
    "CALL epoch_branch('other', start := 'production'); CALL epoch_checkout('other');"
    "UPDATE orders SET amount = 26 WHERE id = 2; CALL epoch_commit('meanwhile'); CALL epoch_checkout('dbt/work')",
    ["build", "--vars", "{meanwhile: true}"],
    COMPARE,
    "CALL epoch_worktree_add('nightly', 'production', new_branch := 'nightly')",
    {"SHOP": NIGHTLY, "BRANCH": "nightly", "PUBLISH": ""},
    "UPDATE orders SET amount = 100 WHERE id = 1; CALL epoch_commit('new')",
    ["build"],
    {"SHOP": "shop.duckdb", "BRANCH": "dbt/work", "PUBLISH": "production"},
    "CALL epoch_merge('nightly', target := 'production', require_fresh := true)",
    ["build"],
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each run of dbt did, after that of ``deps``."""
    clients = os.environ.get("EPOCH_CLIENTS")
    assert clients, "EPOCH_CLIENTS names the folder of dbt: run `make test-all`"
    project = tmp_path_factory.mktemp("dbt") / "project"
    shutil.copytree(HERE / "project", project)
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=A", "-c", "user.email=a@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(clients) / "dbt"), "SHOP": str(project / "shop.duckdb")}
    ran = subprocess.run(
        [sys.executable, str(HERE / "pipeline.py")],
        cwd=project,
        env=environment,
        input=json.dumps(STEPS),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    deps, *found = json.loads((project / "told.json").read_text(encoding="utf-8"))
    assert deps["ok"]
    found[5]["printed"] = ran.stdout
    return found  # type: ignore[no-any-return]


def test_what_passed_is_committed_and_published(runs: list[dict[str, Any]]) -> None:
    first = runs[0]
    assert first["ok"] and first["status"] == [], first["said"]
    assert first["head"] == [["dbt/work"]]
    subject, _, invocation, commit = first["work"][0][0].splitlines()
    assert (subject, invocation[:11], commit[:12]) == ("dbt build of shop", "invocation:", "git commit: ")
    assert len(commit) == 12 + 40
    # Keys are those of a unique_key that identifies rows, or of a contract; snapshots have their own.
    assert first["tables"] == {
        "appended": [3, [], False],
        "before": [1, [], False],
        "deleted": [3, ["id", "region"], False],
        "keyed": [2, ["id"], True],
        "large": [None, [], False],
        "merged": [3, ["id"], False],
        "orders": [3, ["id"], False],
        "regions": [2, [], False],
        "totals": [2, ["region"], True],
        "watched": [3, ["dbt_scd_id"], False],
    }


def test_a_rebuild_with_the_same_rows_is_no_change(runs: list[dict[str, Any]]) -> None:
    """Although dbt gave its index another name."""
    assert runs[1]["ok"] and "epoch: nothing changed" in runs[1]["said"], runs[1]["said"]
    assert (runs[1]["production"], runs[1]["work"]) == (runs[0]["production"], runs[0]["work"])


def test_what_failed_moves_nothing(runs: list[dict[str, Any]]) -> None:
    """It stays on the branch, where the next run goes on: it commits that if it blocks what is new in production."""
    before, failed, after = runs[1:4]
    assert not failed["ok"] and "did not pass, so nothing is committed" in failed["said"], failed["said"]
    assert (failed["work"][0], failed["totals"]) == (["Merge production into dbt/work"], before["totals"])
    assert ["totals", "modified"] in failed["status"] or ["totals", "schema"] in failed["status"]
    assert after["ok"] and after["status"] == [], after["said"]
    assert after["totals"] == [["north", 45], ["south", 25]]
    assert ["What an unfinished build of dbt left"] in after["work"]


def test_a_build_that_is_overtaken_begins_again(runs: list[dict[str, Any]]) -> None:
    """What was built without the newest production is not published."""
    assert runs[4]["ok"], runs[4]["said"]
    overtaken, _, again = runs[4]["said"].partition("production has moved since this build began")
    assert "epoch: production is at" not in overtaken and "epoch: production is at" in again
    assert runs[4]["totals"] == [["north", 45], ["south", 26]]


def test_a_model_is_compared_with_another_branch(runs: list[dict[str, Any]]) -> None:
    assert runs[5]["ok"], runs[5]["said"]
    assert "totals: production~1 and the working tables" in runs[5]["said"]
    assert "| rows_added |" in runs[5]["printed"]


def test_a_worktree_is_built_in_and_promoted_from_the_main_database(runs: list[dict[str, Any]]) -> None:
    """dbt builds in a database of its own on its branch. The next build in the main one begins with what was promoted."""
    before, nightly, after = runs[5:8]
    assert nightly["ok"] and nightly["head"] == [["nightly"]] and nightly["status"] == [], nightly["said"]
    assert nightly["work"][0][0].startswith("dbt build of shop")
    assert nightly["totals"] == before["totals"] == [["north", 45], ["south", 26]]
    assert after["ok"] and after["head"] == [["dbt/work"]], after["said"]
    assert after["totals"] == [["north", 135], ["south", 26]]


def test_as_a_program_it_ends_as_dbt_does() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(os.environ["EPOCH_CLIENTS"]) / "dbt")}
    ran = subprocess.run([sys.executable, "-m", "epoch_sql.dbt", "parse", "--nonsense"], env=environment)
    assert ran.returncode == 2
