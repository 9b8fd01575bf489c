"""What writes beside a session: functions that tests call by name, as those of ``inside.py``."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import asdict
from typing import Any

from epoch_sql.errors import EpochError
from epoch_sql.library import Repository
from epoch_sql.spark.writer import Writer

AUTHOR = "Bo <bo@example.com>"


_WRITERS: dict[str, Writer] = {}


def writer(spark: Any, url: str) -> Writer:
    """The writer of a store, which later calls use too."""
    return _WRITERS.setdefault(url, Writer(spark, url, AUTHOR, None))


def frame(spark: Any, rows: Any) -> Any:
    """A DataFrame of a query, or of rows with a schema."""
    if rows is None or isinstance(rows, str):
        return rows and spark.sql(rows)
    return spark.createDataFrame([tuple(row) for row in rows[1]], rows[0])


def import_table(spark: Any, url: str, name: str, rows: Any, key: list[str], options: Any = None) -> Any:
    there = writer(spark, url)
    return asdict(there.import_table(frame(spark, rows), name, key=key, **(options or {})))


def commit(
    spark: Any, url: str, branch: str, table: str, upserts: Any = None, deletes: Any = None, message: str = "rows"
) -> Any:
    came, gone = frame(spark, upserts), frame(spark, deletes)
    return asdict(writer(spark, url).commit(branch, table, upserts=came, deletes=gone, message=message))


def merge(spark: Any, url: str, source: str, target: str, options: Any = None) -> Any:
    return writer(spark, url).merge(source, target, **(options or {})).status


def compact(spark: Any, url: str, branch: str, table: str) -> Any:
    return asdict(writer(spark, url).compact(branch, table))


def race(spark: Any, url: str, branch: str, table: str, first: Any, second: Any) -> Any:
    """Two writers: the second one pushes after the tasks of the first have ended. Gives the error of the first."""
    with closing(Writer(spark, url, AUTHOR, None)) as slow, closing(Writer(spark, url, AUTHOR, None)) as fast:
        pushing = Repository.push

        def overtaken(repository: Repository, *arguments: Any, **options: Any) -> Any:
            Repository.push = pushing  # type: ignore[method-assign]
            fast.commit(branch, table, upserts=frame(spark, second), message="fast")
            return repository.push(*arguments, **options)

        Repository.push = overtaken  # type: ignore[assignment, method-assign]
        try:
            slow.commit(branch, table, upserts=frame(spark, first), message="slow")
        except EpochError as error:
            told = [type(error).__name__, error.message]
        else:
            raise AssertionError("both won")
        finally:
            Repository.push = pushing  # type: ignore[method-assign]
        slow.commit(branch, table, upserts=frame(spark, first), message="slow again")
        return told


def write_again(spark: Any, url: str, table: str, dropped: list[str]) -> Any:
    """Commits what is read of a table, which changes nothing."""
    import epoch_sql.spark

    rows = epoch_sql.spark.connect(spark, url).table("main", table).drop(*dropped)
    return asdict(writer(spark, url).commit("main", table, upserts=rows, message="the same"))


def environment(spark: Any, values: dict[str, str]) -> None:
    os.environ.update(values)
