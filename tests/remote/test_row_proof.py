"""Other rows under a commit's name are refused: whatever is done to the rows of a base or a delta, with all hashes right."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import ADA, Repo
from tests.remote.conftest import Clone, everything, sound
from tests.remote.forging import Document, Store
from tests.support.databases import change

FIRST = """
    CREATE TABLE keyed (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO keyed SELECT i, i FROM range(200) AS r(i);
    CREATE TABLE pairs (a VARCHAR, b INTEGER, v INTEGER, PRIMARY KEY (a, b));
    INSERT INTO pairs SELECT 'x' || (i % 3), i, i FROM range(200) AS r(i);
    CREATE TABLE bag (n INTEGER, v INTEGER); INSERT INTO bag SELECT i % 70, i % 5 FROM range(210) AS r(i);
"""
CHANGES = (
    "UPDATE keyed SET v = 1000 WHERE id = 3; DELETE FROM keyed WHERE id = 7; INSERT INTO keyed VALUES (900, 1)",
    "UPDATE pairs SET v = 1000 WHERE b = 3; DELETE FROM pairs WHERE b = 7; INSERT INTO pairs VALUES ('y', 900, 1)",
    "DELETE FROM bag WHERE n = 3; INSERT INTO bag VALUES (500, 1), (500, 1), (9, 1)",
)
ANOTHER = (
    "ALTER TABLE keyed ADD COLUMN w VARCHAR DEFAULT 'd'; UPDATE keyed SET w = 'e', v = -id WHERE id IN (3, 11); DELETE FROM keyed WHERE id = 12; INSERT INTO keyed VALUES (901, 1, 'x')",
    "UPDATE keyed SET v = 4 WHERE id = 5; UPDATE pairs SET v = 4 WHERE b = 5; INSERT INTO bag VALUES (9, 1)",
)
ANY = {
    "a row less": "FROM d ORDER BY ALL LIMIT (SELECT count(*) - 1 FROM d)",
    "every row twice": "FROM d UNION ALL FROM d",
    "one row twice": "FROM d UNION ALL (FROM d LIMIT 1)",
    "a column more": "SELECT *, 1 AS x FROM d",
    "a column of another type": "SELECT * REPLACE (CAST({v} AS VARCHAR) AS {v}) FROM d",
    "a column less": "SELECT * EXCLUDE ({v}) FROM d",
    "another name of a column": "SELECT * RENAME ({v} AS x) FROM d",
    "another value": "SELECT * REPLACE (CASE WHEN {k} = (SELECT max({k}) FROM d) THEN {v} + 1 ELSE {v} END AS {v}) FROM d",
    "values that changed places": "SELECT * REPLACE (coalesce(lead({v}) OVER (ORDER BY {k}, {v}), first({v}) OVER (ORDER BY {k}, {v})) AS {v}) FROM d",
    "no value": "SELECT * REPLACE (CAST(NULL AS INTEGER) AS {v}) FROM d",
    "no key": "SELECT * REPLACE (CASE WHEN {k} = (SELECT max({k}) FROM d) THEN NULL ELSE {k} END AS {k}) FROM d",
}
DELTAS = {
    "an unknown op": "SELECT * REPLACE ('upserted' AS op) FROM d",
    "no op": "SELECT * REPLACE (CAST(NULL AS VARCHAR) AS op) FROM d",
}
KEYED_DELTAS = {
    "another old value": "SELECT * REPLACE (CASE WHEN op = 'modified' THEN {o} + 1 ELSE {o} END AS {o}) FROM d",
    "old and new exchanged": "SELECT * REPLACE ({o} AS {v}, {v} AS {o}) FROM d",
    "a row that cancels itself": "FROM d UNION ALL SELECT * REPLACE (55 AS {b}, 7777 AS {v}, 7777 AS {o}) FROM (FROM d WHERE op = 'modified')",
    "an addition that is a change": "SELECT * REPLACE (CASE op WHEN 'added' THEN 'modified' ELSE op END AS op) FROM d",
    "a change that is an addition": "SELECT * REPLACE (CASE op WHEN 'modified' THEN 'added' ELSE op END AS op) FROM d",
    "a removal that is a change": "SELECT * REPLACE (CASE op WHEN 'removed' THEN 'modified' ELSE op END AS op) FROM d",
}
BAG_DELTAS = {
    "more copies": "SELECT * REPLACE (n0 + 1 AS n0) FROM d",
    "other copies before": "SELECT * REPLACE (o0 + 1 AS o0, n0 + 1 AS n0) FROM d",
    "negative copies": "SELECT * REPLACE (-n0 AS n0, -o0 AS o0) FROM d",
    "no number of copies": "SELECT * REPLACE (CAST(NULL AS BIGINT) AS n0) FROM d",
    "countless copies": "SELECT * REPLACE (9223372036854775807 AS n0) FROM d",
    "a row that cancels itself": "FROM d UNION ALL SELECT * REPLACE (66 AS {k}, 1 AS n0, 1 AS o0) FROM (FROM d LIMIT 1)",
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a store of a few commits, and a clone that has the first of them only."""
    base = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EPOCH_AUTHOR", ADA)
        for name in ("shop", "clone"):
            (base / name).mkdir()
        shop = Repo(base / "shop" / "shop.duckdb")
        shop(FIRST)
        shop("CALL epoch_init(); CALL epoch_remote_add('origin', ?)", str(base / "store"))
        shop("CALL epoch_push()")
        clone = Repo(base / "clone" / "shop.duckdb")
        clone("CALL epoch_clone(?)", str(base / "store"))
        clone.close()
        shop("; ".join(CHANGES))
        shop("CALL epoch_commit('rows')")
        for sql in ANOTHER:
            shop(f"{sql}; CALL epoch_commit('more')")
        shop("CALL epoch_push()")
        shop.close()
        yield base


def files(store: Store, table: str, kind: str, with_column: bool = False) -> list[Document]:
    """Every mention of a file of a table: its base, or the delta of its second commit, or the one that has a new column."""
    schemas = store.documents["schemas"]
    told = [d for kinds in ("versions", "commits") for d in store.documents[kinds].values()]
    found: list[Document] = []
    for level in (level for d in told for level in (*d.get("levels", ()), *d.get("deltas", ()))):
        for file in level["files"]:
            schema = schemas[f"{file['schema_id']}.json"]
            old = schemas[f"{file['old_schema_id'] or file['schema_id']}.json"]
            grown = len(schema["columns"]) != len(old["columns"])
            if (schema["name"], level["kind"], grown) == (table, kind, with_column):
                found.append((level, file))
    first = found[0][1]["file_id"]
    return [(level, file) for level, file in found if file["file_id"] == first]


def forge(store: Store, mentions: list[Document], sql: str) -> None:
    """Write other rows in the place of a file, and say so wherever it is mentioned, counted right."""
    file = mentions[0][1]
    path = store.folder / "objects" / file["file_id"][:2] / f"{file['file_id']}.parquet"
    with duckdb.connect() as con:
        con.execute("CREATE TABLE d AS FROM read_parquet(?)", [str(path)])
        ids = dict(
            con.execute(
                "SELECT name, field_id FROM parquet_schema(?) WHERE field_id IS NOT NULL", [str(path)]
            ).fetchall()
        )
        names = [row[0] for row in con.execute("DESCRIBE d").fetchall()]
        delta = "op" in names
        keys = [n for n in names if n[0] == "k"] if delta else names[:-1]
        places = {"k": keys[0], "b": keys[-1] if "n0" not in names else keys[0]}
        places["v"] = next((n for n in names if n[0] == "n" and n != "n0"), names[-1]) if delta else names[-1]
        if "n0" in names:
            places["v"] = keys[-1]
        places["o"] = next((n for n in names if n[0] == "o" and n not in ("op", "o0")), "o0")
        if not delta and places["k"] == places["v"]:
            places["k"] = names[0]
        con.execute(f"CREATE TABLE e AS {sql.format(**places)}")
        kept = ", ".join(
            f"{name}: {i}" for name, i in ids.items() if name in [r[0] for r in con.execute("DESCRIBE e").fetchall()]
        )
        target = store.folder / "forged.parquet"
        con.execute(f"COPY e TO '{target}' (FIELD_IDS {{{kept}}})")
        ((count,),) = con.execute("SELECT count(*) FROM e").fetchall()
        counts = None
        if delta and "n0" not in names:
            counts = [
                con.execute("SELECT count(*) FROM e WHERE op = ?", [op]).fetchall()[0][0]
                for op in ("added", "modified", "removed")
            ]
        if delta and "n0" in names:
            found = con.execute("SELECT sum(greatest(n0 - o0, 0)), 0, sum(greatest(o0 - n0, 0)) FROM e").fetchall()
            counts = [n if n is not None and 0 <= n < 2**63 else 0 for n in found[0]]
    data = target.read_bytes()
    target.unlink()
    file_id = hashlib.sha256(data).hexdigest()
    path = store.folder / "objects" / file_id[:2] / f"{file_id}.parquet"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    for level, one in mentions:
        one.update(file_id=file_id, bytes=len(data), row_count=count)
        if counts is not None:
            level["rows"] = counts


def attacks(table: str, kind: str) -> dict[str, str]:
    deltas = {**DELTAS, **(BAG_DELTAS if table == "bag" else KEYED_DELTAS)}
    return ANY if kind == "base" else {**ANY, **deltas}


def refused(repo: Repo, call: str, *parameters: Any) -> str:
    told = repo.refused(call, *parameters)
    assert "EpochStorageError" in told and "Python exception" not in told, told
    assert "at the remote" in told, told
    return told


@pytest.mark.grid(every=9)
@pytest.mark.parametrize(
    ("table", "kind"),
    [
        pytest.param(*("keyed", "delta"), marks=[pytest.mark.core, pytest.mark.slow, pytest.mark.older]),
        ("keyed", "base"),
        pytest.param(*("keyed", "wider delta"), marks=pytest.mark.core),
        ("pairs", "base"),
        ("pairs", "delta"),
        ("bag", "base"),
        pytest.param(*("bag", "delta"), marks=pytest.mark.core),
    ],
)
def test_other_rows_are_refused(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, kind: str
) -> None:
    """By a clone where it is the base that is other, by a fetch of what came after it else."""
    monkeypatch.setenv("EPOCH_AUTHOR", ADA)
    empty = Repo(tmp_path / "empty.duckdb")
    shutil.copytree(stores / "clone", tmp_path / "clone")
    repo = Repo(tmp_path / "clone" / "shop.duckdb")
    before = (
        repo("FROM epoch_log()"),
        everything(repo),
        repo("FROM epoch.refs"),
        repo("SELECT count(*) FROM epoch.versions"),
    )
    for number, (name, sql) in enumerate(attacks(table, kind).items()):
        folder = tmp_path / f"store{number}"
        shutil.copytree(stores / "store", folder)
        store = Store(folder)
        mentions = files(store, table, kind.removeprefix("wider "), kind.startswith("wider"))
        forge(store, mentions, sql)
        store.write(folder, objects=False)
        try:
            if kind == "base":
                told = refused(empty, "CALL epoch_clone(?)", str(folder))
                assert empty("FROM duckdb_tables()") == []
            else:
                repo("UPDATE epoch.remotes SET url = ?", str(folder))
                told = refused(repo, "CALL epoch_fetch()")
            assert str(folder) in told
        except BaseException as error:
            raise AssertionError(f"{table}: {kind}: {name}: {error}") from error
        shutil.rmtree(folder)
    assert before == (
        repo("FROM epoch_log()"),
        everything(repo),
        repo("FROM epoch.refs"),
        repo("SELECT count(*) FROM epoch.versions"),
    )
    assert sound(repo)
    repo("UPDATE epoch.remotes SET url = ?", str(stores / "store"))
    repo("CALL epoch_fetch()")
    assert sound(repo)
    repo.close()
    empty.close()


Saying = Callable[[Store], None]


def _of(store: Store, kind: str, levels: str) -> list[Document]:
    return [level for d in store.documents[kind].values() for level in d[levels] if level["kind"] == "delta"]


SAYINGS: dict[str, Saying] = {
    "counts of a version's delta": lambda s: _of(s, "versions", "levels")[0].update(rows=[1, 1, 0]),
    "counts of a commit's delta": lambda s: _of(s, "commits", "deltas")[0].update(rows=[1, 1, 0]),
    "a delta backwards": lambda s: _of(s, "commits", "deltas")[0].update(
        before=_of(s, "commits", "deltas")[0]["after"], after=_of(s, "commits", "deltas")[0]["before"]
    ),
    "a delta of another table": lambda s: _of(s, "commits", "deltas")[0].update(
        files=next(
            d["files"] for d in _of(s, "commits", "deltas")[1:] if d["files"] != _of(s, "commits", "deltas")[0]["files"]
        )
    ),
    "no delta where there is one": lambda s: _of(s, "commits", "deltas")[0].update(files=[], rows=[0, 0, 0]),
    "more rows": lambda s: [
        f.update(row_count=f["row_count"] + 1) for x in _of(s, "versions", "levels") for f in x["files"]
    ].clear(),
    "more bytes": lambda s: [
        f.update(bytes=f["bytes"] + 1) for x in _of(s, "versions", "levels") for f in x["files"]
    ].clear(),
    "a level less": lambda s: max(s.documents["versions"].values(), key=lambda d: len(d["levels"]))["levels"].pop(),
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("what", SAYINGS)
def test_what_is_said_of_rows_is_proved(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("EPOCH_AUTHOR", ADA)
    folder = tmp_path / "store"
    shutil.copytree(stores / "store", folder)
    store = Store(folder)
    SAYINGS[what](store)
    store.write(folder, objects=False)
    empty = Repo(tmp_path / "empty.duckdb")
    refused(empty, "CALL epoch_clone(?)", str(folder))
    empty.close()


@pytest.mark.slow
def test_a_sound_store_of_many_levels_is_taken(make_repo: Any, clone: Clone, tmp_path: Path) -> None:
    """Folds, rewritten bases, columns that come and go, types that widen: nothing of that is mistaken for other rows."""
    repo = make_repo(
        "; ".join(
            f"CREATE TABLE {t} (id INTEGER {key}, v INTEGER); INSERT INTO {t} SELECT i, 0 FROM range(400) AS r(i)"
            for t, key in (("keyed", "PRIMARY KEY"), ("bag", ""))
        )
    )
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    other = clone(str(tmp_path / "store"))
    for n in range(28):
        for table in ("keyed", "bag"):
            change(repo, table, n)
        repo.commit(str(n))
        if n % 9 == 5:
            repo("CALL epoch_push()")
            other("CALL epoch_fetch()")
        if n == 20:
            repo("CALL epoch_compact()")
    repo("CALL epoch_push()")
    other("CALL epoch_fetch()")
    fresh = clone(str(tmp_path / "store"))
    for n in (0, 7, 13, 27):
        assert everything(fresh, f"main~{n}") == everything(other, f"origin/main~{n}") == everything(repo, f"main~{n}")
    assert sound(fresh) and sound(other)
