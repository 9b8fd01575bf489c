"""The same table written and read by Spark: ``python -m tests.bench.scale_spark --rows 10000000``, where pyspark is installed.

Prints the second table of docs/scale.md. Times are wall times: most of the work is that of the JVM and of its workers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import epoch_sql
import epoch_sql.spark
from tests.bench.measure import duration
from tests.bench.scale import CHANGED, FILES

ROW = """
SELECT
    id,
    CAST(hash(id) % 500000 AS INT) AS customer_id,
    element_at(array('new', 'paid', 'shipped', 'returned'), CAST(1 + pmod(hash(id + 1), 4) AS INT)) AS status,
    CAST(pmod(hash(id + 2), 1000000) / 100 AS DECIMAL(12, 2)) AS amount,
    TIMESTAMP_SECONDS(1735689600 + pmod(hash(id + 3), 31000000)) AS updated_at,
    left(md5(CAST(id AS STRING)), 20) AS note
FROM {numbers}
"""


@contextmanager
def timed(operation: str) -> Iterator[None]:
    """Prints the time of an operation as a row."""
    started = time.perf_counter()
    yield
    print(f"| {operation} | {duration(time.perf_counter() - started)} |", flush=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale_spark", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where to put the store (default: a scratch folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="epoch-scale-", dir=options.folder) as name:
        measure(Path(name), options.rows)


def measure(folder: Path, rows: int) -> None:
    """Import, scan, change, merge and compact a table."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "4g")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    spark = (
        builder.config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(FILES))
        .getOrCreate()
    )
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    store = folder / "store"
    with epoch_sql.connect(folder / "shop.duckdb") as con:
        con.execute("CALL epoch_init()")
        con.execute("CALL epoch_remote_add('lake', ?, readers := 'spark')", [str(store)])
        con.execute("CALL epoch_push('lake')")
    repo = epoch_sql.spark.connect(spark, str(store), author="Bench <bench@example.com>")
    print(f"Spark {spark.version}, local[2], {rows:,} rows, {FILES} base files\n")
    print("| operation | time |\n| --- | --- |")
    numbers = f"range(0, {rows}, 1, {FILES})"
    with timed("import"):
        repo.import_table(spark.sql(ROW.format(numbers=numbers)), "orders", key=["id"], rows_per_file=rows // FILES)
    bare = folder / "bare"
    bare.mkdir()
    with epoch_sql.connect(bare / "shop.duckdb") as con:
        con.execute("CALL epoch_clone(?, bare := true)", [str(store)])
        con.execute("CALL epoch_branch('staging')")
        con.execute("CALL epoch_push('origin', 'staging')")
    some = spark.sql(ROW.format(numbers=f"(SELECT id * {rows // CHANGED} AS id FROM range(0, {CHANGED}, 1, 2))"))
    changes = {"main": ("note", "'ours'"), "staging": ("amount", "CAST(amount + 1 AS DECIMAL(12, 2))")}
    for branch, (column, value) in changes.items():
        upserts = some.selectExpr(*(f"{value} AS {c}" if c == column else c for c in some.columns))
        with timed(f"commit of 10,000 changed rows ({branch})"):
            repo.commit(branch, "orders", upserts=upserts, message=column)
    with timed("difference of the branches"):
        assert repo.diff("main", "staging", "orders").count() == CHANGED
    with timed("merge"):
        repo.merge("staging", "main")
    with timed("count and sum of one column, with deltas"):
        repo.table("main", "orders").selectExpr("count(*)", "sum(amount)").collect()
    with timed("maximum of all columns, with deltas"):
        frame = repo.table("main", "orders")
        frame.selectExpr(*(f"max({c})" for c in frame.columns)).collect()
    with timed("compaction"):
        repo.compact("main", "orders")
    with timed("count and sum of one column, compacted"):
        repo.table("main", "orders").selectExpr("count(*)", "sum(amount)").collect()


if __name__ == "__main__":
    main()
