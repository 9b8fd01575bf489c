"""``make tour``: commit, merge, diff and push under a tracer, and the modules that each enters, in that order.

It is the guided tour for newcomers: what a verb passes, room by room. ``passed`` gives the same as data.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql.cli import main
from epoch_sql.extension import surface

SHOP = "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER, note VARCHAR); INSERT INTO orders SELECT i, i, 'x' FROM range(100) AS r(i)"
ROOTS = {Path(module.__file__ or "").resolve().parent for module in (epoch_sql, main)}
"""cli/ may stand beside epoch_sql/ or within it."""
LOADED = surface.VERBS
"""A verb is loaded when it is first called. To load a module is not to pass it, so all are loaded before."""


def passed(folder: Path) -> dict[str, Counter[str]]:
    """The modules that each verb enters, in the order entered, with the number of calls."""
    database = folder / "shop.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        patch.setattr(duckdb, "connect", _on_one_thread(duckdb.connect))
        _change(database, SHOP)
        _run("init", "shop.duckdb")
        _run("checkout", "-b", "dev")
        _change(database, "UPDATE orders SET amount = 55 WHERE id = 5")
        found = {"commit": _run("commit", "-m", "An amount")}
        _run("checkout", "main")
        _change(database, "UPDATE orders SET note = 'y' WHERE id = 5")
        _run("commit", "-m", "A note")
        found["merge"] = _run("merge", "dev")
        found["diff"] = _run("diff", "HEAD~1..HEAD")
        _run("remote", "add", "origin", str(folder / "store"))
        found["push"] = _run("push", "origin", "main")
    return found


def _on_one_thread(connect: Any) -> Any:
    """DuckDB calls Python on threads of its own, which no profiler sees, unless it has only one."""

    def connected(*arguments: Any, **settings: Any) -> duckdb.DuckDBPyConnection:
        con = connect(*arguments, **settings)
        con.execute("SET threads = 1")
        return con

    return connected


def _change(database: Path, sql: str) -> None:
    with duckdb.connect(database) as con:
        con.execute(sql)


def _run(*arguments: str) -> Counter[str]:
    """Run a command line that has to succeed, and count the calls into each module."""
    entered: Counter[str] = Counter()

    def enter(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            entered[frame.f_code.co_filename] += 1

    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        sys.setprofile(enter)
        try:
            code = main.run(arguments)
        finally:
            sys.setprofile(None)
    if code:
        raise RuntimeError(f"epoch {' '.join(arguments)} ends with {code}: {told.getvalue()}")
    modules: Counter[str] = Counter()
    for file, calls in entered.items():
        if module := _module(Path(file)):
            modules[module] += calls
    return modules


def _module(file: Path) -> str | None:
    """A file of the product as room and module: ``cli/main``, ``operations/merge/trees``."""
    if not file.is_absolute():
        return None
    path = file.resolve().with_suffix("")
    for root in ROOTS:
        if path.is_relative_to(root):
            inside = path.relative_to(root)
            return str(Path("cli") / inside if root.name == "cli" else inside)
    return None


def _rooms(modules: Counter[str]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Modules by room, in the order in which the rooms are entered first."""
    rooms: dict[str, list[tuple[str, int]]] = {}
    for module, calls in modules.items():
        room, _, name = module.rpartition("/")
        rooms.setdefault(room or "epoch_sql", []).append((name, calls))
    yield from rooms.items()


def tour() -> None:
    """Print the tour."""
    with TemporaryDirectory() as folder:
        for verb, modules in passed(Path(folder)).items():
            print(f"epoch {verb}: {len(modules)} files in {len(list(_rooms(modules)))} rooms")
            for room, entered in _rooms(modules):
                print(f"  {room:<22} {', '.join(f'{name} {calls}' for name, calls in entered)}")
            print()


if __name__ == "__main__":
    tour()
