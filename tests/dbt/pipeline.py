"""Real dbt, several runs in one process. Reads the steps (arguments of dbt, SQL, or settings of the
environment), and writes what each run did as JSON to told.json."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from dbt.cli.main import dbtRunner

import epoch_sql
import epoch_sql.dbt

os.environ["EPOCH_DBT"] = str(epoch_sql.dbt.PACKAGE)


def dbt(command: list[str]) -> dict[str, object]:
    """Whether a command succeeded, what it said, and what there is then."""
    lines: list[str] = []
    runner = dbtRunner(callbacks=[lambda event: lines.append(event.info.msg) if event.info.level != "debug" else None])
    ok = epoch_sql.dbt.run([*command, "--log-level-file", "none"], runner).success
    return {"ok": ok, "said": "\n".join(lines), **look()}


def look() -> dict[str, object]:
    with epoch_sql.connect(os.environ["SHOP"]) as con:

        def rows(sql: str) -> list[list[object]]:
            return [list(row) for row in con.execute(sql).fetchall()]

        totals = "SELECT region, CAST(amount AS INTEGER) FROM totals ORDER BY ALL"
        tables = rows("SELECT table_name, row_count, key_columns, is_derived FROM epoch_tables('production')")
        return {
            "head": rows("SELECT branch FROM epoch_head()"),
            "status": rows("SELECT table_name, change FROM epoch_status()"),
            "production": rows("SELECT commit_id FROM epoch_log('production', max_count := 1)"),
            "work": rows("SELECT message FROM epoch_log(max_count := 3)"),
            "tables": {name: facts for name, *facts in tables},
            "totals": rows(f"FROM epoch_query('production', '{totals}')")
            if any(t[0] == "totals" for t in tables)
            else [],
        }


def main() -> None:
    told = []
    for step in json.load(sys.stdin):
        if isinstance(step, dict):
            os.environ.update(step)
            continue
        if isinstance(step, list):
            told.append(dbt(step))
            continue
        with epoch_sql.connect(os.environ["SHOP"]) as con:
            con.execute(step)
    Path("told.json").write_text(json.dumps(told), encoding="utf-8")


main()
