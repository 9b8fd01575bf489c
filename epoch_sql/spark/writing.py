"""Writing to a store from an engine: control on the driver, in a bare clone, and data in the engine's tasks.

A task is sent the rows of some ranges of keys. Epoch chooses the ranges: those of the files that a table has, or, for a
new table, of a sample of its keys. Each row of a key reaches the same task, so a task sees every row that a key has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from epoch_sql import config, render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.errors import (
    EpochEngineError,
    EpochError,
    EpochNothingToCommit,
    EpochTableError,
    KeyBroken,
    MergeConflict,
    UnsupportedType,
)
from epoch_sql.model.commit import (
    EMPTY_FINGERPRINT,
    DataFile,
    Level,
    RowCounts,
    Version,
    shift_fingerprint,
    version_identity,
)
from epoch_sql.model.names import parse_name, shown
from epoch_sql.model.schema import Column, Table, identity
from epoch_sql.render import Sql
from epoch_sql.spark.incoming import GONE, ZONE, Incoming
from epoch_sql.spark.mirror import Mirror, within
from epoch_sql.spark.recording import (
    Committed,
    Found,
    commit_delta,
    commit_table,
    found,
    identity_of,
    require_new,
)
from epoch_sql.spark.tasks import RESULT, Bases, Deltas, Known, Numbered, Task, key_of
from epoch_sql.storage.encoding import check_supported
from epoch_sql.storage.key_ranges import Zone, zones
from epoch_sql.storage.shape import shape_of
from epoch_sql.storage.skipping import comparable
from epoch_sql.storage.writing import FILE_ROWS, WrittenDelta, base_level
from epoch_sql.verbs.merging import MergeResult

DataFrame = Any
"""A data frame of the engine: of Spark in one process, or through Spark Connect."""
SAMPLE = 100_000
"""How many keys the driver looks at to cut a new table into ranges."""
TASKS = 200
"""The most tasks that one write is divided among."""
_RAISED = re.compile(r"^[ \t]*((?:\w+\.)*\w*(?:Error|Exception): .+)$", re.MULTILINE)
"""The last line of a traceback in Python, wherever an engine's text has it."""
_UPSERTS, _DELETES, _ROWS = "the data frame of upserts", "the data frame of deletes", "the data frame"


@dataclass(frozen=True)
class _Change:
    """The rows of a commit: what comes and what goes, in one data frame, with the columns of the table."""

    frame: DataFrame
    incoming: Incoming


def import_table(
    mirror: Mirror,
    frame: DataFrame,
    name: str,
    *,
    key: Sequence[str] = (),
    branch: str | None = None,
    message: str | None = None,
    author: str | None = None,
    rows_per_file: int = FILE_ROWS,
) -> Committed:
    """Commits a data frame as a new table; ``key`` are the columns that identify a row.

    Raises EpochTableError for a table that exists, for types that Epoch cannot store, and for keys that are NULL or
    repeated. Nothing is changed then.
    """
    repository = mirror.repository
    into = branch or _default_branch(mirror)
    incoming = Incoming(_types(frame), _ROWS)
    table = _defined(name, key, incoming)
    tip = within(repository, lambda call: require_new(call, into, table))
    table_id = within(repository, lambda call: identity_of(call, tip, table))
    table = _identified(table, table_id)
    cuts = _cuts(frame, table, incoming, rows_per_file) if table.key else ()
    known = Known(mirror.url, table, readers=within(repository, lambda call: config.readers(call.shared)))
    results = run(_ranged(frame, table, incoming, cuts), Bases(known, incoming), table)
    made = sorted(results, key=lambda result: result["zone"])
    files = tuple(DataFile(**file) for result in made for file in result["files"])
    count = sum(result["count"] for result in made)
    fingerprint = EMPTY_FINGERPRINT
    for result in made:
        fingerprint = shift_fingerprint(fingerprint, 0, int(result["sum"], 16))
    level = base_level(files)
    version_id = version_identity(table_id, table.digest, fingerprint, (level.level_id,))
    version = Version(version_id, table_id, table.digest, count, fingerprint, (level.level_id,))
    told = message or f"Import {name}"
    with mirror.publishing(into) as there:
        return there.perform(commit_table, tip, into, version, table, level, told, author)


