"""The DDL of the model's definitions: clauses of CREATE and ALTER, CREATE and DROP statements, and triggers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import duckdb

from epoch_sql import render
from epoch_sql.model.commit import TableEntry
from epoch_sql.model.names import parse_name
from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, SchemaObject, Table, Trigger
from epoch_sql.model.sql_text import Token, canonical, mentioned_anywhere, split_statements, tokens, top_level
from epoch_sql.render import Sql

_MAJOR = int(duckdb.__version__.split(".")[0])

NESTED_SCHEMAS = _MAJOR >= 2
"""Schemas within schemas."""
TRIGGERS = _MAJOR >= 2
"""CREATE TRIGGER, and ``duckdb_triggers()``."""
COMMENTS_BY_ALIAS = _MAJOR >= 2
"""Whether COMMENT ON COLUMN uses the names of a view's column list, and not those of its query."""
REPLAYS_EXPRESSIONS = _MAJOR >= 2
"""Whether DuckDB can replay a write-ahead log that alters a table whose columns call functions."""


def column_clause(column: Column, not_null: bool) -> Sql:
    """A column in CREATE TABLE. ``not_null`` says whether NOT NULL is part of it."""
    parts = [render.identifier(column.name), render.verbatim(column.type)]
    if column.collation is not None:
        parts.append(render.fill("COLLATE {{name}}", name=render.verbatim(column.collation)))
    if column.generated is not None:
        parts.append(render.fill("GENERATED ALWAYS AS ({{value}})", value=render.verbatim(column.generated)))
    if column.default is not None:
        parts.append(render.fill("DEFAULT ({{value}})", value=render.verbatim(column.default)))
    if not_null:
        parts.append(Sql("NOT NULL"))
    return render.joined(parts, " ")


def constraint_clause(constraint: Constraint, schema: str) -> Sql:
    """A table constraint of a table in ``schema``."""
    if constraint.kind == "CHECK":
        return render.fill("CHECK ({{condition}})", condition=render.verbatim(constraint.expression or ""))
    columns = [render.identifier(name) for name in constraint.columns]
    if constraint.kind != "FOREIGN KEY":
        return render.fill("{{kind}} ({{columns}})", kind=render.verbatim(constraint.kind), columns=columns)
    return render.fill(
        "FOREIGN KEY ({{columns}}) REFERENCES {{referenced}} ({{referenced_columns}})",
        columns=columns,
        referenced=render.relative(ObjectName(schema, constraint.referenced or "")),
        referenced_columns=[render.identifier(name) for name in constraint.referenced_columns],
    )


def create_index(table: Table, index: Index) -> Sql:
    """The CREATE INDEX of an index of the table."""
    return render.fill(
        "CREATE {{unique}}INDEX {{name}} ON {{table}} {{method}}({{expressions}}){{options}}",
        unique=Sql("UNIQUE " if index.unique else ""),
        method=render.fill("USING {{type}} ", type=render.verbatim(index.method)) if index.method else Sql(""),
        options=render.verbatim(f" {index.options}" if index.options else ""),
        name=render.identifier(index.name),
        table=render.table(table.name),
        expressions=[render.verbatim(expression) for expression in index.expressions],
    )


def drop_index(table: Table, index: Index) -> Sql:
    """The DROP INDEX of an index of the table."""
    return render.fill("DROP INDEX {{name}}", name=render.table(ObjectName(table.name.schema, index.name)))


def comment_on(kind: str, name: Sql, comment: str | None) -> Sql:
    """The COMMENT ON an object of a kind such as TABLE or MACRO. None removes the comment."""
    return render.fill(
        "COMMENT ON {{kind}} {{name}} IS {{comment}}",
        kind=render.verbatim(kind),
        name=name,
        comment=render.literal(comment),
    )


def comment_on_column(relation: ObjectName, column: str, comment: str | None) -> Sql:
    """The COMMENT ON COLUMN of a column of a table or view."""
    name = render.fill("{{relation}}.{{column}}", relation=render.table(relation), column=render.identifier(column))
    return comment_on("COLUMN", name, comment)


