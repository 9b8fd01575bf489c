"""SQLMesh, on the DuckDB 1.4 that it asks for: what it plans and runs leaves nothing to commit but its own state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.publish.test_clients import clients

pytestmark = pytest.mark.slow

FILES = {
    "config.yaml": """
gateways: {local: {connection: {type: duckdb, database: shop.duckdb}}}
default_gateway: local
model_defaults: {dialect: duckdb, start: 2026-01-01}
""",
    "models/daily.sql": """
MODEL (name mart.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day), cron '@daily', end '2026-01-05');
SELECT day, count(*)::INTEGER AS orders FROM main.orders WHERE day BETWEEN @start_date AND @end_date GROUP BY day
""",
    "models/totals.sql": """
MODEL (name mart.totals, kind FULL);
SELECT sum(orders)::INTEGER AS total FROM mart.daily
""",
}
BEGIN = """
import duckdb, epoch_sql
assert duckdb.__version__.startswith("1.4."), duckdb.__version__
with epoch_sql.connect("shop.duckdb", author="Ada <ada@example.com>") as con:
    con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, day DATE)")
    con.execute("INSERT INTO orders SELECT i, DATE '2026-01-01' + (i % 5)::INTEGER FROM range(20) AS r(i)")
    con.execute("CALL epoch_init()")
"""
COMMIT = """
import epoch_sql
with epoch_sql.connect("shop.duckdb", author="Ada <ada@example.com>") as con:
    assert con.execute("SELECT total FROM mart.totals").fetchall() == [(20,)]
    assert con.execute("SELECT * FROM epoch_status() WHERE table_name = 'sqlmesh._intervals'").fetchall()
    con.execute("CALL epoch_ignore('sqlmesh.*')")
    con.execute("CALL epoch_commit('planned')")
"""
STATUS = """
import epoch_sql
with epoch_sql.connect("shop.duckdb", read_only=True) as con:
    print(con.execute("FROM epoch_status()").fetchall(), con.execute("SELECT total FROM mart.totals").fetchall())
"""


def test_a_plan_and_a_run_leave_only_sqlmeshs_own_state(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    own = {"SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true", "MAX_FORK_WORKERS": "1", "HOME": str(tmp_path)}
    environment = {**os.environ, **own, "PYTHONPATH": str(clients() / "sqlmesh")}

    def ran(*arguments: object) -> str:
        program = [sys.executable, *map(str, arguments)]
        done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    sqlmesh = clients() / "sqlmesh" / "bin" / "sqlmesh"
    apply = ("--auto-apply", "--no-prompts")
    ran("-c", BEGIN)
    ran(sqlmesh, "plan", *apply)
    ran("-c", COMMIT)
    restated = ran(sqlmesh, "plan", "--restate-model", "mart.daily", *apply)
    assert "Model batches executed" in restated
    ran(sqlmesh, "run", "--ignore-cron")
    assert ran("-c", STATUS) == "[] [(20,)]"
