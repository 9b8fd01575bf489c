"""What a task of the engine does: with DuckDB it turns a part of the rows into a file, by Epoch's own writer, and
uploads it. What comes back describes the file.

A file is named by its content. So a task that dies and runs again leaves the same file, or one that nothing names.
A task raises no error about rows: the engine would run it again. It gives the problem back instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb

from epoch_sql import config, render
from epoch_sql.catalog.relation import RowCache
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import DataFile, Level, Version
from epoch_sql.model.remote import damaged
from epoch_sql.model.schema import Table
from epoch_sql.render import Sql
from epoch_sql.spark.incoming import GONE, ZONE, Incoming
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.key_ranges import Zone, between, cut_sort_key
from epoch_sql.storage.promised import PromisedObjects
from epoch_sql.storage.remote.base import file_path
from epoch_sql.storage.shape import arrange, columns, compare, shape_of, struct
from epoch_sql.storage.writing import LevelWriter, base_level

if TYPE_CHECKING:
    from pyarrow import RecordBatch

MEMORY = "1GB"
"""What DuckDB may use in a task. It spills the rest to disk."""
Batches = Iterable["RecordBatch"]
Task = Callable[[Batches], Iterator["RecordBatch"]]
RESULT = "result string"
"""The schema of what a task gives, for the engine: JSON."""


@dataclass(frozen=True)
class Problem:
    """Rows that cannot be what was asked: ``misfit``, ``null`` or ``repeated``; with a column, and a value or key."""

    kind: str
    column: str | None
    value: str | None


@dataclass(frozen=True)
class Known:
    """A table in a store, as a task needs it: its definition, its files, and the definitions of those.

    Files are written for ``readers``, as the store asks.
    """

    url: str
    table: Table
    zones: tuple[Zone, ...] = ()
    deltas: tuple[Level, ...] = ()
    readers: str | None = None
    definitions: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbered:
    """Rows with the number of their range of keys; ``cuts`` are the sort keys from which all but the first begin."""

    table: Table
    incoming: Incoming
    cuts: tuple[str, ...]

    def __call__(self, batches: Batches) -> Iterator[RecordBatch]:
        """Each batch as it is, with one column more."""
        import pyarrow as pa

        with _engine() as (cursor, _):
            starts = ["", *self.cuts]
            made = "CREATE TEMP TABLE epoch_cuts AS SELECT unnest(?) AS cut, unnest(?) AS zone"
            cursor.execute(made, [starts, [*range(len(starts))]])
            query = render.render(
                "files.zones",
                key=key_of(self.incoming, self.table),
                rows=Sql("epoch_batch"),
            )
            for batch in batches:
                if batch.num_rows:
                    cursor.register("epoch_batch", pa.Table.from_batches([batch]))
                    zones = [row[0] for row in cursor.execute(query).fetchall()]
                    cursor.unregister("epoch_batch")
                    yield batch.append_column(ZONE, pa.array(zones, pa.int32()))


@dataclass(frozen=True)
class Deltas:
    """Writes the changes that rows, and keys to delete, make to a table: one file for the rows of a task."""

    known: Known
    incoming: Incoming

    def __call__(self, batches: Batches) -> Iterator[RecordBatch]:
        """The description of the file, a problem, or nothing where nothing changes."""
        with _engine(self.known.readers) as (cursor, folder):
            if not _staged(cursor, batches):
                return
            table = self.known.table
            there = render.fill("NOT {{gone}}", gone=render.column(GONE))
            problem = _problem(cursor, self.incoming, table, there)
            if problem:
                yield described({"refused": asdict(problem)})
                return
            numbers = [row[0] for row in cursor.execute(f"SELECT DISTINCT {ZONE} FROM epoch_incoming").fetchall()]
            store = PromisedObjects(folder, self.known.url)
            written = LevelWriter(cursor, store).delta(
                self._changes(store, sorted(numbers), there), shape_of(table, table), table, table
            )
            if written:
                _upload(store, [written.file])
                counts = asdict(written.rows)
                sums = {"minus": str(written.minus), "plus": str(written.plus)}
                yield described({"file": asdict(written.file), "rows": counts, **sums})

    def _changes(self, store: PromisedObjects, numbers: Sequence[int], there: Sql) -> Sql:
        table, shape = self.known.table, shape_of(self.known.table, self.known.table)
        files = tuple(file for number in numbers for file in self.known.zones[number].files)
        state = contents(self.known, store).state_of(table, [base_level(files), *self.known.deltas])
        keys, rows = (
            render.fill(
                "SELECT {{values}} FROM epoch_incoming WHERE {{there}}",
                values=self.incoming.values(table, wanted),
                there=condition,
            )
            for wanted, condition in ((table.key, Sql("true")), (table.stored_columns, there))
        )
        before = render.render("files.before", state=state, keys=keys, same_key=shape.same_key("state", "keys"))
        return compare(shape, arrange(before, shape, table, old=True), arrange(rows, shape, table))


@dataclass(frozen=True)
class Bases:
    """Writes the rows of a new table: files of each range of keys."""

    known: Known
    incoming: Incoming

    def __call__(self, batches: Batches) -> Iterator[RecordBatch]:
        """The description of the files of each range, or a problem."""
        with _engine(self.known.readers) as (cursor, folder):
            if not _staged(cursor, batches):
                return
            table = self.known.table
            problem = _problem(cursor, self.incoming, table, Sql("true"))
            if problem:
                yield described({"refused": asdict(problem)})
                return
            store = PromisedObjects(folder, self.known.url)
            for number, count in cursor.execute(
                f"SELECT {ZONE}, count(*) FROM epoch_incoming GROUP BY ALL ORDER BY 1"
            ).fetchall():
                rows = render.fill(
                    f"SELECT {{{{values}}}} FROM epoch_incoming WHERE {ZONE} = {{{{number}}}}",
                    values=self.incoming.values(table, table.stored_columns),
                    number=render.literal(number),
                )
                yield described(_based(LevelWriter(cursor, store), store, table, rows, number, count))


@dataclass(frozen=True)
class Rewritten:
    """Writes ranges of a table's keys again, each as files without deltas. Its rows are the numbers of the ranges."""

    known: Known

    def __call__(self, batches: Batches) -> Iterator[RecordBatch]:
        """The description of the files of each range. Raises EpochStorageError where other rows were written."""
        with _engine(self.known.readers) as (cursor, folder):
            store, table = PromisedObjects(folder, self.known.url), self.known.table
            read, writer = contents(self.known, store), LevelWriter(cursor, store)
            for number in (number for batch in batches for number in batch.column(0).to_pylist()):
                zone = self.known.zones[number]
                levels = [base_level(zone.files), *self.known.deltas]
                read.require_sound(levels)
                inside = between(columns("c", table.key), zone.start, zone.end) if table.key else Sql("true")
                rows = render.fill(
                    "SELECT * FROM ({{state}}) AS state WHERE {{inside}}",
                    state=read.state_of(table, levels),
                    inside=inside,
                )
                made = _based(writer, store, table, rows, number, sum(file.row_count for file in zone.files))
                kept = tuple(DataFile(**file) for file in made["files"])
                if writer.fingerprint(read.state_of(table, [base_level(kept)]), table) != (made["count"], made["sum"]):
                    raise EpochStorageError(f"what was written of table {table.name} has other rows", "retry")
                yield described(made)


