"""kill -9 at any moment leaves the state before or the state after, and nothing in the way of what comes next."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from tests.faults.worker import OPERATIONS, ROWS, VALUE, create, fill

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POINTS = 6
KILLS = 20
SECONDS = 30.0


def state(path: Path) -> tuple[object, ...]:
    """What a repository says of itself; every part of it is checked to be whole."""
    with epoch_sql.connect(path) as con:
        assert con.execute("CALL epoch_fsck()").fetchall() == []
        ((number,),) = con.execute("FROM c").fetchall()
        assert whole(con.execute(f"SELECT count(*), count(*) FILTER (v <> {VALUE}) FROM t", [number] * 2).fetchall())
        tips = con.execute(
            "SELECT name, is_current, tree_id, message "
            "FROM epoch_branches() JOIN epoch.commits USING (commit_id) ORDER BY 1"
        )
        branches = tips.fetchall()
        for name, *_, message in branches:
            assert con.execute("FROM epoch_at(?, 'c')", [name]).fetchall() == [
                (int(message) if message.isdigit() else 1,)
            ]
            numbers = [int(message) if message.isdigit() else 1] * 2
            counted = con.execute(
                f"SELECT count(*), count(*) FILTER (v <> {VALUE}) FROM epoch_at(?, 't')", [*numbers, name]
            )
            assert whole(counted.fetchall())
        commits = con.execute("SELECT message FROM epoch.commits ORDER BY ALL").fetchall()
        stashes = con.execute("SELECT message FROM epoch_stashes()").fetchall()
        changed = con.execute("SELECT table_name, rows_modified FROM epoch_status()").fetchall()
        return number, branches, commits, stashes, changed


def whole(counts: list[tuple[int, int]]) -> bool:
    return counts == [(ROWS, 0)]


def works(path: Path) -> None:
    """The next operations go through."""
    with epoch_sql.connect(path) as con:
        fill(con, 999)
        con.execute("CALL epoch_commit('999')")
        con.execute("CALL epoch_gc(grace := INTERVAL 0 SECOND)")
        assert con.execute("FROM epoch_status()").fetchall() == []
    files = {file.stem for file in (path.parent / ".epoch" / "objects").glob("*/*")}
    with epoch_sql.connect(path) as con:
        assert files == {row[0] for row in con.execute("SELECT file_id FROM epoch.files").fetchall()}


def exported(folder: Path) -> list[tuple[str, object]]:
    """What an export has put in its place: each table with its number of rows and the sum of their hashes."""
    tables = {file.stem: f"'{file}'" for file in sorted(folder.glob("out/*"))}
    with duckdb.connect() as con:
        for file in folder.glob("out.duckdb"):
            con.execute(f"ATTACH '{file}' AS out (READ_ONLY)")
            tables = {"c": "out.c", "t": "out.t"}
        return [
            (name, con.execute(f"SELECT count(*), sum(hash(t)) FROM {table} AS t").fetchall())
            for name, table in tables.items()
        ]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_chosen_points(tmp_path: Path, operation: str) -> None:
    # An export changes nothing in the repository.
    points = 3 if operation.startswith("export") else POINTS
    subprocess.run(
        [sys.executable, "-m", "tests.faults.worker", "kill_points", str(tmp_path), operation, str(points)],
        cwd=ROOT,
        check=True,
    )
    before, after = (state(tmp_path / name / "shop.duckdb") for name in ("before", "after"))
    assert before != after or operation == "compact" or operation.startswith("export")
    killed = sorted(
        (folder for folder in tmp_path.iterdir() if folder.name.isdigit()), key=lambda folder: int(folder.name)
    )
    found = [state(folder / "shop.duckdb") for folder in killed]
    assert found[0] == before
    assert all(one in (before, after) for one in found)
    # Once it is done, it stays done.
    assert found == sorted(found, key=lambda one: one == after)
    if operation.startswith("export"):
        # A place is there, whole, or not at all.
        places = [exported(folder) for folder in (*killed, tmp_path / "after")]
        assert places[-1] and all(place in ([], places[-1]) for place in places)
        assert places[0] == []
    works(killed[len(killed) // 2] / "shop.duckdb")
    works(killed[-1] / "shop.duckdb")


def test_killed_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    create(path).close()
    chance = random.Random(20)
    end = time.monotonic() + SECONDS
    kills = 0
    while kills < KILLS and (kills < 5 or time.monotonic() < end):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", "loop", str(path), str(kills)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        moment = time.monotonic() + chance.uniform(0.0, 0.8)
        while time.monotonic() < moment:
            assert process.poll() is None
            os.sched_yield()
        process.kill()
        process.wait()
        process.stdout.close()
        kills += 1
        number, branches, *_, changed = state(path)
        current = next(message for _, is_current, _, message in branches if is_current)
        assert changed == [] or number != int(current if current.isdigit() else 1)
    works(path)
