"""What the plugin adds to a build that changes nothing: under half a second for 20 models, where dbt takes four."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import epoch_sql

pytestmark = pytest.mark.slow

MODELS = 20
PACKAGE = Path(epoch_sql.__file__).parent / "dbt" / "package"
PROFILE = "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb, threads: 4%s}}}"
PLUGIN = ", plugins: [{module: epoch_sql.dbt, config: {branch: work, publish: production}}]"
MODEL = "select i as id, i * {number} as v from range(1000) t(i)"
# dbt itself is loaded by a build before, and each project is parsed. What the plugin loads counts.
PROGRAM = """
import json, os, sys, time
from dbt.cli.main import dbtRunner

def ran(folder, *arguments):
    os.chdir(folder)
    before = time.process_time()
    done = dbtRunner().invoke([*arguments, "--profiles-dir", ".", "--quiet"])
    assert done.success, done
    return time.process_time() - before

plain, epoch = sys.argv[1:]
ran(epoch, "deps")
ran(epoch, "parse")
ran(plain, "build")
alone = ran(plain, "build")
first = ran(epoch, "build")
again = [(ran(plain, "build"), ran(epoch, "build")) for _ in range(1)]
print(json.dumps([alone, first, again, [name for name in sys.modules if name.startswith("epoch_sql")]]))
"""


def project(folder: Path, plugin: str) -> Path:
    (folder / "models").mkdir(parents=True)
    settings = "flags: {send_anonymous_usage_stats: false}\nmodels: {+materialized: table}\n"
    (folder / "dbt_project.yml").write_text(f'name: shop\nversion: "1.0"\nprofile: shop\n{settings}')
    (folder / "profiles.yml").write_text(PROFILE % plugin)
    for number in range(MODELS):
        (folder / "models" / f"m{number}.sql").write_text(MODEL.format(number=number))
    return folder


def test_the_plugin_adds_little_to_a_build_that_changes_nothing(tmp_path: Path) -> None:
    plain, epoch = project(tmp_path / "plain", ""), project(tmp_path / "epoch", PLUGIN)
    (epoch / "packages.yml").write_text(f"packages: [{{local: '{PACKAGE}'}}]")
    with epoch_sql.init(epoch / "shop.duckdb", branch="production", author="Ada <ada@x>") as repo:
        for number in range(MODELS):
            repo.connection.execute(f"CREATE TABLE m{number} AS {MODEL.format(number=number)}")
            repo.derived(f"m{number}")
        repo.commit("As dbt builds it")
        repo.branch("work")
    environment = {**os.environ, "PYTHONPATH": str(Path(os.environ["EPOCH_CLIENTS"]) / "dbt")}
    command = [sys.executable, "-c", PROGRAM, str(plain), str(epoch)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    alone, first, again, modules = json.loads(done.stdout.splitlines()[-1])
    with epoch_sql.open(epoch / "shop.duckdb") as repo:
        assert [entry.message for entry in repo.log("work", max_count=2)] == ["As dbt builds it", "Initial commit"]
    assert "epoch_sql.library" not in modules and "epoch_sql.extension.surface" not in modules
    # Of two seconds, without those in which dbt itself is loaded.
    assert first < 2 * alone
    assert min(epoch / plain for plain, epoch in again) < 1.6