def commit(
    mirror: Mirror,
    branch: str,
    table: str,
    *,
    upserts: DataFrame | None = None,
    deletes: DataFrame | None = None,
    message: str,
    author: str | None = None,
) -> Committed:
    """Commits rows to a table of a branch: ``upserts`` have all of its columns, and ``deletes`` those of its key.

    A key to delete that the table does not have changes nothing. Raises EpochTableError for columns and values that do
    not fit, for keys that are NULL or repeated, and for rows that break a constraint of the table, and
    EpochNothingToCommit if nothing differs.
    """
    if not message.strip():
        raise EpochNothingToCommit("a commit needs a message", Suggestion("commit", "what changed and why"))
    at = within(mirror.repository, lambda call: found(call, branch, table))
    change = _change(at.table, upserts, deletes)
    known = within(mirror.repository, lambda call: known_of(call, mirror.url, at))
    cuts = tuple(zone.start for zone in known.zones[1:] if zone.start)
    results = run(_ranged(change.frame, at.table, change.incoming, cuts), Deltas(known, change.incoming), at.table)
    if not results:
        raise EpochNothingToCommit(f"nothing to commit, {at.entry.name} has these rows in {branch}", Suggestion("log"))
    parts = [_written(result) for result in results]
    with mirror.publishing(branch) as there:
        written = parts[0] if len(parts) == 1 else within(there, lambda call: _joined(call, at.table, parts))
        return there.perform(commit_delta, at, branch, written, message, author)


def merge(mirror: Mirror, source: str, target: str, **options: Any) -> MergeResult:
    """Merges a branch into another; ``options`` are those of ``Repository.merge``.

    The driver merges: it reads what changed on both sides, and not the tables, unless a constraint or a conversion asks
    for them. Raises what ``Repository.merge`` and ``push`` raise.
    """
    with mirror.publishing(target) as there:
        try:
            return there.merge(source, into=target, **options)
        except MergeConflict as stopped:
            if mirror.path:
                raise
            message = stopped.message.partition(";")[0]
            advice = ("nothing was changed; resolve them in a clone: ", Suggestion("clone", mirror.url, bare=True))
            raise replace(stopped, message=message, advice=advice) from stopped


def _default_branch(mirror: Mirror) -> str:
    branch = within(mirror.repository, lambda call: call.state.head().branch)
    assert branch
    return branch


def known_of(call: Call, url: str, at: Found) -> Known:
    """A table as tasks need it. Its ranges of keys are those of its files, or one if these do not tell."""
    base, deltas = at.levels[0], at.levels[1:]
    files = [file for level in at.levels for file in level.files]
    ids = {i for file in files for i in (file.schema_id, file.old_schema_id) if i}
    definitions = {i: call.contents.schema(i) for i in ids}
    told = comparable(call.contents.schema, at.levels, at.table)
    found = tuple(zones(base.files)) if told and base.files else (Zone(base.files),)
    return Known(url, at.table, found, deltas, config.readers(call.shared), definitions)


