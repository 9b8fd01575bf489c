"""Fixtures that the tests share: a repository of its own for each test, and a runner of command lines."""

from __future__ import annotations

import atexit
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import pytest

import epoch_sql
from epoch_sql import render
from epoch_sql.call import Call, Memory
from epoch_sql.cli.main import run
from epoch_sql.extension.index import OWN_MACROS

ADA = "Ada <ada@example.com>"

# What DuckDB has since 2.0.
collect_ignore = ["objects/test_triggers.py", "objects/test_nested_schemas.py"] if duckdb.__version__ < "2" else []

Row = tuple[Any, ...]


_ASKED: Counter[tuple[str, str]] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a grid, ``make test`` runs one case in ``every``, spread over all of it; the others are slow,
    and do not run on older DuckDBs."""
    seen: Counter[str] = Counter()
    for item in items:
        grid = item.get_closest_marker("grid")
        if grid is None:
            continue
        name = item.nodeid.partition("[")[0]
        if seen[name] % grid.kwargs["every"]:
            item.add_marker(pytest.mark.slow)
            item.own_markers = [mark for mark in item.own_markers if mark.name != "older"]
        seen[name] += 1


@cache
def _new_database() -> Path:
    """A database in which nothing is but Epoch's macros: to make them takes a while, and a copy of them is as good."""
    path = Path(mkdtemp(prefix="epoch-tests-")) / "new.duckdb"
    atexit.register(shutil.rmtree, path.parent)
    epoch_sql.connect(path).close()
    return path


class Repo:
    """A database with Epoch installed, and short ways to ask it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            shutil.copyfile(_new_database(), path)
        self.con = epoch_sql.connect(path)

    def __call__(self, sql: str, *parameters: Any) -> list[Row]:
        """The rows of a statement (the last one, of several)."""
        return self.con.execute(sql, list(parameters)).fetchall()

    def one(self, sql: str, *parameters: Any) -> Any:
        """The only value of the only row."""
        ((value,),) = self(sql, *parameters)
        return value

    def columns(self, sql: str) -> list[tuple[str, str]]:
        """The names and types of a query's columns."""
        return [(row[0], row[1]) for row in self(f"DESCRIBE {sql}")]

    def commit(self, message: str = "change") -> Row:
        """Commit; (tables_changed, rows_added, rows_modified, rows_removed)."""
        ((_, _, *counts, _),) = self("CALL epoch_commit(?)", message)
        return tuple(counts)

    def head(self) -> str:
        """The id of the checked-out commit."""
        return str(self("FROM epoch_log(max_count := 1)")[0][0])

    def tree(self, ref: str = "HEAD") -> str:
        """The id of a commit's content."""
        return str(
            self.one("SELECT tree_id FROM epoch.commits JOIN epoch_log(?, max_count := 1) USING (commit_id)", ref)
        )

    def status(self) -> list[Row]:
        return self("FROM epoch_status()")

    def at(self, ref: str, table: str) -> list[Row]:
        """The rows of a table as of a reference, in one order."""
        return self("FROM epoch_at(?, ?) ORDER BY ALL", ref, table)

    def refused(self, sql: str, *parameters: Any) -> str:
        """The message of the error that a statement ends in."""
        with pytest.raises(duckdb.Error) as caught:
            self(sql, *parameters)
        return str(caught.value)

    def reopen(self) -> None:
        """Close the database and open it again, as another run of a program would."""
        self.con.close()
        self.con = epoch_sql.connect(self.path)

    def close(self) -> None:
        self.con.close()

    def leave(self) -> None:
        """Close the database for good: DuckDB need not write down what nobody reads again."""
        with suppress(duckdb.ConnectionException):
            self.con.execute("PRAGMA disable_checkpoint_on_shutdown")
        self.close()


MakeRepo = Callable[..., Repo]


@contextmanager
def opened(repo: Repo) -> Iterator[Call]:
    """The operations' own view of a repository."""
    with repo.con.cursor() as cursor:
        token = render.DATABASE.set(cursor.execute("SELECT current_database()").fetchall()[0][0])
        try:
            yield Call(cursor, Memory(OWN_MACROS))
        finally:
            render.DATABASE.reset(token)


Begin = Callable[[Repo], object]


@cache
def _initialised(sql: str, init: bool, begin: Begin | None, name: str, nth: int) -> Path:
    """A folder with a repository made from a text of SQL, for tests to copy; the nth of a test is another history."""
    folder = Path(mkdtemp(prefix="epoch-tests-"))
    atexit.register(shutil.rmtree, folder)
    repo = Repo(folder / name)
    try:
        if sql:
            repo(sql)
        if init:
            repo("CALL epoch_init()")
        if begin:
            begin(repo)
    finally:
        repo.close()
    return folder


def _is_asked_again(sql: str, name: str) -> bool:
    _ASKED[sql, name] += 1
    return _ASKED[sql, name] > 1


@pytest.fixture
def make_repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRepo]:
    """Makes repositories: ``make_repo(sql, name)`` runs SQL in a new database and initialises a repository there, in
    which ``begin`` then does something.

    What several tests begin with is made once and copied; ``fresh`` asks for one made in the test's own environment.
    """
    monkeypatch.setenv("EPOCH_AUTHOR", ADA)
    asked: Counter[tuple[str, str, Begin | None]] = Counter()
    with ExitStack() as opened:

        def make(
            sql: str = "",
            name: str = "shop.duckdb",
            init: bool = True,
            fresh: bool = False,
            begin: Begin | None = None,
        ) -> Repo:
            folder = tmp_path / f"repository{len(list(tmp_path.iterdir()))}"
            copied = begin or (init and not fresh and _is_asked_again(sql, name))
            if copied:
                shutil.copytree(_initialised(sql, init, begin, name, asked[sql, name, begin]), folder)
                asked[sql, name, begin] += 1
            else:
                folder.mkdir()
            repo = Repo(folder / name)
            opened.callback(repo.leave)
            if not copied:
                if sql:
                    repo(sql)
                if init:
                    repo("CALL epoch_init()")
            return repo

        yield make


def begun(sql: str = "") -> Callable[[Begin], Any]:
    """Makes a fixture of what a function does in a new repository: it is done once, and each test gets a copy."""

    def fixture_of(begin: Begin) -> Any:
        def copied(make_repo: MakeRepo) -> Repo:
            return make_repo(sql, begin=begin)

        return pytest.fixture(name=begin.__name__)(copied)

    return fixture_of


@pytest.fixture
def repo(make_repo: MakeRepo) -> Repo:
    """An empty repository."""
    return make_repo()


@dataclass(frozen=True)
class Ran:
    """What a command line printed."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Epoch = Callable[..., Ran]


@pytest.fixture
def epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Epoch:
    """Runs a command line, in the test's folder or in one below it, as Ada or as somebody else; fails the test unless
    it exits with ``code``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home-config"))
    monkeypatch.setenv("EPOCH_AUTHOR", ADA)
    monkeypatch.delenv("EPOCH_DB", raising=False)
    monkeypatch.delenv("EPOCH_DEBUG", raising=False)

    def ran(*arguments: str, code: int = 0, who: str | None = None, folder: str | None = None) -> Ran:
        capsys.readouterr()
        with monkeypatch.context() as changed:
            if who:
                changed.setenv("EPOCH_AUTHOR", who)
            if folder:
                changed.chdir(tmp_path / folder)
            found = run(arguments)
        captured = capsys.readouterr()
        assert found == code, f"epoch {' '.join(arguments)}\n{captured.out}\n{captured.err}"
        assert "Traceback" not in captured.err
        return Ran(captured.out, captured.err)

    return ran
