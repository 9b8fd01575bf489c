"""What runs beside a session: functions that tests call by name, with a session and arguments, and whose results are
JSON."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
from pyspark.errors import PySparkException
from pyspark_epoch import DefaultSource

import epoch_sql.spark
from epoch_sql.errors import EpochError, EpochWarning
from epoch_sql.model.remote import ref_fields, seal
from tests.spark import written

PAGES: dict[str, dict[str, Any]] = {}
KEPT: list[Any] = []
"""The server of Sail, which ends when nobody has it."""


def session(name: str) -> Any:
    warnings.filterwarnings("ignore", category=FutureWarning)
    from pyspark.sql import SparkSession

    if name == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer("127.0.0.1", 0)
        KEPT.append(server)
        server.start()
        host, port = server.listening_address
        spark = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
        # Spark finds it by its package.
        spark.dataSource.register(DefaultSource)
    else:
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
        builder = builder.config("spark.sql.python.filterPushdown.enabled", "true")
        builder = builder.config("spark.driver.memory", "2g").config("spark.sql.shuffle.partitions", "2")
        spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark


def texts(frame: Any) -> list[list[str | None]]:
    """The rows of a DataFrame as texts, which tell -0.0 from 0.0 and NULL from everything, in one order."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    # DuckDB 2.0 loses NULLs in the maps of later chunks.
    con.register("frame", frame.toArrow().combine_chunks())
    rows = con.execute("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM frame").fetchall()
    return sorted(map(list, rows), key=repr)


def table(spark: Any, url: str, ref: str, name: str, columns: list[str]) -> Any:
    frame = epoch_sql.spark.connect(spark, url).table(ref, name)
    return [frame.columns, texts(frame.select(*(f"`{c}`" for c in columns)) if columns else frame)]


def diff(spark: Any, url: str, before: str, after: str, name: str, columns: list[str]) -> Any:
    frame = epoch_sql.spark.connect(spark, url).diff(before, after, name)
    return [frame.columns, texts(frame.select(*(f"`{c}`" for c in columns)) if columns else frame)]


def views(spark: Any, url: str, ref: str, query: str) -> Any:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", EpochWarning)
        views = epoch_sql.spark.connect(spark, url).views(ref)
    named = [str(one.message) for one in told if str(one.message).startswith("view ")]
    assert named == [f"view {name} is left out: {reason}" for name, reason in views.left_out.items()]
    return [views.made, views.left_out, texts(spark.sql(query))]


def log(spark: Any, url: str, ref: str) -> Any:
    frame = epoch_sql.spark.connect(spark, url).log(ref)
    return [frame.columns, frame.toPandas().astype(str).values.tolist()]


def plan(spark: Any, url: str, ref: str, name: str, condition: str, columns: list[str]) -> str:
    """The plan of a query, and its rows."""
    frame = epoch_sql.spark.connect(spark, url).table(ref, name).where(condition).select(*columns)
    told = frame._explain_string("extended") if hasattr(frame, "_explain_string") else None
    if told is None:
        with redirect_stdout(StringIO()) as written:
            frame.explain("extended")
        told = written.getvalue()
    return str(told)


def left_out(spark: Any, url: str, ref: str, name: str, column: str) -> Any:
    """The columns of a table, what was said of it, its first row, and how reading all of it fails."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", EpochWarning)
        frame = epoch_sql.spark.connect(spark, url).table(ref, name)
    said = [str(one.message) for one in told if one.category is EpochWarning]
    try:
        texts(frame)
    except Exception as error:  # noqa: BLE001 # each engine has its own
        return [frame.columns, said, texts(frame.where("id = 1").select(column)), str(error)]
    raise AssertionError("it did not fail")


def escaped(spark: Any, url: str) -> None:
    """Reads with a setting under which texts of SQL mean something else."""
    name = "spark.sql.parser.escapedStringLiterals"
    spark.conf.set(name, "true")
    try:
        epoch_sql.spark.connect(spark, url)
    finally:
        spark.conf.set(name, "false")


def moved(spark: Any, url: str, ref: str, to: str, name: str) -> list[int]:
    """How many rows a table has before and after its branch moves, and how many if it is asked for again."""
    repo = epoch_sql.spark.connect(spark, url)
    frame = repo.table(ref, name)
    before = frame.count()
    listing = repo.stored.references()
    elsewhere = replace(listing.heads[ref].ref, commit_id=listing.tags[to].ref.commit_id)
    (Path(url) / "refs/heads" / ref / "2").write_bytes(seal(ref_fields(elsewhere)))
    return [before, frame.count(), repo.table(ref, name).count()]


def source(spark: Any, options: dict[str, str], condition: str | None) -> Any:
    """The number of tasks, and the rows."""
    tasks = len(DefaultSource(options).reader(None).partitions())
    frame = spark.read.format("epoch").options(**options).load()
    return [tasks, texts(frame.where(condition) if condition else frame)]


def source_fails(spark: Any, options: dict[str, str]) -> str:
    """What the error of the source says."""
    try:
        spark.read.format("epoch").options(**options).load().schema  # noqa: B018
    except PySparkException as error:
        return str(error)
    raise AssertionError("it did not fail")


def page(spark: Any, folder: str, text: str) -> str:
    """What a block of a page prints. The blocks of one folder share their names."""
    names = PAGES.setdefault(folder, {"spark": spark})
    before = Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stdout(StringIO()) as printed:
            exec(compile(text, "the page", "exec"), names)
    finally:
        os.chdir(before)
    return printed.getvalue()


def named(function: str) -> Any:
    """A function of this module, or one that writes."""
    return globals().get(function) or getattr(written, function)


def refused(spark: Any, function: str, *arguments: Any) -> Any:
    """The class, message, hint and facts of the error of Epoch's that a function ends in."""
    try:
        named(function)(spark, *arguments)
    except EpochError as error:
        return [type(error).__name__, error.message, error.hint, error.facts]
    raise AssertionError("it was not refused")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What engines print is no answer.
    spark = session(sys.argv[1])
    for line in sys.stdin:
        function, arguments = json.loads(line)
        try:
            answer = [False, named(function)(spark, *arguments)]
        except Exception:  # noqa: BLE001 # the test that asked fails with it
            answer = [True, traceback.format_exc()]
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()
    spark.stop()


if __name__ == "__main__":
    main()
