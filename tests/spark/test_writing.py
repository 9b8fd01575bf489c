"""Writing on an engine: what a store has then is what DuckDB would have written, and what cannot be changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import epoch_sql
from epoch_sql import Repository
from tests.remote.conftest import KEY, SECRET
from tests.spark.conftest import Engine

pytestmark = pytest.mark.slow

SHOP = """
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, amount DECIMAL(9, 2) NOT NULL, code VARCHAR UNIQUE, mood mood, CHECK (amount >= 0));
INSERT INTO orders SELECT i, i * 1.5, 'c' || i, 'ok' FROM range(1000) AS r(i);
CREATE TABLE lines (order_id INTEGER REFERENCES orders (id), n INTEGER);
INSERT INTO lines VALUES (7, 1), (7, 2);
CREATE TABLE wide AS SELECT
    i, u, t, m, h, p, moment, zoned, b, l, part, pairs, d, j, bits, f
FROM (VALUES
    (1, '0000000a-0000-0000-0000-00000000000f'::UUID, '10:00:00.25'::TIME, 'ok'::mood, 12345678901234567890123::HUGEINT,
     INTERVAL '1 month 2 days 3 seconds', TIMESTAMP '1890-01-01 00:00:01', TIMESTAMPTZ '2020-01-01 00:00:00+02',
     'z'::BLOB, [1, NULL], {'a': 1, 'b': ['x', NULL]}, MAP {'k': DATE '1500-01-01'}, DATE '1582-10-10',
     '{"a": 1.50}'::JSON, '101'::BIT, '-0.0'::DOUBLE),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'nan')
) AS v(i, u, t, m, h, p, moment, zoned, b, l, part, pairs, d, j, bits, f);
ALTER TABLE wide ADD PRIMARY KEY (i);
CALL epoch_init();
"""
ORDERS = "id int, amount decimal(9,2), code string, mood string"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two branches."""
    folder = tmp_path_factory.mktemp("made")
    with epoch_sql.connect(folder / "shop.duckdb") as con:
        con.execute(SHOP)
        con.execute(
            "CALL epoch_branch('work'); UPDATE orders SET code = 'm' || id WHERE id < 5; CALL epoch_commit('m')"
        )
        con.execute("CALL epoch_checkout('work'); UPDATE orders SET amount = 1 WHERE id BETWEEN 3 AND 9")
        con.execute("DELETE FROM orders WHERE id = 900; INSERT INTO lines VALUES (8, 1); CALL epoch_commit('w')")
        con.execute(
            "CALL epoch_checkout('main'); CALL epoch_remote_add('origin', ?, readers := 'spark')",
            [str(folder / "store")],
        )
        con.execute("CALL epoch_push(branch := 'main'); CALL epoch_push(branch := 'work')")
    return folder / "store"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> str:
    shutil.copytree(made, tmp_path / "store")
    return str(tmp_path / "store")


Clone = Callable[[str], Repository]


@pytest.fixture
def clone(tmp_path: Path, request: pytest.FixtureRequest) -> Clone:
    """Clones a store with all proofs."""

    def make(url: str) -> Repository:
        folder = tmp_path / f"clone{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        repo = epoch_sql.clone(url, folder / "shop.duckdb", author="Cy <cy@example.com>")
        request.addfinalizer(repo.close)
        return repo

    return make


@pytest.fixture
def sail(engines: Callable[[str], Engine]) -> Engine:
    """Sail alone, for what is Epoch's own on each engine."""
    return engines("sail")


def tree_of(repo: Repository, ref: str = "main") -> str:
    [(tree_id,)] = repo.connection.execute(
        "SELECT tree_id FROM epoch.commits WHERE commit_id = ?", [repo.log(ref)[0].commit]
    ).fetchall()
    return str(tree_id)


def references(url: str) -> dict[str, bytes]:
    return {str(p.relative_to(url)): p.read_bytes() for p in (Path(url) / "refs").rglob("*") if p.is_file()}


def test_a_table_is_imported_in_files_that_lie_in_ranges_of_its_key(engine: Engine, store: str, clone: Clone) -> None:
    rows = "SELECT id * 7919 % 10000 AS k, concat('n', id) AS s, id / 3D AS d FROM range(10000)"
    made = engine("import_table", store, "big", rows, ["k"], {"rows_per_file": 2000})
    assert made["rows"]["added"] == 10000
    repo, other = clone(store), clone(store)
    assert repo.fsck() == []
    files = "SELECT len(file_ids) FROM epoch.levels WHERE kind = 'base' ORDER BY 1 DESC LIMIT 1"
    assert repo.connection.sql(files).fetchall() == [(5,)]
    other.reset("main~1", hard=True)
    other.connection.execute(
        "CREATE TABLE big AS SELECT i * 7919 % 10000 AS k, 'n' || i AS s, i / 3::DOUBLE AS d FROM range(10000) AS r(i)"
    )
    other.key("big", ["k"])
    other.commit("in DuckDB")
    assert tree_of(other) == tree_of(repo)


