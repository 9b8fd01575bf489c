"""States go out to files as they are; what a form cannot hold is refused; and a place is written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest

import epoch_sql
from epoch_sql import errors
from epoch_sql.storage.asides import aside_of
from tests.conftest import Epoch, Repo, begun

EVERYTHING = """
CREATE SCHEMA s; CREATE TYPE mood AS ENUM ('a', 'b'); CREATE SEQUENCE numbers START 5;
CREATE TABLE p (
    id INTEGER PRIMARY KEY, m mood, h HUGEINT, u UHUGEINT, t TIME WITH TIME ZONE, i INTERVAL, l STRUCT(a INTEGER[], b VARCHAR),
    n INTEGER DEFAULT nextval('numbers'), g INTEGER AS (id * 2), b BIT, bl BLOB, x UNION(k INTEGER, v VARCHAR), ar INTEGER[2],
    ma MAP(VARCHAR, INTERVAL), d DOUBLE, ts TIMESTAMP_NS, CHECK (id > 0)
);
INSERT INTO p BY NAME SELECT
    1 AS id, 'a' AS m, 170141183460469231731687303715884105727 AS h, 340282366920938463463374607431768211455 AS u,
    '12:00:00+02:30' AS t, INTERVAL '1 month 31 days 1 second' AS i, {'a': [1, NULL], 'b': 'it''s; x' || chr(10) || '--'} AS l,
    1 AS n, '0101'::BIT AS b, '\\x00\\xFF'::BLOB AS bl, union_value(v := 'x') AS x, [1, 2] AS ar,
    MAP {'k': INTERVAL 1 MONTH} AS ma, -0.0::DOUBLE AS d, '2026-01-01 00:00:00.123456789' AS ts;
