"""The ranges of keys of files, and base levels of several files, through every verb."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from epoch_sql import render
from epoch_sql.render import Sql
from epoch_sql.storage import writing
from epoch_sql.storage.file_proof import Prover
from epoch_sql.storage.key_ranges import key_bounds
from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import Clone
from tests.remote.forging import change_base

_TABLES = """
    CREATE TABLE numbers (id BIGINT PRIMARY KEY, v VARCHAR);
    INSERT INTO numbers SELECT i, 'v' || i FROM range(-500, 500) AS r(i);
    CREATE TABLE names (a VARCHAR, b INTEGER, v INTEGER, PRIMARY KEY (a, b));
    INSERT INTO names SELECT repeat('long ', 20) || (i % 10), i, i FROM range(1000) AS r(i);
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
    CREATE TABLE moods (m mood PRIMARY KEY, v INTEGER);
    INSERT INTO moods VALUES ('sad', 1), ('ok', 2), ('glad', 3);
    CREATE TABLE nocase (n VARCHAR COLLATE NOCASE PRIMARY KEY);
    INSERT INTO nocase VALUES ('b'), ('A'), ('C'), ('d');
    CREATE TABLE decimals (d DOUBLE PRIMARY KEY);
    INSERT INTO decimals VALUES ('-inf'), (-1.5), (0), (2), ('nan');
    CREATE TABLE rowed (file_row_number INTEGER PRIMARY KEY);
    INSERT INTO rowed VALUES (3), (1);
    CREATE TABLE log (line VARCHAR);
    INSERT INTO log VALUES ('x'), ('x');
"""
_CHANGES = """
    UPDATE numbers SET v = 'new' WHERE id IN (-400, 300);
    DELETE FROM numbers WHERE id = 7;
    INSERT INTO numbers VALUES (1000, 'more');
    UPDATE names SET v = 0 WHERE b < 5;
    INSERT INTO log VALUES ('y');
    CALL epoch_commit('changes')
"""


@pytest.fixture
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits base levels of some hundred rows."""
    monkeypatch.setattr(writing, "FILE_ROWS", 500)


def test_the_catalog_keeps_the_range_of_each_file(make_repo: MakeRepo) -> None:
    repo = make_repo(_TABLES)
    repo(_CHANGES)
    assert repo("FROM epoch_fsck()") == []
    assert repo("SELECT count(*) FROM epoch.files WHERE (least_key IS NULL) <> (greatest_key IS NULL)") == [(0,)]
    bounds = render.fill(Sql("SELECT {{b}} FROM numbers"), b=key_bounds([render.column("id")]))
    ends = repo(f"{bounds} WHERE id <= 999")
    assert (
        len(repo("FROM epoch.files WHERE (least_key, greatest_key) = (?, ?) AND old_schema_id IS NULL", *ends[0])) == 1
    )
    changed = repo(f"{bounds} WHERE id IN (-400, 1000)")
    assert len(repo("FROM epoch.files WHERE (least_key, greatest_key) = (?, ?)", *changed[0])) == 1
    assert repo("SELECT max(length(least_key)) FROM epoch.files") == [(128,)]
    without = "SELECT DISTINCT definition->>'name' FROM epoch.files JOIN epoch.schemas USING (schema_id) WHERE least_key IS NULL"
    assert repo(without) == [("log",)]
    repo("UPDATE epoch.files SET greatest_key = least_key WHERE greatest_key = ?", ends[0][1])
    assert [row[0] for row in repo("SELECT problem FROM epoch_fsck()")] == [
        "its least or greatest key is not the one that the catalog says"
    ]


