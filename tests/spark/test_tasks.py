"""What tasks write, without an engine: the same files whenever they run, and fingerprints that add up to DuckDB's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import epoch_sql
from epoch_sql.model.commit import EMPTY_FINGERPRINT, shift_fingerprint
from epoch_sql.spark.incoming import GONE, ZONE, Incoming
from epoch_sql.spark.mirror import Mirror, within
from epoch_sql.spark.recording import found
from epoch_sql.spark.tasks import Bases, Deltas, Known, Numbered, Rewritten
from epoch_sql.spark.writing import known_of

ROWS = """
SELECT
    CAST(i AS INTEGER) AS id,
    CASE WHEN i % 7 <> 0 THEN 'é' || i END AS name,
    CASE i % 5 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN -0.0 ELSE i / 3 END AS ratio,
    CAST(i AS DECIMAL(18, 2)) AS price,
    [i, NULL] AS list,
    {'a': i, 'b': CAST(i AS VARCHAR)} AS part,
    TIMESTAMP '1890-01-01' + to_days(CAST(i AS INTEGER)) AS at,
    CASE i % 2 WHEN 0 THEN 'ok' ELSE 'bad' END AS mood
FROM range(300) AS rows(i)
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """The mirror of a store with a table of three files and a delta. Tasks move no reference."""
    tmp_path = tmp_path_factory.mktemp("tasks")
    with epoch_sql.init(tmp_path / "shop.duckdb", author="Ann <ann@example.com>") as repo:
        con = repo.connection
        con.execute("CREATE TYPE mood AS ENUM ('ok', 'bad')")
        con.execute(
            f"CREATE TABLE t AS FROM ({ROWS}); ALTER TABLE t ALTER mood TYPE mood; ALTER TABLE t ADD PRIMARY KEY (id)"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("epoch_sql.storage.writing.FILE_ROWS", 100)
            repo.commit("three files")
        con.execute("UPDATE t SET name = 'changed' WHERE id = 250")
        repo.commit("a delta")
        repo.remote_add("origin", str(tmp_path / "store"))
        repo.push()
    made = Mirror(str(tmp_path / "store"), "Bo <bo@example.com>")
    yield made
    made.close()


def known(mirror: Mirror) -> Known:
    return within(mirror.repository, lambda call: known_of(call, mirror.url, found(call, "main", "t")))


def results(batches: Iterator[Any]) -> list[dict[str, Any]]:
    return [json.loads(text) for batch in batches for text in batch.column(0).to_pylist()]


def incoming(rows: Any, extra: tuple[str, ...] = (GONE, ZONE)) -> Incoming:
    with duckdb.connect() as con:
        con.register("rows", rows)
        return Incoming({r[0]: r[1] for r in con.execute("DESCRIBE FROM rows").fetchall() if r[0] not in extra}, "rows")


def objects(mirror: Mirror) -> set[str]:
    return {path.name for path in (Path(mirror.url) / "objects").rglob("*.parquet")}


def test_a_task_that_dies_and_runs_again_leaves_the_same_file(mirror: Mirror) -> None:
    rows = duckdb.sql(
        f"SELECT * REPLACE ('new' AS name), id = 260 AS {GONE}, 2::INTEGER AS {ZONE} FROM ({ROWS}) WHERE id > 240 AND id < 270"
    ).to_arrow_table()
    task, before = Deltas(known(mirror), incoming(rows)), objects(mirror)
    dying = task(rows.to_batches())
    next(dying)
    dying.close()
    left = objects(mirror) - before
    (first,), (second,) = (results(task(rows.to_batches(max_chunksize=size))) for size in (5, 1000))
    assert first == second
    assert objects(mirror) - before == left == {f"{first['file']['file_id']}.parquet"}
    assert first["rows"] == {"added": 0, "modified": 28, "removed": 1}


def test_the_sums_of_tasks_are_the_fingerprint_of_duckdb(mirror: Mirror) -> None:
    table = known(mirror)
    rows = duckdb.sql(
        f"SELECT * REPLACE (if(id = 250, 'changed', name) AS name) FROM ({ROWS}) ORDER BY hash(id)"
    ).to_arrow_table()
    cuts = tuple(zone.start or "" for zone in table.zones[1:])
    ranged = [*Numbered(table.table, incoming(rows), cuts)(rows.to_batches(max_chunksize=37))]
    zones = [zone for batch in ranged for zone in batch.column(ZONE).to_pylist()]
    assert {zone: zones.count(zone) for zone in (0, 1, 2)} == {0: 100, 1: 100, 2: 100}
    total, count = EMPTY_FINGERPRINT, 0
    for number in range(3):
        part = [batch.filter(pc.equal(batch.column(ZONE), number)) for batch in ranged]
        (made,) = results(Bases(table, incoming(rows))(iter(part)))
        total, count = shift_fingerprint(total, 0, int(made["sum"], 16)), count + made["count"]
    stated = within(mirror.repository, lambda call: call.contents.version(found(call, "main", "t").entry.version_id))
    assert (total, count) == (stated.fingerprint, stated.row_count)


def test_ranges_are_rewritten_with_the_same_rows(mirror: Mirror) -> None:
    table = known(mirror)
    numbers = pa.RecordBatch.from_pydict({"zone": pa.array([2], pa.int32())})
    (made,) = results(Rewritten(table)(iter([numbers])))
    assert (made["zone"], made["count"], len(made["files"])) == (2, 100, 1)
    assert made["files"][0]["file_id"] not in {file.file_id for zone in table.zones for file in zone.files}


REFUSED = [
    ("SELECT * REPLACE (NULL::INTEGER AS id)", "null", "id"),
    ("SELECT * REPLACE (7 AS id)", "repeated", None),
    ("SELECT * REPLACE ('meh' AS mood)", "misfit", "mood"),
    ("SELECT * REPLACE (0.125 AS price)", "misfit", "price"),
    ("SELECT * REPLACE ({'a': 1::DOUBLE / 3, 'b': 'x'} AS part)", "misfit", "part"),
]


@pytest.mark.parametrize(("rows", "kind", "column"), REFUSED)
def test_rows_that_cannot_be_are_told_and_write_nothing(
    mirror: Mirror, rows: str, kind: str, column: str | None
) -> None:
    frame = duckdb.sql(f"{rows}, false AS {GONE}, 0::INTEGER AS {ZONE} FROM ({ROWS} LIMIT 5)").to_arrow_table()
    before = objects(mirror)
    (told,) = results(Deltas(known(mirror), incoming(frame))(iter(frame.to_batches())))
    assert (told["refused"]["kind"], told["refused"]["column"]) == (kind, column)
    assert objects(mirror) == before
