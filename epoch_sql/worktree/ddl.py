"""The DDL that creates and drops the definitions of the model. ``alter`` and ``ordering`` have the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import duckdb

from epoch_sql import render
from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.model.sql_text import split_statements, tokens, top_level
from epoch_sql.render import Sql
from epoch_sql.worktree.alter import alter_table
from epoch_sql.worktree.capabilities import NESTED_SCHEMAS, TRIGGERS
from epoch_sql.worktree.clauses import (
    column_clause,
    comment_on,
    comment_on_column,
    comment_on_index,
    constraint_clause,
    create_index,
    drop_index,
)
from epoch_sql.worktree.ordering import creation_order, definition_order, object_order
from epoch_sql.worktree.triggers import (
    create_trigger,
    dependent_triggers,
    drop_trigger,
    trigger_object,
    trigger_objects,
)

__all__ = [
    "alter_table",
    "create_index",
    "create_object",
    "create_table",
    "creation_order",
    "definition_order",
    "dependent_triggers",
    "drop_index",
    "drop_object",
    "drop_table",
    "lacking",
    "object_order",
    "trigger_object",
    "trigger_objects",
]

_BOUNDS = re.compile(r"MINVALUE (-?\d+) MAXVALUE (-?\d+) (?:NO )?CYCLE$")


def lacking(definition: Table | SchemaObject) -> str | None:
    """The reason why the installed DuckDB cannot have a definition that newer ones can. None if it can."""
    path = definition.name.schema_path
    if isinstance(definition, SchemaObject) and definition.kind == "trigger":
        return None if TRIGGERS else f"DuckDB {duckdb.__version__} has no triggers, DuckDB 2.0 has"
    if isinstance(definition, SchemaObject) and definition.kind == "schema":
        path = (*path, definition.name.name)
    if len(path) > 1 and not NESTED_SCHEMAS:
        return f"DuckDB {duckdb.__version__} has no schemas within schemas, DuckDB 2.0 has"
    return None


def create_table(table: Table) -> list[Sql]:
    """CREATE TABLE with its constraints, then its indexes and comments. Triggers come after its rows."""
    unset = set(table.key_names if any(c.kind == "PRIMARY KEY" for c in table.constraints) else ())
    parts = [column_clause(c, not c.nullable and c.name not in unset) for c in table.columns]
    parts += [constraint_clause(constraint, table.name.schema) for constraint in table.constraints]
    statements = [
        render.fill("CREATE TABLE {{table}} ({{parts}})", table=render.table(table.name), parts=parts),
        *(create_index(table, index) for index in table.indexes),
    ]
    if table.comment is not None:
        statements.append(comment_on("TABLE", render.table(table.name), table.comment))
    statements += [comment_on_column(table.name, c.name, c.comment) for c in table.columns if c.comment is not None]
    return statements + [comment_on_index(table, index) for index in table.indexes if index.comment is not None]


def drop_table(name: ObjectName) -> Sql:
    """The DROP TABLE. DuckDB refuses it while another table refers to this one."""
    return render.fill("DROP TABLE {{table}}", table=render.table(name))


def create_object(found: SchemaObject) -> list[Sql]:
    """The statements that create an object with its comments. A sequence continues with its next value."""
    if found.kind == "trigger":
        return [create_trigger(found)]
    here, anywhere = (render.to_sql(name(found.name)) for name in (render.table, render.relative))
    statements = [
        render.verbatim(statement.replace(anywhere, here, 1)) for statement in split_statements(found.definition)
    ]
    definition = ";\n".join(statements)
    comments = list(_comments(found, statements))
    if found.kind == "sequence" and found.state is not None:
        statements = _sequence_from(found, definition, int(found.state))
    return statements + comments


def drop_object(found: SchemaObject) -> Sql:
    """The statements that drop an object. A macro may need two. DuckDB refuses while tables depend on it."""
    if found.kind == "trigger":
        return drop_trigger(found)
    # DuckDB 2.0 reads "shop"."a" as a schema within another one, if the database shop has a schema shop.
    outermost = found.kind == "schema" and not found.name.schema
    name = render.identifier(found.name.name) if outermost else render.table(found.name)
    drops = [
        render.fill("DROP {{kind}} {{name}}", kind=render.verbatim(_catalog_kind(found.kind, statement)), name=name)
        for statement in split_statements(found.definition)
    ]
    return render.joined(drops, "; ")


def _comments(found: SchemaObject, statements: Sequence[str]) -> Iterator[Sql]:
    """The COMMENT ON statements of an object and its parts: its columns, or the table macro beside a scalar macro."""
    comments = [found.comment, *[None] * (len(statements) - 1)]
    if found.kind == "macro" and len(statements) > 1:
        comments[1] = dict(found.part_comments).get("TABLE")
    for statement, comment in zip(statements, comments, strict=True):
        if comment is not None:
            yield comment_on(_catalog_kind(found.kind, statement), render.table(found.name), comment)
    if found.kind == "view":
        yield from (comment_on_column(found.name, column, comment) for column, comment in found.part_comments)


def _catalog_kind(kind: str, statement: str) -> str:
    """The kind of an object in DROP and COMMENT ON: a table macro is a MACRO TABLE."""
    if kind != "macro":
        return kind.upper()
    body = next(word.end for word in top_level(statement) if word.is_word("AS"))
    return "MACRO TABLE" if next(tokens(statement, body)).is_word("TABLE") else "MACRO"


def _sequence_from(sequence: SchemaObject, definition: str, upcoming: int) -> list[Sql]:
    """A sequence whose next value is ``upcoming``. An exhausted sequence is created at its bound and used once."""
    bounds = _BOUNDS.search(sequence.definition)
    if bounds is None:
        raise ValueError(f"no sequence definition: {sequence.definition}")
    start = min(max(upcoming, int(bounds[1])), int(bounds[2]))
    create = render.fill(
        "{{definition}} START WITH {{start}}",
        definition=render.verbatim(definition),
        start=render.literal(start),
    )
    if start == upcoming:
        return [create]
    spelled = render.literal(render.to_sql(render.table(sequence.name)))
    return [create, render.fill("SELECT nextval({{sequence}})", sequence=spelled)]
