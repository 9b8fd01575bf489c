"""``spark.read.format("epoch")``: a table of a store as a Python data source of Spark.

DuckDB reads the rows in Spark's workers, one range of keys for each task, and nothing is shuffled. So the workers need
epoch_sql, and the credentials of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow
from pyspark.sql import types
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from epoch_sql import render
from epoch_sql.advice import did_you_mean
from epoch_sql.errors import ColumnNotFound, EpochArgumentError
from epoch_sql.model.commit import DataFile, Level
from epoch_sql.model.names import suggest
from epoch_sql.model.remote import damaged
from epoch_sql.model.schema import Column, Table
from epoch_sql.remote.connecting import store_at
from epoch_sql.remote.reading import StoredRepository, open_stored
from epoch_sql.render import Sql
from epoch_sql.spark.types import native_type
from epoch_sql.spark.values import native_value
from epoch_sql.storage.key_ranges import Zone, between, range_of, zones
from epoch_sql.storage.remote.base import file_path
from epoch_sql.storage.shape import Condition, aliased, columns
from epoch_sql.storage.skipping import comparable
from epoch_sql.storage.types import DataType, parse_type
from epoch_sql.storage.writing import content_hash

_FILES = "epoch-files-of-this-task"
_ROWS = 65_536
_COMPARED = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "VARCHAR", "BOOLEAN", "DATE"})
_OPERATORS = {
    "EqualTo": "{{c}} = {{v}}",
    "GreaterThan": "{{c}} > {{v}}",
    "GreaterThanOrEqual": "{{c}} >= {{v}}",
    "LessThan": "{{c}} < {{v}}",
    "LessThanOrEqual": "{{c}} <= {{v}}",
    "In": "{{c}} IN ({{v}})",
    "IsNull": "{{c}} IS NULL",
    "IsNotNull": "{{c}} IS NOT NULL",
}


class EpochSource(DataSource):  # type: ignore[misc] # pyspark is not installed where types are checked
    """A table as of a reference. Options: ``path`` (the store), ``table``, ``ref`` (default: the branch that a clone
    checks out), ``columns`` (names, with commas; default: all), ``pushFilters`` (``true`` on Spark 4.1 or newer)."""

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "epoch"

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options)
        # The reference is read once. Spark asks for the schema and for the rows at different times.
        stored = self._stored()
        self.commit_id = stored.resolve(self._reference(stored))

    def schema(self) -> types.StructType:
        """The columns, in the types that ``SparkRepository.table`` gives them."""
        columns = self._read().columns
        return types.StructType([types.StructField(c.name, _spark_type(parse_type(c.type))) for c in columns])

    def reader(self, schema: Any) -> EpochReader:
        """The reader of the rows."""
        wanted = self.options.get("pushFilters", "false").lower() == "true"
        return (FilteringReader if wanted else EpochReader)(self._read())

    def _reference(self, stored: StoredRepository) -> str:
        return str(self.options.get("ref", stored.header.default_branch))

    def _stored(self) -> StoredRepository:
        path = self._option("path", "the folder or the URL of a store")
        stored = open_stored(path)
        return stored if stored.store.url.scheme == "file" else open_stored(path, _FILES)

    def _option(self, name: str, meaning: str) -> str:
        value = self.options.get(name)
        if not value:
            raise EpochArgumentError(
                f"option {name} is missing: {meaning}",
                f'.option("{name}", …)',
                function='format("epoch")',
                parameter=name,
            )
        return str(value)

    def _read(self) -> Read:
        stored = self._stored()
        entry = stored.entry(self.commit_id, self._option("table", "the table to read"), self._reference(stored))
        table = stored.contents.table(entry.version_id)
        names = [name.strip() for name in self.options.get("columns", "").split(",") if name.strip()]
        return Read(stored, entry.version_id, tuple(_column(table, n) for n in names) or table.stored_columns)


@dataclass
class Read:
    """What is read: columns of a version. ``conditions`` are those of filters that were pushed."""

    stored: StoredRepository
    version_id: str
    columns: tuple[Column, ...]
    conditions: tuple[Sql, ...] = ()

    @cached_property
    def table(self) -> Table:
        """The definition of the version."""
        return self.stored.contents.table(self.version_id)

    def tasks(self) -> list[Task]:
        """One task for each range of keys that no other base file has, with the deltas that may hold such keys."""
        contents, table = self.stored.contents, self.table
        base, *deltas = contents.levels(self.version_id)
        apart = comparable(contents.schema, [base, *deltas], table)
        return [self._task(base, deltas, zone) for zone in (zones(base.files) if apart else []) or [Zone(base.files)]]

    def _task(self, base: Level, deltas: Sequence[Level], zone: Zone) -> Task:
        def meets(file: DataFile) -> bool:
            keys = range_of(file)
            return keys is None or zone.meets(keys)

        here = [replace(level, files=tuple(filter(meets, level.files))) for level in deltas]
        within: Condition = lambda prefix: between(columns(prefix, self.table.key), zone.start, zone.end)  # noqa: E731
        whole = zone.start is zone.end is None
        levels = [replace(base, files=zone.files), *here]
        rows = self.stored.contents.state_of(self.table, levels, None if whole else within)
        stored = [aliased(native_value(render.column(f"c{c.id}"), parse_type(c.type)), c.name) for c in self.columns]
        sql = render.fill(
            "SELECT {{stored}} FROM ({{rows}}) AS state WHERE {{conditions}}",
            stored=stored,
            rows=rows,
            conditions=render.joined(self.conditions, " AND ") if self.conditions else Sql("true"),
        )
        return Task(sql, self.stored.store.where, [(f.file_id, f.bytes) for level in levels for f in level.files])


@dataclass
class Task(InputPartition):  # type: ignore[misc] # pyspark is not installed where types are checked
    """What one task reads: a query, and the store with the ids and sizes of its files."""

    sql: str
    store: str
    files: list[tuple[str, int]]


class EpochReader(DataSourceReader):  # type: ignore[misc] # pyspark is not installed where types are checked
    """Reads the rows of a version, in Spark's workers."""

    def __init__(self, read: Read) -> None:
        self.columns = read.columns
        self._read = read

    def partitions(self) -> list[Task]:
        """The tasks."""
        return self._read.tasks()

    def read(self, partition: Task) -> Iterator[pyarrow.RecordBatch]:
        """The rows of one task. Files of a bucket are copied first, and are proved to be those that were asked for."""
        with TemporaryDirectory(prefix="epoch-") as folder, duckdb.connect() as con:
            sql = partition.sql
            if _FILES in sql:
                _fetch(partition, Path(folder))
                sql = sql.replace(_FILES, folder)
            # Several tasks share a machine, so each takes little, and puts aside what is more.
            con.execute("SET TimeZone = 'UTC'; SET threads = 1; SET memory_limit = '2GB'")
            con.execute("SET temp_directory = ?", [folder])
            rows = con.sql(sql)
            # DuckDB 1.x has the older name only.
            batches = (getattr(rows, "to_arrow_reader", None) or rows.fetch_record_batch)(_ROWS)
            named = pyarrow.schema([field.with_type(_named(field.type)) for field in batches.schema])
            yield from (batch.cast(named) for batch in batches)

    def __getstate__(self) -> dict[str, Any]:
        """What workers get: they need no connection to the store."""
        return {"columns": self.columns}