INSERT INTO p (id, d) VALUES (2, 'nan');
CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id)); INSERT INTO c VALUES (1, 1);
CREATE TABLE s.bag (a INTEGER, b VARCHAR); INSERT INTO s.bag VALUES (1, NULL), (1, NULL), (2, '');
CREATE TABLE nothing (a INTEGER);
CREATE UNIQUE INDEX by_h ON p (h); CREATE VIEW v AS SELECT id, m FROM p; CREATE MACRO more(x) AS x + 1;
COMMENT ON TABLE p IS 'it''s'; COMMENT ON COLUMN p.m IS 'how';
"""


@begun(EVERYTHING)
def shop(repo: Repo) -> None:
    """Tables with all that DuckDB keeps, a later commit, and changes that are not committed."""
    repo("CALL epoch_tag('v1'); UPDATE p SET n = 3 WHERE id = 2; INSERT INTO s.bag VALUES (3, 'x')")
    repo.commit()
    repo("INSERT INTO nothing VALUES (1)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def out(repo: Repo, ref: str, path: str, **options: Any) -> list[tuple[Any, ...]]:
    named = "".join(f", {name} := ?" for name in options)
    return repo(f"CALL epoch_export(?, ?{named})", ref, path, *options.values())


@pytest.mark.parametrize("ref", ["v1", "main"])
@pytest.mark.parametrize("form", ["sql", "duckdb"])
@pytest.mark.slow
def test_a_whole_state_is_the_same_tree_elsewhere(shop: Repo, folder: Path, form: str, ref: str) -> None:
    out(shop, ref, f"state.{form}")
    if form == "sql":
        with duckdb.connect("state.duckdb") as plain:
            for statement in duckdb.extract_statements(Path("state.sql").read_text(encoding="utf-8")):
                plain.execute(statement)
    with epoch_sql.init("state.duckdb") as other:
        found = other.connection.sql("SELECT tree_id FROM epoch.commits").fetchall()
    assert found == [(shop.tree(ref),)]


def test_tables_come_out_and_in_again(shop: Repo, folder: Path) -> None:
    wrote = out(shop, "main", "all", form="csv", tables=["s.bag", "c", "v"])
    assert [(row[0], row[2]) for row in wrote] == [("c", 1), ("s.bag", 4), ("v", 2)]
    assert sorted(path.name for path in Path("all").iterdir()) == ["c.csv", "s.bag.csv", "v.csv"]
    shop("CALL epoch_reset(hard := true)")
    before = shop.tree()
    for form in ("parquet", "arrow", "json", "csv"):
        for table in ("c", "nothing"):
            if (form, table) == ("json", "nothing"):
                continue  # it would not tell its columns
            out(shop, "HEAD", f"one.{form}", tables=[table])
            shop("CALL epoch_import_files([?], ?, mode := 'replace')", f"one.{form}", table)
    for form in ("parquet", "arrow"):
        out(shop, "HEAD", f"bag.{form}", tables=["s.bag"])
        shop("CALL epoch_import_files([?], 's.bag', mode := 'replace')", f"bag.{form}")
    assert shop.tree() == before
    assert out(shop, "WORKING", "w.parquet", tables=["c"])[0][2] == 1


def test_what_a_form_cannot_hold_is_text_or_refused(shop: Repo, folder: Path) -> None:
    shop("CREATE TABLE big AS SELECT h, t, i FROM p WHERE id = 1")
    for form, as_text in (("parquet", ["h", "t", "i"]), ("arrow", ["h", "t"])):
        ((*_, told),) = out(shop, "WORKING", f"big.{form}", tables=["big"])
        assert told == as_text
    assert duckdb.sql("SELECT h, i FROM 'big.parquet'").fetchall() == [(str(2**127 - 1), "1 month 31 days 00:00:01")]
    assert pyarrow.ipc.open_file("big.arrow").read_all()["h"].to_pylist() == [str(2**127 - 1)]
    assert "column ma of p is MAP(VARCHAR, INTERVAL), whose values parquet" in shop.refused(
        "CALL epoch_export('HEAD', 'p.parquet', tables := ['p'])"
    )


def test_a_place_is_written_whole_or_not_at_all(shop: Repo, folder: Path) -> None:
    Path("old.csv").write_text("as it was")
    refused = [
        ("HEAD", "old.csv", {"tables": ["nowhere"]}, "there is no table nowhere"),
        ("HEAD", "old.csv/x.csv", {"tables": ["c"]}, "cannot write old.csv/x.csv"),
        ("HEAD", "x.txt", {"tables": ["c"]}, "the suffix of x.txt"),
        ("nope", "x.csv", {"tables": ["c"]}, "unknown reference"),
        ("HEAD", "old.csv", {}, "old.csv exists"),
        ("HEAD", "new", {"form": "csv", "tables": ["c", "nowhere"]}, "there is no table nowhere"),
        ("HEAD", "new", {"form": "parquet"}, "column"),
        ("HEAD", str(shop.path), {"form": "duckdb"}, "exists"),
        ("HEAD", "x.sql", {"tables": ["c"]}, "sql holds a whole state"),
        ("WORKING", "x.duckdb", {}, "WORKING cannot be a database"),
    ]
    for ref, path, options, told in refused:
        with pytest.raises(duckdb.Error) as caught:
            out(shop, ref, path, **options)
        assert told in str(caught.value)
        assert [entry.name for entry in Path().iterdir() if "repository" not in entry.name] == ["old.csv"]
    assert Path("old.csv").read_text() == "as it was"
    if os.geteuid():
        folder.chmod(0o500)
        with pytest.raises(errors.EpochStorageError), epoch_sql.raising(shop.con):
            out(shop, "HEAD", "x.csv", tables=["c"])
        folder.chmod(0o700)
    out(shop, "HEAD", "old.csv", tables=["c"])
    assert Path("old.csv").read_text().startswith("id,p\n")
    shop("SET enable_external_access = false")
    assert "cannot be written here" in shop.refused("CALL epoch_export('HEAD', 'x.sql')")


def test_the_command(shop: Repo, epoch: Epoch) -> None:
    shop.close()
    told = epoch("--db", str(shop.path), "export", "HEAD", "c", "s.bag", "some", "--format", "json")
    assert told.err == "Wrote 1 row of c to some/c.json\nWrote 4 rows of s.bag to some/s.bag.json\n"
    assert epoch("--db", str(shop.path), "export", "v1", "state.sql").err == "Wrote v1 to state.sql\n"
    assert epoch("--db", str(shop.path), "export", "v1", "c", "x.csv", "--json").json[0]["rows"] == 1
    assert epoch("--db", str(shop.path), "export", "HEAD", "v", "v.csv").err == "Wrote 2 rows of v to v.csv\n"
    assert Path("v.csv").read_text().startswith("id,m\n")
    shop.reopen()


def test_what_a_killed_export_left_is_removed_by_the_next(shop: Repo, folder: Path) -> None:
    """Of this repository, and only if nobody is at work on it any more."""
    kill = (
        "import os, signal, sys; from pathlib import Path; from epoch_sql.storage.asides import aside_of;"
        "held = aside_of(Path(sys.argv[1]), Path(sys.argv[2])); aside = held.__enter__(); aside.mkdir();"
        "(aside / 'x').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    own = str(shop.path.parent / ".epoch")
    with aside_of(Path("alive"), Path(own)) as alive:
        alive.touch()
        subprocess.run([sys.executable, "-c", kill, "killed", own])
        foreign, named = (Path(f".epoch-{digit * 32}") for digit in "ab")
        foreign.touch()
        named.touch()
        (Path(own) / "asides" / f".epoch-{'c' * 32}").write_text(str(named.absolute()))
        assert len(list(Path().glob(".epoch-*"))) == 4
        out(shop, "main", "bag.parquet", tables=["s.bag"])
        assert set(map(Path.absolute, Path().glob(".epoch-*"))) == {alive, foreign.absolute(), named.absolute()}
    assert not alive.exists()
    assert list((Path(own) / "asides").iterdir()) == []
