"""Real clients read published files: older DuckDB, the command line, Node, SQLAlchemy, and Harlequin in a terminal.

``make test-all`` installs them below EPOCH_CLIENTS, by ``install_clients.sh``.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import epoch_sql
from tests.publish.test_publish import SQL

pytestmark = pytest.mark.slow

VERSIONS = ("1.1", "1.3", "1.4", "1.5")
COMPARE = r"""
import duckdb, json, sys
folder, tables = sys.argv[1], json.loads(sys.argv[2])
con = duckdb.connect()
for name in ("main", "before"):
    con.execute(f"ATTACH '{folder}/published/{name}.duckdb' AS {name}_file (READ_ONLY)")
    con.execute(f"ATTACH '{folder}/copies/{name}.duckdb' AS {name}_copy (READ_ONLY)")
rows = lambda sql: con.execute(sql).fetchall()
for name in ("main", "before"):
    for table in tables:
        found, truth = f"{name}_file.{table}", f"{name}_copy.{table}"
        assert [r[:2] for r in rows(f"DESCRIBE FROM {found}")] == [r[:2] for r in rows(f"DESCRIBE FROM {truth}")], table
        for one, other in ((found, truth), (truth, found)):
            assert rows(f"FROM {one} EXCEPT ALL FROM {other}") == [], table
    con.execute(f"USE {name}_file")
    assert rows("SELECT d, text FROM v ORDER BY ALL") == [(0, 'Abc'), (2, 'Abc'), (4, 'Abc')]
    assert rows("SELECT comment FROM duckdb_views() WHERE view_name = 'bag' AND comment IS NOT NULL")[0] == ("it's a bag",)
    assert rows("SELECT enum_last(NULL::mood)") == [("it's",)]
    assert rows("SELECT DISTINCT sequence_name, start_value FROM duckdb_sequences()") == [("numbers", 5)]
    con.execute("USE memory")
assert rows("SELECT count(*) FROM (SELECT a FROM main_file.bag EXCEPT ALL SELECT a FROM before_file.bag)")[0][0] == 2
if duckdb.__version__ >= "1.3":
    con.execute("USE main_file")
    views = [('"often used"', "often used"), ('"od\'d".kinds', "od''d.kinds")]
    for table, spelled in [*zip(tables, ("types", "bag", "nothing")), *views]:
        for name in ("main", "before"):
            assert rows(f"FROM epoch_at('{name}', '{spelled}') EXCEPT ALL FROM {name}_copy.{table}") == [], table
print(duckdb.__version__)
"""
SQLALCHEMY = r"""
import json, sqlalchemy, sys
engine = sqlalchemy.create_engine("duckdb:///" + sys.argv[1], connect_args={"read_only": True})
with engine.connect() as con:
    print(con.execute(sqlalchemy.text("SELECT count(*) FROM bag")).scalar())
    print(con.execute(sqlalchemy.text("SELECT count(*) FROM epoch_at('before', 'bag')")).scalar())
print("bag" in sqlalchemy.inspect(engine).get_view_names())
"""
NODE = r"""
const { DuckDBInstance } = require(process.argv[1] + "/node_modules/@duckdb/node-api");
(async () => {
  const instance = await DuckDBInstance.create(process.argv[2], { access_mode: "READ_ONLY" });
  const con = await instance.connect();
  for (const sql of ["SELECT count(*) FROM bag", "SELECT count(*) FROM epoch_at('before', 'bag')"])
    console.log(String((await con.runAndReadAll(sql)).getRows()[0][0]));
})();
"""
NOTEBOOK = r"""
import epoch_sql, ibis, marimo, pandas, sqlalchemy, sys
from duckdb_sqlalchemy import ConnectionWrapper
from IPython.core.interactiveshell import InteractiveShell

def counts(con):
    count, past = "SELECT count(*) AS n FROM bag", "SELECT count(*) AS n FROM epoch_at('main', 'bag')"
    yield con.sql("FROM bag").df().shape[0], con.sql(past).df().n[0]
    yield con.sql("FROM bag").pl().height, con.sql(past).pl()["n"][0]
    backend = ibis.duckdb.from_connection(con)
    assert "bag" in backend.list_tables()
    yield backend.table("bag").count().execute(), backend.sql(past).execute().n[0]
    pool = sqlalchemy.pool.StaticPool
    engine = sqlalchemy.create_engine("duckdb:///:memory:", creator=lambda: ConnectionWrapper(con), poolclass=pool)
    assert "bag" in sqlalchemy.inspect(engine).get_view_names()
    with engine.connect() as own:
        yield own.execute(sqlalchemy.text(count)).scalar(), pandas.read_sql(past, own).n[0]
    shell = InteractiveShell.instance()
    shell.user_ns["con"] = con
    shell.run_line_magic("load_ext", "sql")
    shell.run_line_magic("sql", "con")
    yield tuple(shell.run_line_magic("sql", text).DataFrame().n[0] for text in (count, past))
    yield tuple(marimo.sql(text, engine=con, output=False)["n"][0] for text in (count, past))