class FilteringReader(EpochReader):
    """A reader that DuckDB filters for. Spark filters once more."""

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:  # its name in Spark
        """Take the filters that mean the same in DuckDB."""
        by_name = {column.name: column for column in self.columns}
        found = []
        for one in filters:
            kind, attribute = type(one).__name__, [*getattr(one, "attribute", [])]
            column = by_name.get(attribute[0]) if len(attribute) else None
            if column and len(attribute) == 1 and kind in _OPERATORS and column.type in _COMPARED:
                given = getattr(one, "value", None)
                values = [_constant(value, column) for value in ([*given] if kind == "In" and given else [given])]
                found.append(render.fill(_OPERATORS[kind], c=render.column(f"c{column.id}"), v=values))
        self._read = replace(self._read, conditions=tuple(found))
        return filters


def _spark_type(type: DataType) -> types.DataType:
    """The type of ``native_type`` as an object, because not all engines read the texts of nested ones."""
    if type.name in ("LIST", "ARRAY"):
        return types.ArrayType(_spark_type(type.fields[0].type))
    if type.name == "MAP":
        return types.MapType(*(_spark_type(field.type) for field in type.fields))
    if type.fields:
        parts = types.StructType([types.StructField(f.name, _spark_type(f.type)) for f in type.fields])
        tag = types.StructField("tag", types.StringType())
        return types.StructType([tag, types.StructField("value", parts)]) if type.name == "UNION" else parts
    if type.name == "INTERVAL":
        parts = (("months", types.IntegerType()), ("days", types.IntegerType()), ("micros", types.LongType()))
        return types.StructType([types.StructField(*part) for part in parts])
    name, _, digits = native_type(type).partition("(")
    if digits:
        return types.DecimalType(*map(int, digits.removesuffix(")").split(",")))
    return _SIMPLE[name]()


_SIMPLE = {
    "boolean": types.BooleanType,
    "tinyint": types.ByteType,
    "smallint": types.ShortType,
    "int": types.IntegerType,
    "bigint": types.LongType,
    "float": types.FloatType,
    "double": types.DoubleType,
    "string": types.StringType,
    "binary": types.BinaryType,
    "date": types.DateType,
    "timestamp": types.TimestampType,
    "timestamp_ntz": types.TimestampNTZType,
}


def _constant(value: object, column: Column) -> Sql:
    text = value.isoformat() if isinstance(value, date) else value
    assert text is None or isinstance(text, str | int)
    typed = render.verbatim(column.type)
    return render.fill("CAST({{v}} AS {{t}})", v=render.literal(text), t=typed)


def _named(type: pyarrow.DataType) -> pyarrow.DataType:
    """A type of Arrow's in which the items of lists have the name that Spark gives them."""
    if pyarrow.types.is_list(type):
        return pyarrow.list_(pyarrow.field("element", _named(type.value_type)))
    if pyarrow.types.is_map(type):
        return pyarrow.map_(_named(type.key_type), _named(type.item_type))
    if pyarrow.types.is_struct(type):
        return pyarrow.struct([part.with_type(_named(part.type)) for part in type])
    return type


def _fetch(task: Task, folder: Path) -> None:
    store = store_at(task.store)
    for file_id, size in task.files:
        path = file_path(file_id)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not store.download(path, target, size):
            raise damaged(f"{store.where}/{path}", "is missing")
        if content_hash(target) != file_id:
            raise damaged(f"{store.where}/{path}", "is corrupted: its content does not match its name")


def _column(table: Table, name: str) -> Column:
    known = [column.name for column in table.stored_columns]
    found = next((c for c in table.stored_columns if name.lower() == c.name.lower()), None)
    if found is None:
        near = suggest(name, known)
        message = f"table {table.name} has no column {name} that stores values"
        raise ColumnNotFound(message, did_you_mean(near), table=str(table.name), column=name, suggestions=tuple(near))
    return found