def comment_on_index(table: Table, index: Index) -> Sql:
    """The COMMENT ON INDEX that gives an index of the table its comment."""
    return comment_on("INDEX", render.table(ObjectName(table.name.schema, index.name)), index.comment)


# What DuckDB 2.0.1 does, found by experiment:
#
# - A name is unique among the triggers of one table. DROP TRIGGER needs the table; there is no ALTER TRIGGER or
#   COMMENT ON TRIGGER. Views and temporary tables have none; an event of a table has triggers for statements or for
#   rows, not both.
# - BEFORE and AFTER; INSERT, UPDATE [OF columns] and DELETE, one of them; no WHEN. REFERENCING names the old or the new
#   rows of a statement; FOR EACH ROW has OLD and NEW. The body is one INSERT, UPDATE, DELETE or MERGE.
# - It depends on its table and on everything that its body names, also through views. None of these can be dropped,
#   renamed or altered, except by ADD COLUMN and defaults. If the trigger is dropped before and created again after, in
#   one transaction, it blocks nothing, and the log of that transaction can be replayed.
# - Triggers that lead back to their own table are refused.

Matches = list[tuple[Table, TableEntry | None, str]]
"""Working tables, each with its table in the tree and its id."""


def read_trigger(sql: str) -> Trigger:
    """The trigger in a CREATE TRIGGER that DuckDB printed."""
    found = tokens(sql)
    next(token for token in found if token.is_word("TRIGGER"))
    name, timing, event, following = _named(next(found)), next(found), next(found), next(found)
    columns: list[str] = []
    while not following.is_word("ON"):
        columns.append(_named(next(found)))
        following = next(found)
    next(found)
    following = next(found)
    while following.text == ".":
        next(found)
        following = next(found)
    rows: dict[str, str] = {}
    if following.is_word("REFERENCING"):
        following = next(found)
        while following.is_word("OLD", "NEW"):
            _table, _as, named = next(found), next(found), next(found)
            rows[following.text.upper()] = _named(named)
            following = next(found)
    _each, unit = next(found), next(found)
    body = canonical(sql[unit.end :]).removesuffix(";")
    kinds = (timing.text.upper(), event.text.upper(), unit.text.upper())
    return Trigger(name, *kinds, body, tuple(columns), rows.get("OLD"), rows.get("NEW"))


def trigger_object(table: ObjectName, trigger: Trigger) -> SchemaObject:
    """A trigger as an object of its own, in its table as other objects are in a schema."""
    definition = _created(trigger, render.relative(table))
    return SchemaObject("trigger", ObjectName(table.as_schema, trigger.name), definition)


def trigger_objects(tables: Iterable[Table]) -> list[SchemaObject]:
    """The triggers of tables as objects of their own."""
    return [trigger_object(table.name, trigger) for table in tables for trigger in table.triggers]


def create_trigger(obj: SchemaObject) -> Sql:
    """The CREATE TRIGGER of a trigger."""
    return _created(read_trigger(obj.definition), render.table(table_of(obj)))


def drop_trigger(obj: SchemaObject) -> Sql:
    """The DROP TRIGGER of a trigger."""
    return render.fill(
        "DROP TRIGGER {{name}} ON {{table}}",
        name=render.identifier(obj.name.name),
        table=render.table(table_of(obj)),
    )


def table_of(obj: SchemaObject) -> ObjectName:
    """The name of a trigger's table."""
    return parse_name(obj.name.schema)


def dependent_triggers(
    tables: Iterable[Table], objects: Sequence[SchemaObject], changed: Iterable[str]
) -> Iterator[SchemaObject]:
    """The triggers that may depend on a changed object (by its name in lower case), also through views and macros."""
    names = set(changed)
    through = {o.name.name.lower(): mentioned_anywhere(o.definition) for o in objects if o.kind in ("view", "macro")}
    while more := {name for name, mentions in through.items() if name not in names and mentions & names}:
        names |= more
    for table in tables:
        own = table.name.name.lower() in names
        for trigger in table.triggers:
            if own or mentioned_anywhere(trigger.body) & names:
                yield trigger_object(table.name, trigger)