def _based(
    writer: LevelWriter, store: PromisedObjects, table: Table, rows: Sql, number: int, count: int
) -> dict[str, Any]:
    files = writer.base(rows, table, count).files
    found, fingerprint = writer.fingerprint(rows, table)
    _upload(store, files)
    return {"zone": number, "files": [asdict(file) for file in files], "count": found, "sum": fingerprint}


def key_of(incoming: Incoming, table: Table) -> Sql:
    """The sort key of a row of a data frame, as ranges of keys have it."""
    values = incoming.values(table, table.key)
    names = columns("c", table.key)
    return render.fill("(SELECT {{key}} FROM (SELECT {{values}}) AS key)", key=cut_sort_key(names), values=values)


def contents(known: Known, store: PromisedObjects) -> Contents:
    """The rows of a table whose files are at a store."""
    return Contents(_Given(known, store), store, RowCache(tables=dict(known.definitions)))


def described(result: Mapping[str, Any]) -> RecordBatch:
    """What a task says, as the engine carries it."""
    import pyarrow as pa

    return pa.RecordBatch.from_pydict({"result": [json.dumps(result)]})


@dataclass(frozen=True)
class _Given:
    """The descriptions of one table, for ``Contents``: those that the task was given."""

    known: Known
    store: PromisedObjects

    def versions(self, ids: Iterable[str]) -> Mapping[str, Version]:
        return {}

    def levels(self, ids: Iterable[str]) -> Mapping[str, Level]:
        return {}

    def tables(self, ids: Iterable[str]) -> Mapping[str, Table]:
        return {i: self.known.definitions[i] for i in ids}

    def edges(self, table_id: str) -> list[Level]:
        return []

    def add(self, tables: Sequence[Table], levels: Sequence[Level], versions: Sequence[Version]) -> None:
        pass

    def broken(self, file_id: str, problem: str) -> EpochStorageError:
        return damaged(f"{self.store.remote.where}/{file_path(file_id)}", problem)


