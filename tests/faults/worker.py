"""Programs that tests run in processes of their own, to kill them: ``python -m tests.faults.worker PROGRAM …``.

The database has two tables that always tell the same number: ``c`` holds it, and ``t`` holds rows that follow from it.
What is torn would not agree.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import duckdb

import epoch_sql
from epoch_sql.extension.session import Session

ROWS = 20_000
VALUE = "CASE WHEN i % 10 = ? % 10 THEN ? ELSE 0 END"
OPERATIONS = {
    "commit": "CALL epoch_commit('7')",
    "checkout": "CALL epoch_checkout('other')",
    "reset": "CALL epoch_reset('HEAD~1', hard := true)",
    "stash": "CALL epoch_stash('7')",
    "stash pop": "CALL epoch_stash_pop()",
    "gc": "CALL epoch_gc(grace := INTERVAL 0 SECOND)",
    "compact": "CALL epoch_compact()",
    "import": "CALL epoch_import_files(['{folder}/t.csv', '{folder}/c.csv'], mode := 'replace', message := '7')",
    "export tables": "CALL epoch_export('other', '{folder}/out', form := 'parquet')",
    "export a state": "CALL epoch_export('other', '{folder}/out.duckdb')",
}
"""What is killed at chosen points, on a repository that ``prepared`` made for it."""


def fill(con: duckdb.DuckDBPyConnection, number: int) -> None:
    """Make both tables tell a number, in one transaction."""
    con.execute("BEGIN")
    con.execute(f"UPDATE t SET v = {VALUE} WHERE v <> {VALUE}", [number] * 4)
    con.execute("UPDATE c SET n = ?", [number])
    con.execute("COMMIT")


def create(path: Path) -> duckdb.DuckDBPyConnection:
    """A repository with branches ``main`` and ``other``; each message is the number that the commit's tables tell."""
    con = epoch_sql.connect(path)
    con.execute(f"CREATE TABLE t AS SELECT i, 0 AS v, md5(i::VARCHAR) AS note FROM range({ROWS}) AS r(i)")
    con.execute("ALTER TABLE t ADD PRIMARY KEY (i); CREATE TABLE c (n INTEGER); INSERT INTO c VALUES (0)")
    fill(con, 1)
    con.execute("CALL epoch_init()")
    for number in (2, 3):
        fill(con, number)
        con.execute("CALL epoch_commit(?)", [str(number)])
    con.execute("CALL epoch_checkout('other', new_branch := true)")
    fill(con, 4)
    con.execute("CALL epoch_commit('4')")
    con.execute("CALL epoch_checkout('main')")
    return con


def prepared(path: Path, operation: str) -> None:
    """A repository in which an operation of ``OPERATIONS`` has something to do."""
    with create(path) as con:
        if operation in ("commit", "stash", "stash pop"):
            fill(con, 7)
        if operation == "stash pop":
            con.execute(OPERATIONS["stash"])
        if operation == "import":
            fill(con, 7)
            con.execute(f"COPY t TO '{path.parent}/t.csv'; COPY c TO '{path.parent}/c.csv'")
            con.execute("CALL epoch_reset(hard := true)")
        if operation == "gc":
            con.execute("CALL epoch_compact()")
            fill(con, 5)
            con.execute("CALL epoch_commit('5')")
            con.execute("CALL epoch_reset('HEAD~1', hard := true)")


def loop(path: Path, seed: int) -> None:
    """Work until killed; a line is written when the first piece of work begins."""
    chance = random.Random(seed)
    con = epoch_sql.connect(path)
    con.execute("CALL epoch_reset(hard := true)")
    print("ready", flush=True)
    number = 1000 * (seed + 1)
    while True:
        number += 1
        work = chance.choice(("commit", "commit", "checkout", "reset", "stash", "gc", "compact"))
        if work in ("commit", "stash"):
            fill(con, number)
        if work == "commit":
            con.execute("CALL epoch_commit(?)", [str(number)])
        elif work == "checkout":
            con.execute("CALL epoch_checkout(?)", [chance.choice(("main", "other"))])
        elif work == "reset" and len(con.execute("FROM epoch_log()").fetchall()) > 3:
            con.execute("CALL epoch_reset('HEAD~1', hard := true)")
        elif work == "stash":
            con.execute("CALL epoch_stash(?)", [str(number)])
            con.execute("CALL epoch_stash_pop()")
            con.execute("CALL epoch_reset(hard := true)")
        elif work in ("gc", "compact"):
            con.execute(OPERATIONS[work])


class Clock:
    """Counts the steps of an operation and kills the process at one of them."""

    def __init__(self, last: int) -> None:
        self.steps = 0
        self.last = last

    def tick(self) -> None:
        self.steps += 1
        if self.steps == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


class TickingCursor:
    """A cursor each of whose statements is a step."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, clock: Clock) -> None:
        self._cursor = cursor
        self._clock = clock

    def __enter__(self) -> TickingCursor:
        return self

    def __exit__(self, *raised: object) -> None:
        self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, *arguments: Any) -> Any:
        self._clock.tick()
        return self._cursor.execute(*arguments)


def perform(path: Path, operation: str, last: int) -> int:
    """Run an operation whose statements, syncs, renames and deletions are steps; killed before step ``last``."""
    clock = Clock(last)
    opened, replace, fsync, unlink = Session._open, os.replace, os.fsync, Path.unlink

    def stepping(function: Any) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            clock.tick()
            return function(*arguments, **named)

        return step

    with epoch_sql.connect(path) as con:
        Session._open = lambda self: TickingCursor(opened(self), clock)
        os.replace, os.fsync, Path.unlink = stepping(replace), stepping(fsync), stepping(unlink)
        con.execute(OPERATIONS[operation].format(folder=path.parent)).fetchall()
        Session._open, os.replace, os.fsync, Path.unlink = opened, replace, fsync, unlink
    return clock.steps


def kill_points(folder: Path, operation: str, points: int) -> None:
    """Kill an operation at points spread over its steps, each in a copy of one repository: ``folder/<step>``.

    ``folder/before`` is the repository as it was, ``folder/after`` the one in which the operation came to its end.
    """
    (folder / "before").mkdir()
    prepared(folder / "before" / "shop.duckdb", operation)
    shutil.copytree(folder / "before", folder / "after")
    steps = perform(folder / "after" / "shop.duckdb", operation, 0)
    for last in sorted({*(1 + k * (steps - 1) // (points - 1) for k in range(points)), steps - 1}):
        shutil.copytree(folder / "before", folder / str(last))
        child = os.fork()
        if child == 0:
            perform(folder / str(last) / "shop.duckdb", operation, last)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise AssertionError(f"{operation} outlived step {last} of {steps}")


if __name__ == "__main__":
    program, *given = sys.argv[1:]
    if program == "loop":
        loop(Path(given[0]), int(given[1]))
    else:
        kill_points(Path(given[0]), given[1], int(given[2]))