for con in (epoch_sql.connect(sys.argv[1], ref="before"), epoch_sql.open(sys.argv[1]).at("before").connect()):
    found = [*counts(con)]
    assert found == [(20, 22)] * 6, found
print("counted")
"""
READER = r"""
import duckdb, sys, time
path, end = sys.argv[1], time.time() + float(sys.argv[2])
seen, reads = set(), 0
while time.time() < end:
    with duckdb.connect(path, read_only=True) as con:
        a = con.execute("SELECT count(DISTINCT n), max(n) FROM a").fetchone()
        b = con.execute("SELECT count(DISTINCT n), max(n) FROM b").fetchone()
        assert a == b and a[0] == 1, (a, b)
        seen.add(a[1]); reads += 1
print(reads, len(seen))
"""


def clients() -> Path:
    """Where the clients are. Without them, these tests prove nothing."""
    found = os.environ.get("EPOCH_CLIENTS")
    assert found, "EPOCH_CLIENTS names the folder of the clients: run `make test-all`"
    return Path(found)


def python(client: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(clients() / client)}
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two branches, published as views and as copies."""
    folder = tmp_path_factory.mktemp("shop")
    with epoch_sql.connect(folder / "shop.duckdb", storage_version="v1.0.0", author="Ada <ada@example.com>") as con:
        con.execute(SQL)
        for statement in (
            "CALL epoch_init()",
            "CALL epoch_branch('before')",
            "UPDATE types SET huge = huge + 1, span = INTERVAL 5 DAY, either = 's'::UNION(n INTEGER, s VARCHAR) WHERE id = 7",
            "DELETE FROM types WHERE id = 10; INSERT INTO bag VALUES (7, 'new'), (7, 'new')",
            "CALL epoch_commit('changes')",
            "ALTER TABLE bag DROP COLUMN b; ALTER TABLE bag ADD COLUMN b INTEGER DEFAULT 5",
            "CALL epoch_commit('columns')",
            "CALL epoch_publish(refs := ['main', 'before'])",
        ):
            con.execute(statement).fetchall()
        copies = "CALL epoch_publish(refs := ['main', 'before'], path := ?, materialize := true)"
        con.execute(copies, [str(folder / "copies")]).fetchall()
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_older_duckdb(version: str, shop: Path) -> None:
    tables = json.dumps(["types", "bag", "nothing", '''"od'd"."it's ""a"" [b] {c} -- d"'''])
    assert python(version, "-c", COMPARE, str(shop), tables).startswith(version)


def test_the_command_line(shop: Path) -> None:
    sql = "SELECT count(*) FROM bag; SELECT count(*) FROM epoch_at('before', 'bag')"
    file = shop / "published" / "main.duckdb"
    program = [clients() / "cli" / "duckdb_cli" / "duckdb", "-readonly", file, "-csv", "-noheader", "-c", sql]
    assert subprocess.run(program, check=True, capture_output=True, text=True).stdout.split() == ["22", "20"]


def test_node(shop: Path) -> None:
    program = ["node", "-e", NODE, str(clients() / "node"), str(shop / "published" / "main.duckdb")]
    assert subprocess.run(program, check=True, capture_output=True, text=True).stdout.split() == ["22", "20"]


@pytest.mark.parametrize("client", ["sqlalchemy", "engine"])
def test_sqlalchemy(client: str, shop: Path) -> None:
    printed = python(client, "-c", SQLALCHEMY, str(shop / "published" / "main.duckdb"))
    assert printed.split() == ["22", "20", "True"]


