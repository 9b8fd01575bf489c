"""The workflow and the crontab of docs/automation do what they say, also when something is in the way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, everything

FOLDER = Path(__file__).parents[2] / "docs" / "automation"
PROMOTION = "epoch checkout staging && epoch merge {source} && epoch push"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def shop(make_repo: MakeRepo, url: str) -> Repo:
    """Branches main, staging and development, pushed; development has a commit more."""
    repo = make_repo(SHOP)
    repo("CALL epoch_branch('staging')")
    repo("CALL epoch_checkout('development', new_branch := true)")
    change(repo, "feature")
    repo("CALL epoch_remote_add('origin', ?)", url)
    for branch in ("main", "staging", "development"):
        repo("CALL epoch_push(branch := ?)", branch)
    return repo


def change(repo: Repo, note: str, branch: str = "development", row: int = 1) -> None:
    repo("CALL epoch_checkout(?)", branch)
    repo("UPDATE orders SET note = ? WHERE id = ?", note, row)
    repo.commit(note)


def bash(command: str, folder: Path, environment: dict[str, str]) -> Ran:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    return Ran(ran.returncode, ran.stdout, ran.stderr)


class Workflow:
    """Runs the steps of the workflow, as a fresh machine each time does."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.runs = folder, url, 0
        text = (FOLDER / "promote.yml").read_text(encoding="utf-8")
        self.workflow: dict[Any, Any] = yaml.safe_load(text)
        self.job = self.workflow["jobs"]["promote"]

    def run(self) -> dict[str, Ran]:
        """What each step did that was run: those after a failure only ``if: failure()``."""
        self.runs += 1
        machine = self.folder / f"machine{self.runs}"
        machine.mkdir()
        stated = {name: value for name, value in self.job["env"].items() if "${{" not in value}
        environment = {**stated, "EPOCH_REMOTE": self.url, "SOURCE_BRANCH": "development"}
        done: dict[str, Ran] = {}
        for step in self.job["steps"]:
            failed = any(ran.code for ran in done.values())
            if "run" not in step or step["run"].startswith("pip ") or failed != (step.get("if") == "failure()"):
                continue
            done[step["name"]] = bash(step["run"], machine / step.get("working-directory", "."), environment)
        return done


class Cron:
    """Runs the line of the crontab, on a database that stays."""

    def __init__(self, database: Path) -> None:
        lines = (FOLDER / "crontab").read_text(encoding="utf-8").splitlines()
        stated = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
        self.environment = {**stated, "EPOCH_DB": str(database)}
        ((self.time, self.command),) = re.findall(r"^((?:[\d*]+ ){5})(.*)$", "\n".join(lines), re.MULTILINE)

    def run(self) -> Ran:
        return bash(self.command, Path("/"), self.environment)


def test_the_files_say_what_the_tutorial_says(tmp_path: Path) -> None:
    workflow, cron = Workflow(tmp_path, ""), Cron(tmp_path)
    (promotion,) = (step["run"] for step in workflow.job["steps"] if step.get("name") == "Promote")
    assert promotion == PROMOTION.format(source='"${SOURCE_BRANCH}"')
    assert (cron.time, cron.command) == ("0 2 * * * ", PROMOTION.format(source="development"))
    # YAML reads `on` as true.
    assert workflow.workflow[True]["schedule"] == [{"cron": cron.time.strip()}]
    secrets = [name for name, value in workflow.job["env"].items() if "secrets." in value]
    assert secrets == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