@contextmanager
def _engine(readers: str | None = None) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """DuckDB for a task, and a folder, both of which go with it."""
    with TemporaryDirectory(prefix="epoch-") as folder, duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
        connection.execute("SET threads = 1")
        connection.execute(render.fill("SET temp_directory = {{folder}}", folder=render.literal(folder)))
        if readers:
            config.write_for(Path(folder), readers)
        yield connection, Path(folder) / "objects"


def _staged(cursor: duckdb.DuckDBPyConnection, batches: Batches) -> bool:
    """Keep the rows of a task in ``epoch_incoming``. False if there are none."""
    import pyarrow as pa

    found = iter(batches)
    first = next(found, None)
    if first is None:
        return False
    reader = pa.RecordBatchReader.from_batches(first.schema, (batch for part in ([first], found) for batch in part))
    cursor.register("epoch_batches", reader)
    cursor.execute("CREATE TEMP TABLE epoch_incoming AS FROM epoch_batches")
    cursor.unregister("epoch_batches")
    return bool(cursor.execute("SELECT 1 FROM epoch_incoming LIMIT 1").fetchone())


def _problem(cursor: duckdb.DuckDBPyConnection, incoming: Incoming, table: Table, there: Sql) -> Problem | None:
    """What is wrong with rows; ``there`` says which of them have values besides the key."""
    keys = {column.id for column in table.key}
    for column, misfit in incoming.misfits(table, table.stored_columns):
        everywhere = Sql("true") if column.id in keys else there
        query = render.render("files.misfit", misfit=misfit, there=everywhere)
        [(value,)] = cursor.execute(query).fetchall()
        if value is not None:
            return Problem("misfit", column.name, value)
    if not table.key:
        return None
    names = [render.column(incoming.name_of(column, table)) for column in table.key]
    missing = render.joined([render.fill("{{name}} IS NULL", name=name) for name in names], " OR ")
    [(count,)] = cursor.execute(render.render("files.null_key", missing=missing)).fetchall()
    if count:
        return Problem("null", ", ".join(table.key_names), None)
    fields = [(column.name, name) for column, name in zip(table.key, names, strict=True)]
    row = cursor.execute(render.render("files.repeated_key", struct=struct(fields), names=names)).fetchone()
    return Problem("repeated", None, row[0]) if row else None


def _upload(store: PromisedObjects, files: Iterable[DataFile]) -> None:
    """Send files to the store, unless it has them."""
    for file in files:
        path = file_path(file.file_id)
        if store.remote.size(path) != file.bytes:
            store.remote.upload(path, store.place(file.file_id))