def with_unmade_triggers(unmade: Sequence[SchemaObject], matches: Matches) -> tuple[tuple[SchemaObject, ...], Matches]:
    """The unmade objects, and the working tables with those of their triggers that are among them.

    A trigger follows its renamed table, and is dropped with its table.
    """
    triggers = [made for made in unmade if made.kind == "trigger"]
    if not triggers:
        return tuple(unmade), matches
    found, others = [], [made for made in unmade if made.kind != "trigger"]
    for table, entry, table_id in matches:
        names = {table.name, entry.name if entry else table.name}
        own = [read_trigger(made.definition) for made in triggers if table_of(made) in names]
        others += [trigger_object(table.name, trigger) for trigger in own]
        whole = tuple(sorted((*table.triggers, *own), key=lambda trigger: trigger.name))
        found.append((replace(table, triggers=whole), entry, table_id))
    return tuple(others), found


def _created(trigger: Trigger, table: Sql) -> Sql:
    rows = ((kind, name) for kind, name in (("OLD", trigger.old_table), ("NEW", trigger.new_table)) if name is not None)
    referencing = [
        render.fill("{{kind}} TABLE AS {{name}}", kind=Sql(kind), name=render.identifier(name)) for kind, name in rows
    ]
    parts = [
        render.fill("CREATE TRIGGER {{name}}", name=render.identifier(trigger.name)),
        render.verbatim(trigger.timing),
        render.verbatim(trigger.event),
        *([_of(trigger.columns)] if trigger.columns else []),
        render.fill("ON {{table}}", table=table),
        *([render.joined([Sql("REFERENCING"), *referencing], " ")] if referencing else []),
        render.fill("FOR EACH {{unit}}", unit=render.verbatim(trigger.for_each)),
        render.verbatim(trigger.body),
    ]
    return render.joined(parts, " ")


def _of(columns: Sequence[str]) -> Sql:
    return render.fill("OF {{columns}}", columns=[render.identifier(name) for name in columns])


def _named(token: Token) -> str:
    assert token.name is not None
    return token.name


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


def create_object(obj: SchemaObject) -> list[Sql]:
    """The statements that create an object with its comments. A sequence continues with its next value."""
    if obj.kind == "trigger":
        return [create_trigger(obj)]
    here, anywhere = (name(obj.name) for name in (render.table, render.relative))
    statements = [
        render.verbatim(statement.replace(anywhere, here, 1)) for statement in split_statements(obj.definition)
    ]
    definition = ";\n".join(statements)
    comments = list(_comments(obj, statements))
    if obj.kind == "sequence" and obj.state is not None:
        statements = _sequence_from(obj, definition, int(obj.state))
    return statements + comments


def drop_object(obj: SchemaObject) -> Sql:
    """The statements that drop an object. A macro may need two. DuckDB refuses while tables depend on it."""
    if obj.kind == "trigger":
        return drop_trigger(obj)
    # DuckDB 2.0 reads "shop"."a" as a schema within another one, if the database shop has a schema shop.
    outermost = obj.kind == "schema" and not obj.name.schema
    name = render.identifier(obj.name.name) if outermost else render.table(obj.name)
    drops = [
        render.fill("DROP {{kind}} {{name}}", kind=render.verbatim(_catalog_kind(obj.kind, statement)), name=name)
        for statement in split_statements(obj.definition)
    ]
    return render.joined(drops, "; ")


def _comments(obj: SchemaObject, statements: Sequence[str]) -> Iterator[Sql]:
    """The COMMENT ON statements of an object and its parts: its columns, or the table macro beside a scalar macro."""
    comments = [obj.comment, *[None] * (len(statements) - 1)]
    if obj.kind == "macro" and len(statements) > 1:
        comments[1] = dict(obj.part_comments).get("TABLE")
    for statement, comment in zip(statements, comments, strict=True):
        if comment is not None:
            yield comment_on(_catalog_kind(obj.kind, statement), render.table(obj.name), comment)
    if obj.kind == "view":
        yield from (comment_on_column(obj.name, column, comment) for column, comment in obj.part_comments)


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
    spelled = render.literal(render.table(sequence.name))
    return [create, render.fill("SELECT nextval({{sequence}})", sequence=spelled)]