def _change(table: Table, upserts: DataFrame | None, deletes: DataFrame | None) -> _Change:
    """Upserts and deletes in one data frame. Raises EpochTableError where their columns are not those of the table."""
    from pyspark.sql import functions as F

    name = str(table.name)
    if upserts is None and deletes is None:
        raise EpochTableError(f"there is nothing to commit to table {name}", "give upserts or deletes", table=name)
    if not table.key:
        message = f"table {name} has no key, so no row of it can be named"
        raise EpochTableError(message, "declare its key in a clone, and push it", table=name)
    came = _required(table, upserts, table.stored_columns, _UPSERTS)
    gone = _required(table, deletes, table.key, _DELETES)
    types = dict(came.types) if came else {}
    frames = []
    if upserts is not None and came:
        frames.append(upserts.withColumn(GONE, F.lit(False)))
    if deletes is not None and gone:
        wanted = []
        for column in table.stored_columns:
            own = came.name_of(column, table) if came else column.name
            if column in table.key:
                there = gone.name_of(column, table)
                if types.setdefault(own, gone.types[there]) != gone.types[there]:
                    raise EpochTableError(
                        f"column {column.name} is {types[own]} in {_UPSERTS}, and {gone.types[there]} in {_DELETES}",
                        "cast one of them",
                        table=name,
                        column=column.name,
                    )
                wanted.append(F.col(_quoted(there)).alias(own))
            else:
                kind = upserts.schema[own].dataType if upserts is not None else "string"
                types.setdefault(own, "VARCHAR")
                wanted.append(F.lit(None).cast(kind).alias(own))
        order = {column: number for number, column in enumerate(upserts.columns)} if upserts is not None else {}
        named = sorted(zip(wanted, types, strict=False), key=lambda pair: order.get(pair[1], 0))
        frames.append(deletes.select(*(column for column, _ in named)).withColumn(GONE, F.lit(True)))
    frame = frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1])
    return _Change(frame, Incoming(types, _UPSERTS))


def _required(table: Table, frame: DataFrame | None, columns: Sequence[Column], what: str) -> Incoming | None:
    if frame is None:
        return None
    incoming = Incoming(_types(frame), what)
    incoming.require_known(table, columns)
    incoming.require_fitting(table, columns)
    return incoming


def _ranged(frame: DataFrame, table: Table, incoming: Incoming, cuts: Sequence[str]) -> DataFrame:
    """The rows with the number of their range, those of a range together."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import IntegerType, StructType

    if not cuts:
        return frame.withColumn(ZONE, F.lit(0).cast("int")).coalesce(1)
    schema = StructType([*frame.schema.fields]).add(ZONE, IntegerType())
    numbered = frame.mapInArrow(_as_function(Numbered(table, incoming, tuple(cuts))), schema)
    return numbered.repartition(min(len(cuts) + 1, TASKS), ZONE)


def run(frame: DataFrame, task: Task, table: Table) -> list[dict[str, Any]]:
    """What the tasks say. Raises KeyBroken or EpochTableError for rows that cannot be what was asked."""
    try:
        rows = frame.mapInArrow(_as_function(task), RESULT).collect()
    except Exception as error:
        raise _failed(error) from error
    results = [json.loads(row.result) for row in rows]
    for problem in (result["refused"] for result in results if result.get("refused")):
        raise _refused(table, **problem)
    return results


def _as_function(task: Task) -> Any:
    """The task as a function, which is what engines ask the name of."""

    def run(batches: Any) -> Any:
        return task(batches)

    return run


def _failed(error: Exception) -> Exception:
    """The error for tasks that failed: the engine's text has the traceback of each."""
    if isinstance(error, EpochError):
        return error
    raised = _RAISED.findall(str(error))
    told = shown(raised[-1] if raised else next(iter(str(error).splitlines()), type(error).__name__), 400)
    if "ModuleNotFoundError" in told:
        advice = "install epoch-sql, with its duckdb, where the tasks run"
    else:
        advice = "retry; the engine's log has all of it"
    return EpochEngineError(f"a task of the engine failed, and nothing was changed: {told}", advice)


def _refused(table: Table, kind: str, column: str | None, value: str | None) -> EpochError:
    name = str(table.name)
    if kind == "misfit":
        wanted = table.column(column or "").type
        message = f"value {(value or '')[:80]} does not fit column {column} of table {name}, which is {wanted}"
        return EpochTableError(message, "correct the rows", table=name, column=column)
    if kind == "null":
        return KeyBroken(f"the key of table {name} ({column}) is NULL in some rows", "correct the rows", table=name)
    return KeyBroken(f"key {value} is in more than one row for table {name}", "give each key once", table=name)