def test_a_commit_is_that_of_duckdb(engine: Engine, store: str, clone: Clone) -> None:
    other = clone(store)
    upserts = [ORDERS, [[3, "9.50", "new", "bad"], [5000, "1.00", "added", None], [6, "9.00", "c6", "ok"]]]
    made = engine("commit", store, "main", "orders", decimals(upserts), ["id int", [[40], [77777]]])
    assert made["rows"] == {"added": 1, "modified": 1, "removed": 1}
    repo = clone(store)
    assert repo.fsck() == []
    other.connection.execute("UPDATE orders SET amount = 9.5, code = 'new', mood = 'bad' WHERE id = 3")
    other.connection.execute("INSERT INTO orders VALUES (5000, 1, 'added', NULL); DELETE FROM orders WHERE id = 40")
    other.commit("in DuckDB")
    assert tree_of(other) == tree_of(repo)
    assert engine("refused", "commit", store, "main", "orders", decimals(upserts))[0] == "EpochNothingToCommit"


def test_a_merge_is_that_of_duckdb(engine: Engine, store: str, clone: Clone) -> None:
    other = clone(store)
    assert engine("merge", store, "work", "main") == "merged"
    repo = clone(store)
    assert repo.fsck() == []
    other.merge("work")
    assert tree_of(other) == tree_of(repo)


REFUSED: dict[str, tuple[str, list[Any]]] = {
    "NOT NULL of column amount": ("EpochTableError", [[ORDERS, [[1, None, "c1", "ok"]]]]),
    "CHECK ((amount >= 0))": ("EpochTableError", [[ORDERS, [[1, "-1.00", "c1", "ok"]]]]),
    "UNIQUE (code)": ("EpochTableError", [[ORDERS, [[1, "1.00", "c20", "ok"]]]]),
    "foreign key to orders": ("EpochTableError", [None, ["id int", [[7]]]]),
    "value meh does not fit column mood": ("EpochTableError", [[ORDERS, [[1, "1.00", "c1", "meh"]]]]),
    "the key of table orders (id) is NULL": ("KeyBroken", [[ORDERS, [[None, "1.00", "z", "ok"]]]]),
    'key {"id":1} is in more than one row': (
        "KeyBroken",
        ["SELECT 1 AS id, 1BD AS amount, 'z' AS code, 'ok' AS mood FROM range(2)"],
    ),
    'key {"id":2} is in more than one row': ("KeyBroken", [[ORDERS, [[2, "1.00", "c2", "ok"]]], ["id int", [[2]]]]),
    "has no column code": ("ColumnNotFound", [["id int, amount decimal(9,2), mood string", [[1, "1.00", "ok"]]]]),
    "has the column other": ("ColumnNotFound", [[f"{ORDERS}, other int", [[1, "1.00", "c1", "ok", 1]]]]),
    "column amount is DECIMAL(9,2) in table orders, and VARCHAR": (
        "EpochTableError",
        [["id int, amount string, code string, mood string", [[1, "1.00", "c1", "ok"]]]],
    ),
    "value 1.005 does not fit column amount": (
        "EpochTableError",
        ["SELECT 1 AS id, 1.005BD AS amount, 'c1' AS code, 'ok' AS mood"],
    ),
    "value 5000000000 does not fit column id": (
        "EpochTableError",
        ["SELECT 5000000000 AS id, 1BD AS amount, 'c1' AS code, 'ok' AS mood"],
    ),
    "column id": ("EpochTableError", ["SELECT NULL AS id, 1BD AS amount, 'c1' AS code, 'ok' AS mood"]),
}


def decimals(rows: Any) -> Any:
    """JSON has no decimals: those of a schema are texts, which Spark casts."""
    if not isinstance(rows, list) or "amount decimal(9,2)" not in rows[0]:
        return rows
    names = [part.split()[0] for part in rows[0].replace("(9,2)", "").split(",")]
    told = [
        ", ".join(
            f"CAST({'NULL' if v is None else repr(v)} AS {t.strip().split(' ', 1)[1].replace('|', ',')}) AS {n}"
            for v, n, t in zip(row, names, rows[0].replace("(9,2)", "(9|2)").split(","), strict=True)
        )
        for row in rows[1]
    ]
    return " UNION ALL ".join(f"SELECT {one}" for one in told)


