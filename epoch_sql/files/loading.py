"""Loads rows into a table within a transaction: into a new one, or added, replaced or merged by the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from epoch_sql import render
from epoch_sql.advice import Advice, Suggestion, did_you_mean
from epoch_sql.call import Call
from epoch_sql.catalog.local import DeclaredKeys
from epoch_sql.errors import ColumnNotFound, EpochFileError, EpochTableError, KeyBroken
from epoch_sql.files.readers import Column, Reader
from epoch_sql.model.names import suggest
from epoch_sql.model.schema import ObjectName, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import encode

Mode = Literal["new", "replace", "append", "upsert"]

_STAGE = ObjectName("main", "epoch_import_files")
_REFUSED = (
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.ConstraintException,
)
_REFUSED_TYPES = (duckdb.BinderException, duckdb.NotImplementedException, duckdb.TypeMismatchException)


@dataclass(frozen=True)
class Goal:
    """A table that rows go to: the working one, if it exists, and what is asked of it."""

    name: ObjectName
    existing: Table | None
    mode: Mode
    key: tuple[str, ...]


class Unfit(Exception):
    """A row of a reader that DuckDB refuses. ``wanted`` are the columns, as they were read."""

    def __init__(self, goal: Goal, reader: Reader, wanted: Mapping[str, Column], reason: duckdb.Error) -> None:
        super().__init__(str(reason))
        self.goal = goal
        self.reader = reader
        self.wanted = wanted
        self.reason = reason


def load(call: Call, goal: Goal, readers: Sequence[Reader]) -> None:
    """Load the rows of readers into a table. Raises Unfit for a row that does not fit, and EpochTableError for columns
    that do not."""
    if goal.existing is None:
        columns = _columns_of_new(goal, readers[0])
        typed = [_typed(name, column.type) for name, column in columns.items()]
        call.cursor.execute(render.fill("CREATE TABLE {{t}} ({{c}})", t=render.table(goal.name), c=typed))
        _insert(call, goal, readers, columns, render.table(goal.name))
    else:
        stored = {c.name: Column(c.name, c.type) for c in goal.existing.stored_columns}
        _into_existing(call, goal, goal.existing, readers, stored)
    if goal.key and not (goal.existing and goal.existing.key_names):
        DeclaredKeys(call.cursor).put(goal.name, goal.key)


def goal_of(
    name: ObjectName, existing: Table | None, mode: Mode, key: Sequence[str], readers: Sequence[Reader]
) -> Goal:
    """The goal, with the key as the table or its first file spells it. Raises EpochTableError if it does not fit."""
    known = existing.key_names if existing else ()
    columns = [c.name for c in existing.stored_columns] if existing else [*readers[0].columns]
    where = f"table {name}" if existing else readers[0].file
    spelled = tuple(_spelled(column, columns, where, name) for column in key)
    if len(set(spelled)) != len(spelled):
        raise EpochTableError(f"a column is named twice in the key of {name}", "name each column once", table=str(name))
    if existing and spelled and known and set(spelled) != set(known):
        message = f"the rows of table {name} are identified by {', '.join(known)}"
        raise EpochTableError(message, "leave the key out", table=str(name))
    if mode == "upsert" and not (spelled or known):
        raise EpochTableError(
            f"table {name} has no key, which upsert finds its rows by",
            "name the columns that identify a row as the key",
            table=str(name),
        )
    return Goal(name, existing, mode, spelled or tuple(known))


def _into_existing(
    call: Call, goal: Goal, table: Table, readers: Sequence[Reader], stored: Mapping[str, Column]
) -> None:
    target = render.table(table.name)
    if goal.mode == "append" or (goal.mode == "replace" and not goal.key):
        if goal.mode == "replace":
            call.cursor.execute(render.fill("DELETE FROM {{table}}", table=target))
        _insert(call, goal, readers, stored, target)
        return
    stage = render.table(_STAGE, "temp")
    typed = [_typed(column.name, column.type) for column in table.stored_columns]
    call.cursor.execute(render.fill("CREATE TEMP TABLE {{stage}} ({{columns}})", stage=stage, columns=typed))
    _insert(call, goal, readers, stored, stage)
    _require_key(call.cursor, goal, readers, stage)
    try:
        call.cursor.execute(_merge(goal, table, stage))
    except duckdb.ConstraintException as error:
        raise _constrained(goal, error) from error
    call.cursor.execute(render.fill("DROP TABLE {{stage}}", stage=stage))


def _insert(call: Call, goal: Goal, readers: Sequence[Reader], columns: Mapping[str, Column], into: render.Sql) -> None:
    for reader in readers:
        wanted = _wanted(goal, reader, columns)
        rows = reader.rows(wanted)
        statement = render.fill("INSERT INTO {{into}} BY NAME {{rows}}", into=into, rows=rows)
        try:
            with call.progress.measuring(reader.bytes, call.cursor.query_progress):
                call.cursor.execute(statement)
        except duckdb.ConstraintException as error:
            raise _constrained(goal, error) from error
        except (*_REFUSED, *_REFUSED_TYPES) as error:
            raise Unfit(goal, reader, wanted, error) from error


def _wanted(goal: Goal, reader: Reader, columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns of a table by their names in a file. Raises EpochTableError if either has others."""
    own = {name.lower(): name for name in reader.columns}
    known = {name.lower() for name in columns}
    computed = {c.name.lower() for c in goal.existing.columns if not c.stored} if goal.existing else set()
    extra = [name for folded, name in own.items() if folded not in known | computed]
    if extra:
        raise EpochTableError(
            f"table {goal.name} has no column {extra[0]}, which {reader.file} has",
            _near_or(extra[0], [*columns], f"ALTER TABLE … ADD COLUMN {extra[0]}, or leave it out of the file"),
            table=str(goal.name),
            column=extra[0],
        )
    missing = [name for name in columns if name.lower() not in own]
    filled = [name for name in missing if goal.mode == "append" and _has_default(goal, name)]
    if len(missing) > len(filled):
        lacking = next(name for name in missing if name not in filled)
        raise EpochTableError(
            f"{reader.file} has no column {lacking}, which table {goal.name} has",
            _near_or(lacking, [*own.values()], f"it has {', '.join(own.values())}"),
            table=str(goal.name),
            column=lacking,
        )
    return {name: Column(own[name.lower()], c.type) for name, c in columns.items() if name.lower() in own}


