"""Errors as objects: they cross DuckDB, threads and processes as what they are, and are documented."""

from __future__ import annotations

import ast
import json
import pickle
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from subprocess import PIPE
from threading import Thread

import duckdb
import pytest

import epoch_sql
from epoch_sql import errors
from epoch_sql.advice import to_resolve
from epoch_sql.errors import EpochError, MergeConflict, ReferenceNotFound
from tests.conftest import Epoch, MakeRepo, Repo
from tests.errors.sources import SOURCES, parsed

ROOT = Path(__file__).parents[2]
CLASSES = {
    name: found for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, EpochError)
}


def test_where_nothing_is(make_repo: MakeRepo, epoch: Epoch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = make_repo(init=False)
    facts = {"database": str(empty.path)}
    with pytest.raises(errors.RepositoryNotFound) as caught, epoch_sql.raising(empty.con):
        empty("FROM epoch_log()")
    assert caught.value.facts == facts
    with pytest.raises(errors.RepositoryNotFound) as caught:
        epoch_sql.open(empty.path)
    assert caught.value.facts == facts
    document = json.loads(epoch("--db", str(empty.path), "log", "--json", code=1).err)
    assert (document["kind"], document["facts"]) == ("EpochRepositoryError", facts)
    assert document["suggestion"] == {"verb": "init", "arguments": [], "options": {}}


def test_a_database_that_another_program_has_open(make_repo: MakeRepo, epoch: Epoch) -> None:
    repo = make_repo()
    repo.close()
    holder = f"import duckdb; con = duckdb.connect({str(repo.path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with pytest.raises(errors.EpochLockedError) as caught:
            epoch_sql.open(repo.path)
        document = json.loads(epoch("--wait", "0", "--db", str(repo.path), "log", "--json", code=1).err)
        process.communicate("\n")
    assert caught.value.process == process.pid
    assert document["facts"] == caught.value.facts and document["kind"] == "EpochLockedError"
    repo.con = epoch_sql.connect(repo.path)


@pytest.mark.core
def test_facts_cross_as_they_are(make_repo: MakeRepo) -> None:
    """Whatever a name holds that DuckDB's own text could be confused with."""
    repo = make_repo()
    for name in ("x (hint: y)", "EpochConflict: z", "a\nb", "\U0001f389 '\"", "\x1b[31m", "{}"):
        with pytest.raises(ReferenceNotFound) as caught, epoch_sql.raising(repo.con):
            repo("CALL epoch_checkout(?)", name)
        assert caught.value.name == name
        assert caught.value.message.isprintable()


def test_without_a_watch_duckdb_raises_its_own(repo: Repo) -> None:
    told = repo.refused("CALL epoch_checkout('mian')")
    assert "EpochReferenceError: unknown reference 'mian' (hint: did you mean 'main'?)" in told


def test_errors_of_duckdb_stay_its_own(repo: Repo) -> None:
    with pytest.raises(duckdb.ParserException), epoch_sql.raising(repo.con):
        repo("SELEC 1")
    repo("CREATE VIEW broken AS FROM epoch_log('main')")
    repo("CALL epoch_branch('gone'); CREATE VIEW stale AS FROM epoch_log('gone'); CALL epoch_branch_delete('gone')")
    with pytest.raises(duckdb.CatalogException), epoch_sql.raising(repo.con):
        repo("FROM duckdb_columns(); FROM missing")


@pytest.mark.core
def test_each_thread_raises_its_own(repo: Repo) -> None:
    found: dict[str, str | None] = {}

    def refused(name: str) -> None:
        with repo.con.cursor() as cursor:
            try:
                with epoch_sql.raising(repo.con):
                    cursor.execute("FROM epoch_log(?)", [name]).fetchall()
            except ReferenceNotFound as error:
                found[name] = error.name

    threads = [Thread(target=refused, args=(f"nothing{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {f"nothing{number}": f"nothing{number}" for number in range(8)}


def test_a_kept_error_holds_no_database_open(make_repo: MakeRepo) -> None:
    repo = make_repo()
    with pytest.raises(ReferenceNotFound) as caught, epoch_sql.raising(repo.con):
        repo("FROM epoch_log('nothing')")
    assert caught.value.name == "nothing"
    repo.close()
    with duckdb.connect(repo.path, config={"threads": 1}) as again:
        # Refused while the database is open with other options.
        assert again.execute("SELECT 1").fetchall() == [(1,)]
    repo.con = epoch_sql.connect(repo.path)


def test_the_names_of_python_are_kinds_of_those_of_sql() -> None:
    assert MergeConflict.__base__ is errors.EpochConflict
    for name, found in CLASSES.items():
        error = found.__new__(found)
        kind = error.kind
        assert kind.startswith("Epoch") and isinstance(error, CLASSES[kind])
        assert (kind == name) == name.startswith("Epoch")


def test_errors_travel_to_other_processes() -> None:
    error = MergeConflict(
        "x",
        to_resolve("main", 1),
        verb="merge",
        source="a",
        target="main",
        conflicts=1,
        violations=0,
        tables={"t": 1},
    )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.facts, str(again), again.suggestion) == (
        MergeConflict,
        error.facts,
        str(error),
        error.suggestion,
    )


def test_every_kind_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\w+) \|.*\|([^|]*)\| (\d) \|$", page, re.MULTILINE)
    assert {name: (re.findall(r"`(\w+)`", facts), int(code)) for name, facts, code in documented} == {
        name: ([f.name for f in fields(found) if f.name not in ("message", "advice")], found.exit_code)
        for name, found in CLASSES.items()
    }


def test_every_class_is_in_one_place() -> None:
    for source in SOURCES:
        if source.name in ("errors.py", "failure.py"):
            continue
        for node in ast.walk(parsed(source)):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                assert not bases & CLASSES.keys(), f"{source}: {node.name}"