def test_what_cannot_be_is_refused_and_moves_nothing(sail: Engine, store: str) -> None:
    before = references(store)
    for message, (error, rows) in REFUSED.items():
        kind, told, *_ = sail("refused", "commit", store, "main", "orders", *map(decimals, rows))
        assert (kind, message in told) == (error, True), told
    assert sail("refused", "commit", store, "mian", "orders", None, ["id int", [[1]]])[0] == "ReferenceNotFound"
    assert sail("refused", "commit", store, "main", "order", None, ["id int", [[1]]])[0] == "TableNotFound"
    assert "has no key" in sail("refused", "commit", store, "main", "lines", "SELECT 1 AS order_id, 1 AS n")[1]
    again = sail("refused", "import_table", store, "orders", "SELECT 1 AS id", ["id"])
    assert "orders exists already in main" in again[1]
    broken = sail("refused", "import_table", store, "new", "SELECT id % 9 AS k FROM range(10)", ["k"])
    assert broken[0] == "KeyBroken"
    assert references(store) == before


def test_of_two_writers_one_wins(sail: Engine, store: str, clone: Clone) -> None:
    slow, fast = (decimals([ORDERS, [[n, "9.00", f"w{n}", "ok"]]]) for n in (11, 12))
    kind, message = sail("race", store, "main", "orders", slow, fast)
    assert kind == "EpochRemoteError"
    assert "main" in message and "nothing was changed" in message
    repo = clone(store)
    assert [one.message for one in repo.log("main")[:3]] == ["slow again", "fast", "m"]
    assert repo.fsck() == []


def test_protection_refuses_before_anything_is_computed(sail: Engine, store: str, clone: Clone) -> None:
    repo = clone(store)
    repo.protect("main", require_review=True)
    repo.push(branch="main", protection=True)
    before = references(store), len([*(Path(store) / "objects").rglob("*")])
    told = sail("refused", "commit", store, "main", "orders", None, ["id int", [[1]]])
    assert told[0] in ("Protected", "EpochProtectionError") and "main" in told[1]
    assert sail("refused", "merge", store, "work", "main")[0] in ("Protected", "EpochProtectionError")
    assert (references(store), len([*(Path(store) / "objects").rglob("*")])) == before
    repo.review("origin/work", "main", reviewer="Di <di@example.com>")
    repo.push(branch="main")
    assert sail("merge", store, "work", "main") == "merged"


def test_a_conflict_changes_nothing(sail: Engine, store: str, clone: Clone) -> None:
    repo = clone(store)
    repo.connection.execute("UPDATE orders SET amount = 2 WHERE id = 4")
    repo.commit("clash")
    repo.push()
    before = references(store)
    kind, _, hint, facts = sail("refused", "merge", store, "work", "main")
    assert (kind, facts["conflicts"]) == ("MergeConflict", 1)
    assert "nothing was changed" in hint
    assert references(store) == before
    assert sail("merge", store, "work", "main", {"strategy": "theirs"}) == "merged"


def test_what_is_read_can_be_written_again(engine: Engine, store: str) -> None:
    assert engine("refused", "write_again", store, "wide", [])[0] == "EpochNothingToCommit"


def test_compaction_rewrites_the_ranges_that_changes_lie_on(sail: Engine, store: str, clone: Clone) -> None:
    sail("import_table", store, "big", "SELECT id AS k, id / 3D AS d FROM range(10000)", ["k"], {"rows_per_file": 2000})
    sail("commit", store, "main", "big", "SELECT id AS k, -1D AS d FROM range(100, 120)")
    made = sail("compact", store, "main", "big")
    assert (made["ranges"], made["ranges_rewritten"], made["files_after"]) == (5, 1, 5)
    assert sail("compact", store, "main", "big")["ranges_rewritten"] == 0
    repo = clone(store)
    assert repo.fsck() == []
    levels = """
        SELECT list(kind), sum(len(file_ids)) FROM epoch.levels SEMI JOIN (
            SELECT unnest(level_ids) AS level_id FROM epoch.versions JOIN epoch.trees USING (version_id)
            WHERE object_name = 'big'
        ) USING (level_id) WHERE kind = 'base' OR to_version IS NOT NULL
    """
    assert repo.connection.sql(levels).fetchall()[0][1] >= 5
    assert repo.connection.sql("SELECT count(*) FROM big WHERE d = -1").fetchall() == [(20,)]


def test_a_store_in_a_bucket_is_written(
    sail: Engine, s3: str, s3_server: tuple[str, Any], made: Path, clone: Clone
) -> None:
    values = {"AWS_ENDPOINT_URL": s3_server[0], "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    sail("environment", {**values, "AWS_REGION": "us-east-1"})
    repo = clone(str(made))
    repo.remote_add("bucket", s3)
    repo.push("bucket", "main")
    sail("import_table", s3, "big", "SELECT id AS k, id / 3D AS d FROM range(1000)", ["k"], {"rows_per_file": 200})
    sail("commit", s3, "main", "big", "SELECT 7L AS k, -1D AS d")
    copy = clone(s3)
    assert copy.fsck() == []
    assert copy.connection.sql("SELECT count(*), min(d) FROM big").fetchall() == [(1000, -1.0)]
