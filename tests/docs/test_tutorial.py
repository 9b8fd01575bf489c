"""The tutorial of environment promotion, line by line: on the command line, and as the same story in SQL."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.cli.main import run

ADA, GRACE = "Ada <ada@example.com>", "Grace <grace@example.com>"


@dataclass(frozen=True)
class Line:
    """A command, the same in SQL, who types it, and the exit code of the command (the SQL fails where it is not 0)."""

    command: str
    sql: str
    code: int = 0
    who: str = ADA


def data(sql: str) -> Line:
    """A change of the data, which any DuckDB client makes."""
    return Line("", sql)


STORY = (
    data("CREATE TABLE sales (id INTEGER PRIMARY KEY, region VARCHAR, amount DECIMAL(10, 2))"),
    data("INSERT INTO sales VALUES (1, 'north', 10), (2, 'south', 20), (3, 'north', 30)"),
    # Set up environments
    Line("epoch init shop.duckdb", "CALL epoch_init()"),
    Line("epoch branch create production --from main", "CALL epoch_branch('production', start := 'main')"),
    Line("epoch branch create staging --from main", "CALL epoch_branch('staging', start := 'main')"),
    Line("epoch branch create development --from staging", "CALL epoch_branch('development', start := 'staging')"),
    Line(
        "epoch branch protect production --require-review --no-force-push",
        "CALL epoch_protect('production', require_review := true, no_force_push := true)",
    ),
    Line("epoch tag v1.1.0 production", "CALL epoch_tag('v1.1.0', ref := 'production')"),
    # Develop
    Line("epoch checkout development", "CALL epoch_checkout('development')"),
    Line(
        "epoch branch create feature/new-report --from development",
        "CALL epoch_branch('feature/new-report', start := 'development')",
    ),
    Line("epoch checkout feature/new-report", "CALL epoch_checkout('feature/new-report')"),
    data("CREATE TABLE report AS SELECT region, sum(amount) AS total FROM sales GROUP BY ALL ORDER BY ALL"),
    data("UPDATE sales SET amount = 21 WHERE id = 2"),
    Line('epoch commit -m "Add sales report aggregations"', "CALL epoch_commit('Add sales report aggregations')"),
    Line("epoch checkout development", "CALL epoch_checkout('development')"),
    Line("epoch merge feature/new-report", "CALL epoch_merge('feature/new-report')"),
    # Promote to staging
    Line("epoch diff staging..development", "FROM epoch_diff('staging', 'development')"),
    Line(
        "epoch branch create release/v1.2 --from development",
        "CALL epoch_branch('release/v1.2', start := 'development')",
    ),
    Line("epoch checkout staging", "CALL epoch_checkout('staging')"),
    Line("epoch merge development", "CALL epoch_merge('development')"),
    Line(
        'epoch check add totals "SELECT region FROM report GROUP BY ALL HAVING count(*) > 1" --branch production',
        "CALL epoch_check_add('totals', 'SELECT region FROM report GROUP BY ALL HAVING count(*) > 1', "
        "branch := 'production')",
    ),
    Line("epoch check run", "FROM epoch_check_run()"),
    # Promote to production
    Line("epoch diff production..staging", "FROM epoch_diff('production', 'staging')"),
    Line("epoch merge staging --into production", "CALL epoch_merge('staging', target := 'production')", code=4),
    Line("epoch review approve staging --into production", "CALL epoch_review('staging', 'production')", who=GRACE),
    Line("epoch checkout production", "CALL epoch_checkout('production')"),
    Line("epoch merge staging", "CALL epoch_merge('staging')"),
    Line(
        'epoch tag v1.2.0 --message "Release 1.2.0: Sales report aggregations"',
        "CALL epoch_tag('v1.2.0', message := 'Release 1.2.0: Sales report aggregations')",
    ),
    # Roll back
    Line("epoch revert HEAD", "CALL epoch_revert('HEAD')"),
    Line("epoch log --oneline -10", "FROM epoch_log(max_count := 10)"),
    Line("epoch reset --hard HEAD~1", "CALL epoch_reset('HEAD~1', hard := true)"),
    Line("epoch checkout production", "CALL epoch_checkout('production')"),
    Line("epoch reset --hard v1.1.0", "CALL epoch_reset('v1.1.0', hard := true)"),
    Line(
        'epoch tag v1.1.1-rollback --message "Emergency rollback from v1.2.0"',
        "CALL epoch_tag('v1.1.1-rollback', message := 'Emergency rollback from v1.2.0')",
    ),
    # Hotfix
    Line(
        "epoch branch create hotfix/critical-fix --from production",
        "CALL epoch_branch('hotfix/critical-fix', start := 'production')",
    ),
    Line("epoch checkout hotfix/critical-fix", "CALL epoch_checkout('hotfix/critical-fix')"),
    data("UPDATE sales SET amount = 31 WHERE id = 3"),
    Line('epoch commit -m "Fix critical data issue"', "CALL epoch_commit('Fix critical data issue')"),
    Line("epoch checkout production", "CALL epoch_checkout('production')"),
    Line("epoch merge hotfix/critical-fix", "CALL epoch_merge('hotfix/critical-fix')", code=4),
    Line(
        "epoch review approve hotfix/critical-fix --into production",
        "CALL epoch_review('hotfix/critical-fix', 'production')",
        who=GRACE,
    ),
    Line("epoch check remove totals", "CALL epoch_check_remove('totals')"),
    Line("epoch merge hotfix/critical-fix", "CALL epoch_merge('hotfix/critical-fix')"),
    Line("epoch checkout staging", "CALL epoch_checkout('staging')"),
    Line("epoch merge hotfix/critical-fix", "CALL epoch_merge('hotfix/critical-fix')"),
    Line("epoch checkout development", "CALL epoch_checkout('development')"),
    Line("epoch merge hotfix/critical-fix", "CALL epoch_merge('hotfix/critical-fix')"),
    # Promote again, and keep the environments in sync
    Line("epoch merge staging --into production", "CALL epoch_merge('staging', target := 'production')", code=4),
    Line("epoch review approve staging --into production", "CALL epoch_review('staging', 'production')", who=GRACE),
    Line("epoch merge staging --into production", "CALL epoch_merge('staging', target := 'production')"),
    Line("epoch merge production", "CALL epoch_merge('production')"),
    Line("epoch changelog production --since v1.1.0", "FROM epoch_changelog('production', since := 'v1.1.0')"),
    Line("epoch tag in-sync staging", "CALL epoch_tag('in-sync', ref := 'staging')"),
    # Automate
    Line("epoch push", "CALL epoch_push()", code=1),
    Line("epoch remote add origin shared", "CALL epoch_remote_add('origin', 'shared')"),
    data("UPDATE sales SET amount = 11 WHERE id = 1"),
    Line('epoch commit -m "Correct the north"', "CALL epoch_commit('Correct the north')"),
    Line("epoch checkout staging", "CALL epoch_checkout('staging')"),
    Line("epoch merge development", "CALL epoch_merge('development')"),
    Line("epoch push", "CALL epoch_push()"),
    Line("epoch push origin production", "CALL epoch_push('origin', branch := 'production')"),
)

OLD, NEW = [("10.00",), ("20.00",), ("31.00",)], [("10.00",), ("21.00",), ("31.00",)]


@pytest.mark.slow
def test_the_tutorial_on_the_command_line_and_in_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home-config"))
    monkeypatch.delenv("EPOCH_DB", raising=False)
    folders = [tmp_path / "typed", tmp_path / "queried"]
    for folder, tell in zip(folders, (typed, queried), strict=True):
        folder.mkdir()
        monkeypatch.chdir(folder)
        for line in STORY:
            monkeypatch.setenv("EPOCH_AUTHOR", line.who)
            tell(line)
    contents = [content(folder) for folder in folders]
    assert contents[0] == contents[1]
    trees, amounts, log = contents[0]
    assert trees["production"] == trees["in-sync"] == trees["origin/production"]
    assert trees["staging"] == trees["development"] == trees["origin/staging"] != trees["in-sync"]
    assert trees["v1.1.0"] == trees["v1.1.1-rollback"] != trees["v1.2.0"]
    assert amounts == {"hotfix/critical-fix": OLD, "production": NEW}
    assert log == [
        "Merge staging into production",
        "Merge hotfix/critical-fix into production",
        "Roll back to v1.1.0",
        "Roll back to HEAD~1",
        'Revert "Merge staging into production"',
        "Merge staging into production",
        "Initial commit",
    ]


def typed(line: Line) -> None:
    if not line.command:
        with duckdb.connect("shop.duckdb") as connection:
            connection.execute(line.sql)
        return
    assert run(shlex.split(line.command)[1:]) == line.code, line.command


def queried(line: Line) -> None:
    with epoch_sql.connect("shop.duckdb") as connection:
        if line.code:
            with pytest.raises(duckdb.Error, match="EpochProtectionError" if line.code == 4 else "epoch_remote_add"):
                connection.execute(line.sql)
        else:
            connection.execute(line.sql)


def content(folder: Path) -> tuple[dict[str, str], dict[str, list[tuple[str]]], list[str]]:
    """The tree of each branch and tag, amounts as of two branches, and the promotion log of production."""
    with epoch_sql.connect(folder / "shop.duckdb") as connection:
        trees = connection.execute(
            "SELECT name, tree_id FROM epoch.refs JOIN epoch.commits USING (commit_id)"
        ).fetchall()
        amounts = {
            branch: connection.execute(
                "SELECT amount::VARCHAR FROM epoch_at(?, 'sales') ORDER BY id", [branch]
            ).fetchall()
            for branch in ("hotfix/critical-fix", "production")
        }
        log = connection.execute("SELECT message FROM epoch_log('production', first_parent := true)").fetchall()
    return dict(trees), amounts, [message.splitlines()[0] for (message,) in log]


@pytest.mark.slow
def test_the_demo_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shown: list[Any] = []

    def serve(database: Path, **options: Any) -> None:
        with epoch_sql.open(database) as repo:
            shown.append(
                (repo.promotion("staging", into="production").up_to_date, options["author"], options["browse"])
            )

    monkeypatch.setattr("epoch_sql.web.serving.serve", serve)
    assert run(["demo", "--ui"]) == 0
    assert shown == [(False, "Grace <grace@example.com>", True)]
    told = capsys.readouterr()
    assert "review approve staging --into production" in told.out
    assert "Roll back to v1.1.0" in told.out
    assert "re-applies" in told.err
    assert "clone shared copy" in told.out