def _has_default(goal: Goal, name: str) -> bool:
    return goal.existing is not None and goal.existing.column(name).default is not None


def _near_or(name: str, names: Sequence[str], otherwise: str) -> str:
    return did_you_mean(suggest(name, names)) or otherwise


def _columns_of_new(goal: Goal, reader: Reader) -> dict[str, Column]:
    if not reader.columns:
        raise EpochFileError(f"{reader.file} has no columns", None, file=reader.file)
    return {name: Column(name, type) for name, type in reader.columns.items()}


def _spelled(name: str, columns: Sequence[str], where: str, table: ObjectName) -> str:
    found = next((column for column in columns if column.lower() == name.lower()), None)
    if found is None:
        near = suggest(name, columns)
        raise ColumnNotFound(
            f"there is no column {name} in {where}",
            did_you_mean(near) or f"columns: {', '.join(columns)}",
            table=str(table),
            column=name,
            suggestions=tuple(near),
        )
    return found


def _require_key(cursor: duckdb.DuckDBPyConnection, goal: Goal, readers: Sequence[Reader], stage: render.Sql) -> None:
    """Raises EpochTableError if rows that are to be found by their key have none, or the same."""
    key = [render.column(name) for name in goal.key]
    statement = render.render(
        "import.broken_key",
        named=[render.fill("{{n}} := {{c}}", n=render.identifier(n), c=render.column(n)) for n in goal.key],
        relation=stage,
        key=key,
        missing=render.joined([render.fill("{{c}} IS NULL", c=c) for c in key], " OR "),
    )
    broken = cursor.execute(statement).fetchone()
    if broken:
        files = readers[0].file if len(readers) == 1 else f"{len(readers)} files"
        raise KeyBroken(
            f"the key of table {goal.name} ({', '.join(goal.key)}) is NULL or repeated in {files}: {broken[0]}",
            "correct the rows",
            table=str(goal.name),
        )


def _merge(goal: Goal, table: Table, stage: Sql) -> Sql:
    values = [c for c in table.stored_columns if c.name not in goal.key]
    pairs = [(c, render.column(c.name, "target"), render.column(c.name, "source")) for c in values]
    differ = [
        render.fill("{{a}} IS DISTINCT FROM {{b}}", a=encode(old, c.type), b=encode(new, c.type))
        for c, old, new in pairs
    ]
    keys = [
        render.fill("{{t}} = {{s}}", t=render.column(name, "target"), s=render.column(name, "source"))
        for name in goal.key
    ]
    stored = table.stored_columns
    update: render.Item = {
        "differ": render.joined(differ, " OR "),
        "set": [render.fill("{{n}} = {{v}}", n=render.identifier(c.name), v=new) for c, _, new in pairs],
    }
    return render.render(
        "import.merge",
        table=render.table(table.name),
        source=stage,
        on=render.joined(keys, " AND "),
        values=[update] if values else [],
        columns=[render.identifier(c.name) for c in stored],
        inserted=[render.column(c.name, "source") for c in stored],
        replace=goal.mode == "replace",
    )


def _constrained(goal: Goal, error: duckdb.Error) -> EpochTableError:
    reason = str(error).strip().splitlines()[0].removeprefix("Constraint Error: ")
    advice: Advice = "correct the rows"
    if goal.mode == "append" and goal.key:
        advice = ("correct the rows, or merge them by the key: ", Suggestion("import_files", "FILE", mode="upsert"))
    return EpochTableError(f"table {goal.name} refuses the rows: {reason}", advice, table=str(goal.name))


def _typed(name: str, type: str) -> Sql:
    return render.fill("{{name}} {{type}}", name=render.identifier(name), type=Sql(type))
