"""Runs Epoch's queries in Spark: over the files of a store, each read with the types that its definition says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from pyspark.errors import PySparkException

from epoch_sql.errors import EpochConfigError, EpochRemoteError, UnsupportedType
from epoch_sql.model.commit import DataFile
from epoch_sql.model.names import shown
from epoch_sql.model.schema import Column, Table, widens
from epoch_sql.remote.reading import StoredRepository
from epoch_sql.render import Sql
from epoch_sql.spark.dialect import to_spark
from epoch_sql.spark.types import quoted, read_as
from epoch_sql.storage.shape import shape_of, stored_as
from epoch_sql.storage.types import DataType, parse_type

_ESCAPED = "spark.sql.parser.escapedStringLiterals"
_SIGNED = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})


class Frames:
    """DataFrames of Epoch's queries over one store."""

    def __init__(self, spark: Any, stored: StoredRepository) -> None:
        self.spark = spark
        self._stored = stored
        if spark.conf.get(_ESCAPED, "false") == "true":
            message = f"{_ESCAPED} is true, so texts of SQL mean something else than they say"
            raise EpochConfigError(message, f'spark.conf.set("{_ESCAPED}", "false")', key=_ESCAPED)
        self.times = _has_times(spark)

    def of(self, sql: Sql, tables: Sequence[Table]) -> Any:
        """The rows of a query about some tables, as storage values. Raises EpochRemoteError if Spark cannot read the
        store, and UnsupportedType for a column that it cannot hold."""
        types = {c.id: parse_type(c.type) for table in tables for c in table.stored_columns}
        translated = to_spark(sql, types, self.times)
        with self._telling():
            scans = {name: self._scan(paths, tables) for name, paths in translated.scans.items()}
        return self.run(translated.text, scans)

    def run(self, text: str, scans: Mapping[str, Any] | None = None) -> Any:
        """The rows of a query in Spark's SQL. Raises EpochRemoteError if Spark refuses it."""
        with self._telling():
            frame = self.spark.sql(text, **(scans or {}))
            # Asked for now, because later it would fail within the user's own query.
            frame.schema  # noqa: B018
        return frame

    def _scan(self, paths: Sequence[str], tables: Sequence[Table]) -> Any:
        """The files of one scan, all of which have the same columns."""
        kind, file = self._stored.descriptions.file(PurePosixPath(paths[0]).stem)
        found = ", ".join(
            f"{quoted(name)} {read_as(type, self.times)}" for name, type in self._columns(kind, file, tables)
        )
        return self.spark.read.schema(found).option("datetimeRebaseMode", "CORRECTED").parquet(*paths)

    def _columns(self, kind: str, file: DataFile, tables: Sequence[Table]) -> Iterator[tuple[str, DataType]]:
        """The columns of a file, and their storage types."""
        schema = self._stored.contents.schema
        new, old = schema(file.schema_id), schema(file.old_schema_id or file.schema_id)
        for written in (new, old):
            _require_alike(written, tables)
        if kind == "base":
            yield from ((c.name, _stored(c)) for c in new.stored_columns)
            return
        shape = shape_of(old, new)
        yield "op", parse_type("VARCHAR")
        for prefix, columns in (("k", shape.key), ("n", shape.values), ("o", shape.old_values)):
            yield from ((f"{prefix}{c.id}", _stored(c)) for c in columns)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns what Spark says of files that it cannot read, with the stack of the JVM, into one line."""
        try:
            yield
        except _failures() as error:
            where = self._stored.prefix
            raise EpochRemoteError(
                f"Spark refuses a query over {where}: {shown(_reason(error), 200)}",
                "give Spark the credentials and the file system of the store; files='s3a://BUCKET/PATH' where it has "
                "another name there",
            ) from error


def _stored(column: Column) -> DataType:
    return parse_type(stored_as(column))


def _require_alike(written: Table, tables: Iterable[Table]) -> None:
    """Raises UnsupportedType for a column whose type has changed in a way that Spark converts otherwise than DuckDB."""
    for table in tables:
        for wanted in table.stored_columns:
            column = written.column_by_id(wanted.id)
            if column and column.stored and not _alike(column.type, wanted.type):
                raise UnsupportedType(
                    f"column {wanted.name} of table {table.name} was {column.type} and is {wanted.type}, "
                    "which Spark converts otherwise than DuckDB",
                    "compare them in DuckDB, in a clone",
                    table=str(table.name),
                    column=wanted.name,
                    type=wanted.type,
                    part=column.type,
                )


def _alike(old: str, new: str) -> bool:
    return widens(old, new) or {old, new} <= _SIGNED


def _has_times(spark: Any) -> bool:
    """Whether the engine reads times of day as such. Others read them as numbers."""
    try:
        spark.sql("SELECT CAST('00:00:00' AS TIME) AS t").schema  # noqa: B018
    except PySparkException:
        return False
    return True


def _failures() -> tuple[type[Exception], ...]:
    """What Spark raises. Only a session in a JVM of its own has the second."""
    java = (import_module("py4j.protocol").Py4JError,) if find_spec("py4j") else ()
    return (PySparkException, *java)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "java_exception", error))
    return (
        text.partition("\n")[0].removeprefix("[").replace("]", ":", 1)
        if text.startswith("[")
        else text.partition("\n")[0]
    )
