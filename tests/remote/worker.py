"""Programs that tests run in processes of their own: ``python -m tests.remote.worker PROGRAM …``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import duckdb

import epoch_sql
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.folder import FolderStore

STEPS = ("put_new", "upload", "swap", "swap_current", "remove", "download")


def race(database: Path, who: int) -> None:
    """Commit, push and settle when told to on standard input, a word a line; answer with a line each."""
    con = epoch_sql.connect(database)
    number = 0
    for line in sys.stdin:
        word = line.strip()
        if word == "commit":
            number += 1
            con.execute("INSERT INTO work VALUES (?, ?)", [who, number])
            con.execute("CALL epoch_commit(?)", [f"{who}/{number}"])
        print(_pushed(con) if word == "push" else _settled(con) if word == "settle" else "done", flush=True)


def _pushed(con: duckdb.DuckDBPyConnection) -> str:
    try:
        ((status,),) = con.execute("SELECT status FROM epoch_push()").fetchall()
    except duckdb.Error as error:
        return f"told {str(error).splitlines()[0]}"
    return str(status)


def _settled(con: duckdb.DuckDBPyConnection) -> str:
    con.execute("CALL epoch_pull()")
    return _pushed(con)


def killed(database: Path, call: str, last: int) -> None:
    """Run a call, and be killed before the step of that number: a step is a request that writes, or a download."""
    steps = 0

    def stepping(method: Any) -> Any:
        def step(*arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments)

        return step

    stores: list[type[RemoteStore]] = [FolderStore]
    if os.environ.get("AWS_ENDPOINT_URL"):
        from epoch_sql.storage.remote.bucket import BucketStore

        stores.append(BucketStore)
    for store in stores:
        for name in STEPS:
            if name in vars(store):
                setattr(store, name, stepping(getattr(store, name)))
    with epoch_sql.connect(database) as con:
        con.execute(call).fetchall()
    print(steps)


if __name__ == "__main__":
    program, path, *given = sys.argv[1:]
    if program == "race":
        race(Path(path), int(given[0]))
    else:
        killed(Path(path), given[0], int(given[1]))
