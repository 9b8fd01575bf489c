"""Connections that come and go: cursors, second connections, closed ones; nothing crashes, nothing is told at exit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

START = """
import duckdb, epoch_sql, sys
path = sys.argv[1]
con = epoch_sql.connect(path)
con.execute("CREATE TABLE t (i INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
con.execute("CALL epoch_init()")
"""
PROGRAMS = {
    "left open": "con.execute('FROM epoch_log()').fetchall()",
    "closed": "con.close()",
    "closed by a with block": "with con: con.execute('FROM epoch_log()').fetchall()",
    "in the middle of a result": "result = con.execute('FROM epoch_at(?, ?)', ['HEAD', 't'])",
    "a relation left open": "relation = con.sql(\"FROM epoch_at('HEAD', 't')\"); print(relation.fetchall())",
    "a cursor": """
cursor = con.cursor()
cursor.execute("INSERT INTO t VALUES (2)")
assert cursor.execute("CALL epoch_commit('from a cursor')").fetchall()[0][2:] == (1, 1, 0, 0, [])
assert len(con.execute("FROM epoch_log()").fetchall()) == 2
""",
    "a cursor after its connection is closed": """
cursor = con.cursor()
con.close()
try:
    cursor.execute("FROM epoch_log()").fetchall()
except duckdb.ConnectionException:
    pass
else:
    raise SystemExit("DuckDB closes the cursors of a connection with it")
""",
    "a connection that is forgotten, and its cursor": """
cursor = con.cursor()
del con
try:
    assert len(cursor.execute("FROM epoch_log()").fetchall()) == 1
except duckdb.Error as error:
    assert "epoch_sql.install(con)" in str(error), error
""",
    "the lock goes with a connection that is forgotten": """
import subprocess
del con
other = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('FROM t')"
subprocess.run([sys.executable, "-c", other, path], check=True)
""",
    "the lock goes with a connection that is closed": """
import subprocess
con.close()
other = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('FROM t')"
subprocess.run([sys.executable, "-c", other, path], check=True)
""",
    "a second connection": """
second = duckdb.connect(path)
second.execute("INSERT INTO t VALUES (2)")
assert second.execute("CALL epoch_commit('from a second connection')").fetchall()[0][2:] == (1, 1, 0, 0, [])
assert len(con.execute("FROM epoch_log()").fetchall()) == 2
""",
    "a second connection after the first is closed": """
second = duckdb.connect(path)
con.close()
try:
    second.execute("FROM epoch_log()").fetchall()
except duckdb.Error as error:
    raise SystemExit(error)
con = epoch_sql.install(second)
assert len(second.execute("FROM epoch_log()").fetchall()) == 1
""",
    "a connection without the functions": """
con.close()
with duckdb.connect(path) as plain:
    try:
        plain.execute("FROM epoch_log()").fetchall()
    except duckdb.Error as error:
        assert "epoch_log of the python package" in str(error), error
    else:
        raise SystemExit("epoch_log worked without the functions behind it")
    assert plain.execute("FROM t").fetchall() == [(1,)]
""",
    "errors": """
for call in ("epoch_commit('nothing')", "epoch_at('nowhere', 't')", "epoch_checkout('nowhere')"):
    try:
        con.execute(f"FROM {call}").fetchall()
    except duckdb.Error as error:
        assert "Epoch" in str(error)
    else:
        raise SystemExit(call)
""",
    "an error at the end": """
sys.excepthook = lambda *raised: None
con.execute("FROM epoch_at('nowhere', 't')")
""",
    "many": """
con.close()
for n in range(30):
    con = epoch_sql.connect(path)
    con.execute("FROM epoch_log()").fetchall()
    if n % 3:
        con.close()
""",
    "many at once": """
from concurrent.futures import ThreadPoolExecutor
con.close()
def work(n):
    with epoch_sql.connect(path) as own:
        return len(own.execute("FROM epoch_log()").fetchall())
with ThreadPoolExecutor(4) as pool:
    assert list(pool.map(work, range(40))) == [1] * 40
""",
    "options": """
con.close()
config = {"memory_limit": "500MB", "threads": 2}
con = epoch_sql.connect(path, config=config)
assert len(con.execute("FROM epoch_log()").fetchall()) == 1
con.close()
plain = duckdb.connect(path, config=config)
epoch_sql.install(plain)
assert len(plain.execute("FROM epoch_log()").fetchall()) == 1
plain.execute("INSERT INTO t VALUES (2)")
plain.execute("CALL epoch_commit('x')")
""",
    "installed again and again": """
for n in range(5):
    assert epoch_sql.install(con) is con
con.execute("INSERT INTO t VALUES (9)")
con.execute("CALL epoch_commit('once')")
assert len(con.execute("FROM epoch_log()").fetchall()) == 2
""",
    "two databases": """
other = epoch_sql.connect(path + ".2")
import os
for n in range(3):
    con.execute("INSERT INTO t VALUES (?)", [n + 10])
    con.execute("CALL epoch_commit('x')")
    try:
        other.execute("FROM epoch_log()").fetchall()
    except duckdb.Error as error:
        assert ".2 has no Epoch repository" in str(error), error
assert len(con.execute("FROM epoch_log()").fetchall()) == 4
""",
    "the file is made anew": """
import os, shutil
con.execute("INSERT INTO t VALUES (2)")
con.execute("CALL epoch_commit('gone')")
assert len(con.execute("FROM epoch_log()").fetchall()) == 2
con.close()
os.remove(path)
shutil.rmtree(os.path.join(os.path.dirname(path), ".epoch"))
con = epoch_sql.connect(path)
con.execute("CREATE TABLE t (i INTEGER PRIMARY KEY)")
con.execute("CALL epoch_init()")
assert len(con.execute("FROM epoch_log()").fetchall()) == 1
""",
}


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.slow
def test_nothing_crashes_and_nothing_is_told_at_exit(tmp_path: Path, program: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-W",
            "error",
            "-c",
            START + PROGRAMS[program],
            str(tmp_path / "shop.duckdb"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == (1 if program == "an error at the end" else 0), done.stdout
