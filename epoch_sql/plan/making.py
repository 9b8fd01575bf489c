"""Objects that DuckDB may refuse to make: views and macros over what is not there.

DuckDB keeps a view whose table was dropped, but does not make it again. A plan leaves such an object out, and notes it
as unmade. What a view misses is asked before it is made, since on DuckDB 2.0 an error ends the transaction; of a macro,
and of a view outside of schema main, whose names mean something else, that is only found by trying, in the next attempt
at the whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochTableError
from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.model.sql_text import list_after, split_statements, tokens, top_level
from epoch_sql.render import Sql
from epoch_sql.worktree import ddl
from epoch_sql.worktree.capabilities import COMMENTS_BY_ALIAS
from epoch_sql.worktree.triggers import read_trigger, table_of

MAY_BE_UNMADE = ("macro", "view", "trigger")
"""The kinds of objects without which the rest of a state can be made."""

REFUSALS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.IOException,
    duckdb.NotImplementedException,
    duckdb.ParserException,
    duckdb.OutOfRangeException,
    duckdb.PermissionException,
)
"""What DuckDB raises where an object refers to what is not there, or is not as it was."""

_TRIAL = "epoch_trial"


class CannotMake(Exception):
    """DuckDB refused to make an object without which the rest can be made."""

    def __init__(self, made: SchemaObject, reason: str) -> None:
        super().__init__(f"{made.kind} {made.label}: {reason}")
        self.made = made
        self.reason = reason


@contextmanager
def making(made: Table | SchemaObject) -> Iterator[None]:
    """Raises CannotMake when DuckDB refuses an object for what it refers to, EpochTableError when it is a table."""
    try:
        yield
    except REFUSALS as error:
        if isinstance(made, SchemaObject) and made.kind in MAY_BE_UNMADE:
            raise CannotMake(made, first_line(error)) from error
        raise cannot_be_made(made, first_line(error)) from error


def cannot_be_made(made: Table | SchemaObject, reason: str) -> EpochTableError:
    """The error for a table or object without which the rest cannot be made."""
    called = f"table {made.name}" if isinstance(made, Table) else f"{made.kind} {made.label}"
    advice = "check out another commit, and correct it there"
    if ddl.lacking(made):
        advice = "open the database with DuckDB 2.0 or newer, or check out another commit"
    return EpochTableError(f"{called} cannot be made: {reason}", advice, table=str(made.name))


def missing_of_view(cursor: duckdb.DuckDBPyConnection, view: SchemaObject) -> str | None:
    """Why DuckDB would refuse to make a view of schema main now; None when it would not, or cannot tell."""
    if view.name.schema != "main":
        return None
    body = next(token.end for token in top_level(view.definition) if token.is_word("AS"))
    row = cursor.execute("SELECT CAST(json_serialize_plan(?) AS VARCHAR)", [view.definition[body:]]).fetchone()
    assert row
    answer = json.loads(row[0])
    if not answer["error"] or answer["error_type"] in ("not implemented", "serialization"):
        return None
    return str(answer["error_message"]).splitlines()[0]


def creation(cursor: duckdb.DuckDBPyConnection, made: Table | SchemaObject) -> list[Sql]:
    """The statements that make something on the DuckDB that runs."""
    if isinstance(made, Table):
        return ddl.create_table(made)
    if made.kind == "view" and made.part_comments and not COMMENTS_BY_ALIAS:
        made = replace(made, part_comments=_as_the_query_calls_them(cursor, made))
    return ddl.create_object(made)


def _as_the_query_calls_them(cursor: duckdb.DuckDBPyConnection, view: SchemaObject) -> tuple[tuple[str, str], ...]:
    """The comments of a view's columns, which have other names where the view has a list of them."""
    as_ = next(token for token in top_level(view.definition) if token.is_word("AS"))
    if not any(token.text == "(" for token in tokens(view.definition[: as_.start])):
        return view.part_comments
    listed = [next(tokens(element)).name for element in list_after(view.definition)]
    query = render.verbatim(view.definition[as_.end :])
    described = cursor.execute(render.fill("DESCRIBE {{query}}", query=query)).fetchall()
    names = {alias: row[0] for alias, row in zip(listed, described, strict=False)}
    return tuple((names.get(column, column), comment) for column, comment in view.part_comments)


def try_to_make(cursor: duckdb.DuckDBPyConnection, made: SchemaObject) -> str | None:
    """Why DuckDB refuses to make an object again that is there; None when it does not. Leaves no trace.

    It is made under another name, in a transaction of its own that is rolled back.
    """
    cursor.execute("BEGIN TRANSACTION")
    try:
        for statement in _trial(made):
            cursor.execute(statement)
    except REFUSALS as error:
        return first_line(error)
    finally:
        cursor.execute("ROLLBACK")
    return None


def _trial(made: SchemaObject) -> list[Sql]:
    """What makes an object under another name."""
    trial = ObjectName(made.name.schema, _TRIAL)
    if made.kind == "trigger":
        trigger = replace(read_trigger(made.definition), name=_TRIAL)
        return ddl.create_object(ddl.trigger_object(table_of(made), trigger))
    named, other = render.to_sql(render.relative(made.name)), render.to_sql(render.table(trial))
    return [render.verbatim(statement.replace(named, other, 1)) for statement in split_statements(made.definition)]


def make(cursor: duckdb.DuckDBPyConnection, made: SchemaObject) -> str | None:
    """Make an object in a transaction of its own; why DuckDB refuses, or None."""
    if reason := ddl.lacking(made):
        return reason
    cursor.execute("BEGIN TRANSACTION")
    try:
        for statement in creation(cursor, made):
            cursor.execute(statement)
        cursor.execute("COMMIT")
    except (*REFUSALS, duckdb.TransactionException) as error:
        # A COMMIT that fails has ended the transaction.
        with suppress(duckdb.TransactionException):
            cursor.execute("ROLLBACK")
        return first_line(error)
    return None


def first_line(error: duckdb.Error) -> str:
    """What DuckDB says, on one line."""
    return str(error).splitlines()[0]