@pytest.mark.slow
def test_the_workflow(shop: Repo, clone: Clone, url: str, tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, url)
    done = workflow.run()
    assert {name: ran.code for name, ran in done.items()} == {"Clone": 0, "Promote": 0}
    shop("CALL epoch_fetch()")
    assert everything(shop, "origin/staging") == everything(shop, "development")
    assert shop("SELECT author, message FROM epoch_log(ref := 'origin/staging', max_count := 1)") == [
        ("promotion <promotion@example.com>", "Merge development into staging")
    ]
    # Nothing new: nothing is done, and that is no failure.
    promoted = shop("FROM epoch_log(ref := 'origin/staging')")
    assert workflow.run()["Promote"].code == 0
    shop("CALL epoch_fetch()")
    assert shop("FROM epoch_log(ref := 'origin/staging')") == promoted

    # Both sides change one cell: the chain stops, staging stays, and what is in the way is told as JSON.
    hotfix = clone(url)
    change(hotfix, "hotfix", "staging")
    hotfix("CALL epoch_push(branch := 'staging')")
    change(shop, "newer feature")
    shop("CALL epoch_push(branch := 'development')")
    done = workflow.run()
    assert {name: ran.code for name, ran in done.items()} == {"Clone": 0, "Promote": 3, "What was in the way": 0}
    assert "error: the merge of development into staging stopped: 1 conflict" in done["Promote"].err
    (conflict,) = json.loads(done["What was in the way"].out)["conflicts"]
    assert (conflict["table_name"], conflict["column_name"]) == ("orders", "note")
    assert (conflict["ours"], conflict["theirs"]) == ("hotfix", "newer feature")
    shop("CALL epoch_fetch()")
    assert shop.one("SELECT commit_id FROM epoch_log(ref := 'origin/staging', max_count := 1)") == hotfix.head()

    # Somebody settles it in development: the next run goes on by itself.
    shop.refused("CALL epoch_merge('origin/staging')")
    shop("CALL epoch_resolve(side := 'theirs'); CALL epoch_merge_continue(); CALL epoch_push()")
    assert workflow.run()["Promote"].code == 0
    shop("CALL epoch_fetch()")
    assert everything(shop, "origin/staging") == everything(shop, "development")


@pytest.mark.slow
def test_the_crontab(shop: Repo, clone: Clone, url: str) -> None:
    cron = Cron(shop.path)
    shop.close()
    assert cron.run().code == 0
    watcher = clone(url)
    assert everything(watcher, "origin/staging") == everything(watcher, "origin/development")

    repo = Repo(shop.path)
    change(repo, "hotfix", "staging")
    repo("CALL epoch_push()")
    change(repo, "newer feature")
    before = repo.one("SELECT commit_id FROM epoch_branches() WHERE name = 'staging'")
    repo.close()
    night = cron.run()
    assert night.code == 3
    assert "error: the merge of development into staging stopped: 1 conflict" in night.err
    told = bash("epoch conflicts show --format json", Path("/"), cron.environment)
    (conflict,) = json.loads(told.out)["conflicts"]
    assert conflict["table_name"] == "orders"
    repo = Repo(shop.path)
    assert repo.one("SELECT commit_id FROM epoch_branches() WHERE name = 'staging'") == before
    watcher("CALL epoch_fetch()")
    assert watcher.one("SELECT commit_id FROM epoch_log(ref := 'origin/staging', max_count := 1)") == before

    # A newer development, in which the conflict is settled: the merge that stopped needs no abort.
    repo("CALL epoch_checkout('development')")
    repo.refused("CALL epoch_merge('staging')")
    repo("CALL epoch_resolve(side := 'ours', target := 'development'); CALL epoch_merge_continue()")
    repo.close()
    night = cron.run()
    assert night.code == 0, night.err
    watcher("CALL epoch_fetch()")
    assert watcher.one("SELECT note FROM epoch_at('origin/staging', 'orders') WHERE id = 1") == "newer feature"


@pytest.mark.slow
def test_a_protected_target_stops_the_chain_with_4(shop: Repo, clone: Clone, url: str) -> None:
    shop("CALL epoch_protect('staging', require_review := true)")
    cron = Cron(shop.path)
    before = shop.one("SELECT commit_id FROM epoch_branches() WHERE name = 'staging'")
    shop.close()
    night = cron.run()
    assert (night.code, "requires a review" in night.err, "hint: " in night.err) == (4, True, True)
    assert clone(url).one("SELECT commit_id FROM epoch_branches() WHERE name = 'staging'") == before
