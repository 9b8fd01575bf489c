"""Helps the executor to create objects and fill tables: dependencies, objects that DuckDB may refuse, and the order
of rows that refer to one another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochTableError
from epoch_sql.model.schema import Column, Constraint, ObjectName, SchemaObject, Table, expressions
from epoch_sql.model.sql_text import list_after, mentioned, split_statements, tokens, top_level
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode
from epoch_sql.worktree import ddl
from epoch_sql.worktree.ddl import COMMENTS_BY_ALIAS, read_trigger, table_of
from epoch_sql.worktree.ordering import Definition, meaning, references

# After the rename of a table with a foreign key, its parent keeps the old name, and cannot be dropped any more, even
# after the child is dropped. Creating and dropping a table of that name with the same foreign key frees the parent.
# Only the refusal to drop the parent gives the name.

_REFUSAL = re.compile(r'main key table of the table "(.*)"$', re.MULTILINE)


@dataclass(frozen=True)
class Ghost:
    """A name under which DuckDB remembers a child of a table."""

    parent: Table
    child: ObjectName


class HeldByGhost(Exception):
    """DuckDB refuses to drop a table because of a child."""

    def __init__(self, ghost: Ghost) -> None:
        super().__init__(f"{ghost.parent.name} has the child {ghost.child}")
        self.ghost = ghost


def ghost_of(table: Table, error: duckdb.CatalogException) -> Ghost | None:
    """The child because of which DuckDB refused to drop a table. None if there was another reason."""
    found = _REFUSAL.search(str(error))
    return Ghost(table, ObjectName(table.name.schema, found[1])) if found else None


def lay(cursor: duckdb.DuckDBPyConnection, ghost: Ghost) -> None:
    """Make DuckDB forget a child that does not exist. Raises EpochTableError if it exists."""
    key = next(c for c in ghost.parent.constraints if c.kind in ("PRIMARY KEY", "UNIQUE"))
    columns = tuple(
        replace(ghost.parent.column(name), default=None, comment=None, nullable=True) for name in key.columns
    )
    reference = Constraint("FOREIGN KEY", key.columns, None, ghost.parent.name.name, key.columns)
    try:
        for statement in ddl.create_table(Table(ghost.child, columns, (reference,))):
            cursor.execute(statement)
    except duckdb.CatalogException as error:
        raise still_held(ghost) from error
    cursor.execute(ddl.drop_table(ghost.child))


def still_held(ghost: Ghost) -> EpochTableError:
    """The error for a child that exists and blocks the drop."""
    return EpochTableError(
        f"table {ghost.parent.name} cannot be dropped, since {ghost.child} refers to it and stays",
        f"drop {ghost.child}, or version it",
        table=str(ghost.parent.name),
    )


# DuckDB records dependencies of tables on macros, sequences and types, and with ``enable_view_dependencies`` and
# ``enable_macro_dependencies`` those of views and macros. It reports none of them reliably, so they are read from the
# definitions. A doubtful mention counts as a dependency, because rebuilding a view costs nothing. Rebuilding a table
# costs as much as its rows. So tables depend only on what their expressions call, on the types of their columns and on
# the tables of their foreign keys.

Folded = tuple[str, str]


def folded(name: ObjectName) -> Folded:
    """A name as SQL compares it: in lower case."""
    return name.schema.lower(), name.name.lower()


def dependents(
    candidates: Iterable[Definition], changed: Sequence[Definition], dropped: Iterable[Table]
) -> list[Definition]:
    """The candidates that depend directly on something that changes.

    ``dropped`` are the changed tables that are dropped or rebuilt. Only these matter to foreign keys.
    """
    absent = {folded(table.name) for table in dropped}
    words = {definition.name.name.lower() for definition in changed}
    meanings = [meaning(found) for found in changed if isinstance(found, SchemaObject) and found.kind == "type"]
    return [found for found in candidates if _depends(found, changed, words, absent, meanings)]


def refers_to(table: Table, names: Iterable[Folded]) -> bool:
    """Whether a foreign key of the table refers to one of those tables, other than itself."""
    own = folded(table.name)
    targets = {(own[0], (key.referenced or "").lower()) for key in table.foreign_keys} - {own}
    return not targets.isdisjoint(names)


def _depends(
    definition: Definition, changed: Sequence[Definition], words: set[str], absent: set[Folded], meanings: Sequence[str]
) -> bool:
    if isinstance(definition, Table):
        if refers_to(definition, absent) or any(text in c.type for c in definition.columns for text in meanings):
            return True
    elif definition.kind == "type":
        return any(text in meaning(definition) for text in meanings)
    elif definition.kind not in ("macro", "view", "trigger"):
        return False
    text = expressions(definition)
    if words.isdisjoint(_words(text)):
        return False
    named = [definition for definition in changed if definition.name.name.lower() in _words(text)]
    if isinstance(definition, SchemaObject) and definition.kind == "trigger":
        return bool(named)
    if any(isinstance(d, SchemaObject) and d.kind in ("sequence", "type") for d in named):
        return True
    certain = references(definition, named)
    if isinstance(definition, Table):
        macros = (n for n, d in enumerate(named) if isinstance(d, SchemaObject) and d.kind == "macro")
        return any(number in certain for number in macros)
    return bool(certain) if definition.kind == "view" else any(certain.values())


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    """The names in a text, also within strings as in ``nextval('q')``."""
    strings = (token.text[1:-1].replace("''", "'") for token in tokens(text) if token.text.startswith("'"))
    return frozenset(mentioned(text)).union(*map(mentioned, strings))


_PENDING = render.identifier("epoch_pending_rows")
_GENERATION = render.identifier("epoch_generation")


def fill_table(cursor: duckdb.DuckDBPyConnection, table: Table, state: Sql) -> None:
    """Insert all rows of a state (``c<id>``, as storage values) into the empty working table.

    DuckDB refuses a row whose parent comes with the same statement. So a table that refers to itself is filled one
    generation after the other.
    """
    keys = [key for key in table.foreign_keys if (key.referenced or "").lower() == table.name.name.lower()]
    if not keys:
        _insert(cursor, table, state)
        return
    cursor.execute(
        render.fill(Sql("CREATE OR REPLACE TEMP TABLE {{pending}} AS {{state}}"), pending=_PENDING, state=state)
    )
    ready = render.joined([_has_parent(table, key) for key in keys], " AND ")
    while _take_generation(cursor, ready):
        of_generation = render.fill(
            Sql("FROM {{pending}} WHERE rowid IN (FROM {{generation}})"), pending=_PENDING, generation=_GENERATION
        )
        _insert(cursor, table, of_generation)
        cursor.execute(render.fill(Sql("DELETE {{rows}}"), rows=of_generation))
    _insert(cursor, table, render.fill(Sql("FROM {{pending}}"), pending=_PENDING))


def _take_generation(cursor: duckdb.DuckDBPyConnection, ready: Sql) -> int:
    """Note the rows whose parents are in the table, and give their number."""
    cursor.execute(render.render("plan.generation", generation=_GENERATION, pending=_PENDING, ready=ready))
    row = cursor.execute(render.fill(Sql("SELECT count(*) FROM {{g}}"), g=_GENERATION)).fetchone()
    assert row
    return int(row[0])


def _has_parent(table: Table, key: Constraint) -> Sql:
    """The condition that a pending row has no parent, or that the table has it."""
    own = [table.column(name) for name in key.columns]
    values = [decode(render.column(f"c{c.id}", "pending"), c.type) for c in own]
    parents = [table.column(name) for name in key.referenced_columns]
    terms = [
        render.fill(Sql("{{p}} = {{v}}"), p=render.column(parent.name, "parent"), v=value)
        for parent, value in zip(parents, values, strict=True)
    ]
    return render.fill(
        Sql("({{missing}} OR EXISTS (FROM {{table}} AS parent WHERE {{same}}))"),
        missing=render.joined([_is_null(c) for c in own], " OR "),
        table=render.table(table.name),
        same=render.joined(terms, " AND "),
    )


def _is_null(column: Column) -> Sql:
    return render.fill(Sql("{{c}} IS NULL"), c=render.column(f"c{column.id}", "pending"))


def _insert(cursor: duckdb.DuckDBPyConnection, table: Table, state: Sql) -> None:
    columns = table.stored_columns
    cursor.execute(
        render.fill(
            Sql("INSERT INTO {{table}} ({{columns}}) SELECT {{values}} FROM ({{state}}) AS state"),
            table=render.table(table.name),
            columns=[render.identifier(c.name) for c in columns],
            values=[decode(render.column(f"c{c.id}"), c.type) for c in columns],
            state=state,
        )
    )


# DuckDB keeps a view whose table was dropped, but does not create it again. A plan leaves such an object out, and notes
# it as unmade. On DuckDB 2.0 an error ends the transaction, so Epoch asks what a view misses before it creates it. That
# works for views in schema main. For other views, whose names mean something else, and for macros, only the attempt to
# create them shows it, and the next attempt leaves them out.

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
    named, other = render.relative(made.name), render.table(trial)
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