def _types(frame: DataFrame) -> dict[str, str]:
    """The columns of a data frame, with the types that DuckDB has for them. Raises EpochTableError for one that Arrow
    lacks, and UnsupportedType for one that Epoch cannot store."""
    names = frame.columns
    folded = [name.lower() for name in names]
    twice = next((name for name in names if folded.count(name.lower()) > 1), None)
    if twice is not None:
        message = f"the data frame has column {twice} twice; SQL takes letter cases for the same"
        raise EpochTableError(message, "rename one of them", column=twice, table="")
    try:
        empty = frame.limit(0).toArrow()
    except Exception as error:
        told = next(iter(str(error).splitlines()), "")
        raise EpochTableError(
            f"a column of the data frame has no type of Arrow: {told[:200]}", "cast it", table=""
        ) from error
    with duckdb.connect() as connection:
        connection.register("frame", empty)
        found = {row[0]: row[1] for row in connection.execute("DESCRIBE FROM frame").fetchall()}
    for name, text in found.items():
        try:
            check_supported(text)
        except UnsupportedType as error:
            raise EpochTableError(f"column {name}: {error.message}", "cast it", column=name, table="") from error
    return found


def _defined(name: str, key: Sequence[str], incoming: Incoming) -> Table:
    columns = tuple(Column(column, text) for column, text in incoming.types.items())
    if not columns:
        raise EpochTableError("the data frame has no columns", "select some", table=name)
    table = Table(parse_name(name), columns)
    spelled = tuple(incoming.name_of(Column(column, ""), table) for column in key)
    if len(set(spelled)) != len(spelled):
        raise EpochTableError(f"a column is named twice in the key of {name}", "name each column once", table=name)
    return Table(table.name, columns, declared_key=spelled)


def _identified(table: Table, table_id: str) -> Table:
    taken: set[int] = set()
    ids: list[int] = []
    for column in table.columns:
        ids.append(identity(table_id, column.name, column.type, taken=taken))
        taken.add(ids[-1])
    columns = tuple(Column(c.name, c.type, number) for c, number in zip(table.columns, ids, strict=True))
    return Table(table.name, columns, declared_key=table.declared_key)


def _cuts(frame: DataFrame, table: Table, incoming: Incoming, rows_per_file: int) -> tuple[str, ...]:
    """The sort keys from which the ranges of a new table begin, but for the first, by a sample of its keys."""
    count = frame.count()
    number = round(count / rows_per_file)
    if number < 2:
        return ()
    names = [incoming.name_of(column, table) for column in table.key]
    keys = frame.select(*map(_quoted, names)).sample(min(1.0, SAMPLE / count), seed=0).toArrow()
    shares = [Sql(str(part / number)) for part in range(1, number)]
    with duckdb.connect() as connection:
        connection.register("epoch_sample", keys)
        query = render.render(
            "files.cuts",
            value=key_of(incoming, table),
            shares=shares,
            rows=Sql("FROM epoch_sample"),
            key=[render.column(name) for name in names],
            share=render.literal(1),
        )
        [(found,)] = connection.execute(query).fetchall()
    return tuple(sorted(set(found or ())))


def _written(result: dict[str, Any]) -> WrittenDelta:
    file, rows = DataFile(**result["file"]), RowCounts(**result["rows"])
    return WrittenDelta(file, rows, int(result["minus"]), int(result["plus"]))


def _joined(call: Call, table: Table, parts: Iterable[WrittenDelta]) -> WrittenDelta:
    """The deltas of several tasks as one, because a delta is one file. Their keys differ."""
    files = tuple(part.file for part in parts)
    shape = shape_of(table, table)
    level = Level("", "delta", files, RowCounts())
    written = call.writer.delta(call.contents.compose([(level, True)], shape), shape, table, table)
    assert written
    return written


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
