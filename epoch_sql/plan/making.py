"""Objects that DuckDB may refuse to create: views and macros over missing objects.

DuckDB keeps a view whose table was dropped, but does not create it again. A plan leaves such an object out, and notes
it as unmade. On DuckDB 2.0 an error ends the transaction, so Epoch asks what a view misses before it creates it. That
works for views in schema main. For other views, whose names mean something else, and for macros, only the attempt to
create them shows it, and the next attempt leaves them out.
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
"""The kinds of objects that the rest of a state does not need."""

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
"""The errors of DuckDB for an object that refers to something missing or changed."""

_TRIAL = "epoch_trial"


class CannotMake(Exception):
    """DuckDB refused to create an object that the rest does not need."""

    def __init__(self, made: SchemaObject, reason: str) -> None:
        super().__init__(f"{made.kind} {made.label}: {reason}")
        self.made = made
        self.reason = reason


@contextmanager
def making(made: Table | SchemaObject) -> Iterator[None]:
    """Raises CannotMake if DuckDB refuses an object for what it refers to, and EpochTableError if it is a table."""
    try:
        yield
    except REFUSALS as error:
        if isinstance(made, SchemaObject) and made.kind in MAY_BE_UNMADE:
            raise CannotMake(made, first_line(error)) from error
        raise cannot_be_made(made, first_line(error)) from error


def cannot_be_made(made: Table | SchemaObject, reason: str) -> EpochTableError:
    """The error for a table or object that the rest needs."""
    called = f"table {made.name}" if isinstance(made, Table) else f"{made.kind} {made.label}"
    advice = "check out another commit, and correct it there"
    if ddl.lacking(made):
        advice = "open the database with DuckDB 2.0 or newer, or check out another commit"
    return EpochTableError(f"{called} cannot be made: {reason}", advice, table=str(made.name))


def missing_of_view(cursor: duckdb.DuckDBPyConnection, view: SchemaObject) -> str | None:
    """The reason why DuckDB would refuse to create a view of schema main now. None if it would not, or cannot say."""
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
    """The statements that create an object on the installed DuckDB."""
    if isinstance(made, Table):
        return ddl.create_table(made)
    if made.kind == "view" and made.part_comments and not COMMENTS_BY_ALIAS:
        made = replace(made, part_comments=_as_the_query_calls_them(cursor, made))
    return ddl.create_object(made)


def _as_the_query_calls_them(cursor: duckdb.DuckDBPyConnection, view: SchemaObject) -> tuple[tuple[str, str], ...]:
    """The comments of a view's columns by the names in its query, if the view has a list of column names."""
    as_ = next(token for token in top_level(view.definition) if token.is_word("AS"))
    if not any(token.text == "(" for token in tokens(view.definition[: as_.start])):
        return view.part_comments
    listed = [next(tokens(element)).name for element in list_after(view.definition)]
    query = render.verbatim(view.definition[as_.end :])
    described = cursor.execute(render.fill("DESCRIBE {{query}}", query=query)).fetchall()
    names = {alias: row[0] for alias, row in zip(listed, described, strict=False)}
    return tuple((names.get(column, column), comment) for column, comment in view.part_comments)


def try_to_make(cursor: duckdb.DuckDBPyConnection, made: SchemaObject) -> str | None:
    """The reason why DuckDB refuses to create an existing object again, or None. Leaves no trace.

    Creates it under another name, in a transaction that is rolled back.
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
    """The statements that create an object under another name."""
    trial = ObjectName(made.name.schema, _TRIAL)
    if made.kind == "trigger":
        trigger = replace(read_trigger(made.definition), name=_TRIAL)
        return ddl.create_object(ddl.trigger_object(table_of(made), trigger))
    named, other = render.to_sql(render.relative(made.name)), render.to_sql(render.table(trial))
    return [render.verbatim(statement.replace(named, other, 1)) for statement in split_statements(made.definition)]


def make(cursor: duckdb.DuckDBPyConnection, made: SchemaObject) -> str | None:
    """Create an object in a transaction of its own. Gives the reason if DuckDB refuses, or None."""
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
    """The first line of an error of DuckDB."""
    return str(error).splitlines()[0]