def test_notebooks_on_a_reference(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ibis, pandas, polars, SQLAlchemy, JupySQL and marimo on ``connect(ref=…)`` and ``repo.at(…).connect()``."""
    # JupySQL is called sql, and so is a folder of the project.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLOOMBER_STATS_ENABLED", "false")
    assert "counted" in python("notebooks", "-c", NOTEBOOK, str(shop / "shop.duckdb"))


def typed_in_harlequin(home: Path, *program: object, query: bytes) -> str:
    """The screens while somebody types a query in Harlequin and runs it."""
    size = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "COLUMNS": "120", "LINES": "40"}
    environment = {**os.environ, **size, "PYTHONPATH": str(clients() / "harlequin"), "HOME": str(home)}
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *map(str, program)], env=environment, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    screen, due, end = "", 0.0, time.monotonic() + 90
    # A program that ends closes the terminal: what it said is on the screen.
    with suppress(OSError):
        while not re.search(r"found \d", screen) and time.monotonic() < end:
            if select.select([leader], [], [], 1)[0]:
                screen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(leader, 65536).decode(errors="replace"))
            if "Data Catalog" in screen and not due:
                due = time.monotonic() + 4
            elif due and time.monotonic() > due:
                # The editor has the focus by now, or the next time. Ctrl-A replaces what is there, Ctrl-J runs it.
                os.write(leader, b"\x01" + query + b"\n")
                due = time.monotonic() + 12
    process.kill()
    process.wait()
    os.close(leader)
    return screen


def test_harlequin_in_a_terminal(shop: Path, tmp_path: Path) -> None:
    program = [clients() / "harlequin" / "bin" / "harlequin", "--no-download-tzdata", "--read-only"]
    query = b"SELECT 'found ' || count(*) FROM bag"
    screen = typed_in_harlequin(tmp_path, *program, shop / "published" / "main.duckdb", query=query)
    assert "found 22" in screen, screen[-2000:]


def test_epoch_shell(shop: Path, tmp_path: Path) -> None:
    """Harlequin with the functions, on the repository itself."""
    for name in ("shop.duckdb", ".epoch"):
        (shutil.copytree if name == ".epoch" else shutil.copy)(shop / name, tmp_path / name)
    program = [Path(sys.executable).with_name("epoch"), "--db", tmp_path / "shop.duckdb", "shell"]
    query = b"SELECT 'found ' || count(*) FROM epoch_log()"
    screen = typed_in_harlequin(tmp_path, *program, query=query)
    assert "found 3" in screen, screen[-2000:]


def test_harlequin_completes_references(shop: Path, tmp_path: Path) -> None:
    program = """
from epoch_sql.harlequin import EpochAdapter
import sys
found = {(c.label, c.type_label, c.value) for c in EpochAdapter((sys.argv[1],), no_init=True).connect().get_completions()}
assert ("main", "branch", "'main'") in found, found
assert any(label == "epoch_merge" for label, _, _ in found)
assert not any(label.startswith("epoch__") or "python package" in label for label, _, _ in found)
print("completed")
"""
    for name in ("shop.duckdb", ".epoch"):
        (shutil.copytree if name == ".epoch" else shutil.copy)(shop / name, tmp_path / name)
    assert python("harlequin", "-c", program, str(tmp_path / "shop.duckdb")).split() == ["completed"]


@pytest.mark.long
def test_fifty_readers_see_whole_states_while_two_hundred_commits_are_published(tmp_path: Path) -> None:
    with epoch_sql.connect(tmp_path / "shop.duckdb", author="Ada <ada@example.com>") as con:
        con.execute(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO a SELECT i, 0 FROM range(1000) AS r(i)"
        )
        con.execute("CREATE TABLE b AS FROM a")
        con.execute("CALL epoch_init()")
        epoch_sql.config.set_value(epoch_sql.config.repository_config(tmp_path / "shop.duckdb"), "publish.refs", "main")
        con.execute("CALL epoch_publish()")
        file = str(tmp_path / "published" / "main.duckdb")
        readers = [
            subprocess.Popen(
                [sys.executable, "-c", READER, file, "20"],
                env={**os.environ, "PYTHONPATH": str(clients() / VERSIONS[number % len(VERSIONS)])},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(50)
        ]
        for number in range(1, 201):
            con.execute(f"UPDATE a SET n = {number}; UPDATE b SET n = {number}")
            ((*_, warnings),) = con.execute("CALL epoch_commit('n')").fetchall()
            assert warnings == []
    found = [reader.communicate() for reader in readers]
    assert [error for _, error in found if error] == []
    counts = [[int(number) for number in printed.split()] for printed, _ in found]
    assert all(reads > 0 for reads, _ in counts)
    assert sum(states > 1 for _, states in counts) > 25