@pytest.mark.slow
def test_verbs_take_base_levels_of_several_files(
    make_repo: MakeRepo, clone: Clone, tmp_path: Path, several_files: None
) -> None:
    repo = make_repo(_TABLES, fresh=True)
    assert repo("SELECT max(len(file_ids)) FROM epoch.levels") == [(2,)]
    repo("CALL epoch_branch('other')")
    repo(_CHANGES)
    now = repo("FROM numbers ORDER BY ALL")
    repo("CALL epoch_checkout('other')")
    assert repo("SELECT count(*), sum(id) FROM numbers") == [(1000, -500)]
    repo("UPDATE numbers SET v = 'theirs' WHERE id IN (-1, 1); CALL epoch_commit('theirs')")
    repo("CALL epoch_checkout('main'); CALL epoch_merge('other')")
    assert repo("SELECT count(*) FROM epoch_diff('HEAD~1', 'HEAD', table_name := 'numbers')") == [(2,)]
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    other = clone(str(tmp_path / "store"))
    assert other("FROM numbers ORDER BY ALL") == repo("FROM numbers ORDER BY ALL") != now
    assert other.at("HEAD~1", "numbers") == now
    repo("INSERT INTO numbers VALUES (2000, 'later'); CALL epoch_commit('later'); CALL epoch_push()")
    other("CALL epoch_pull()")
    for one in (repo, other):
        assert one("SELECT v FROM numbers WHERE id = 2000") == [("later",)]
        assert one("FROM epoch_fsck()") == []
        one("CALL epoch_compact(); CALL epoch_gc()")
        assert one("FROM epoch_fsck()") == []
        assert one("SELECT count(*) FROM epoch_at('HEAD', 'numbers')") == [(1001,)]


@pytest.mark.parametrize("lost", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_fetch_reads_only_the_files_in_which_a_base_level_differs(
    make_repo: MakeRepo, clone: Clone, tmp_path: Path, several_files: None, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    repo = make_repo(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, 0 FROM range(2500) AS r(i)",
        fresh=True,
    )
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    other = clone(str(tmp_path / "store"))
    rest = "SELECT unnest(file_ids) FROM epoch.levels WHERE len(file_ids) > 1"
    before = {row[0] for row in repo(rest)}
    repo("UPDATE t SET v = id WHERE id BETWEEN 500 AND 1499; CALL epoch_commit('many'); CALL epoch_push()")
    changed = {row[0] for row in repo(rest)} - before
    assert (len(before), len(changed)) == (5, 2)
    if lost:
        for path in (tmp_path / "store" / "versions").iterdir():

            def lose(files: list[dict[str, str]]) -> None:
                if {file["file_id"] for file in files} & changed:
                    del files[0]

            change_base(path, lose)
    read: set[str] = set()
    bases, ranges = Prover.bases, Prover.wrong_ranges
    monkeypatch.setattr(Prover, "bases", lambda p, files, t: read.update(*files.values()) or bases(p, files, t))
    monkeypatch.setattr(
        Prover, "wrong_ranges", lambda p, files, t: read.update(file.file_id for file in files) or ranges(p, files, t)
    )
    if lost:
        with pytest.raises(duckdb.Error, match="does not have the rows that it names, of table t"):
            other("CALL epoch_fetch()")
        return
    other("CALL epoch_pull()")
    assert changed < read
    assert len(read & before) == 2
    assert other("FROM t ORDER BY ALL") == repo("FROM t ORDER BY ALL")
    assert other("FROM epoch_fsck()") == []


def _store_with(repo: Repo, store: Path, change: Callable[[dict[str, str]], None]) -> None:
    """Push, then change the description of the base file of table numbers."""
    repo("CALL epoch_remote_add('origin', ?)", str(store))
    repo("CALL epoch_push()")
    for path in (store / "versions").iterdir():
        content = json.loads(path.read_bytes())["content"]
        if content["row_count"] == 1000:
            change_base(path, lambda files: change(files[0]))


@pytest.mark.parametrize("end", ["least_key", "greatest_key"])
def test_a_range_that_the_rows_do_not_have_is_refused(
    make_repo: MakeRepo, clone: Clone, tmp_path: Path, end: str
) -> None:
    def narrow(file: dict[str, str]) -> None:
        file[end] = file["greatest_key" if end == "least_key" else "least_key"]

    _store_with(make_repo(_TABLES), tmp_path / "store", narrow)
    with pytest.raises(duckdb.Error, match="has other keys than it is said to have"):
        clone(str(tmp_path / "store"))


def test_files_out_of_order_are_refused(make_repo: MakeRepo, clone: Clone, tmp_path: Path) -> None:
    def double(file: dict[str, str]) -> None:
        file["least_key"], file["greatest_key"] = file["greatest_key"], file["least_key"]

    _store_with(make_repo(_TABLES), tmp_path / "store", double)
    with pytest.raises(duckdb.Error, match="not in the order of their keys"):
        clone(str(tmp_path / "store"))
