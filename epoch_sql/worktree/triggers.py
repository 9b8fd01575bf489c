"""Triggers: reads them from the catalog, and creates and drops them.

What DuckDB 2.0.1 does, found by experiment:

- A name is unique among the triggers of one table. DROP TRIGGER needs the table; there is no ALTER TRIGGER, and no
  COMMENT ON TRIGGER. Views and temporary tables have none, and one event of a table has triggers for statements or for
  rows, not both.
- BEFORE and AFTER; INSERT, UPDATE [OF columns] and DELETE, one of them; no WHEN. REFERENCING names the old or the new
  rows of a statement; FOR EACH ROW has OLD and NEW. The body is one INSERT, UPDATE, DELETE or MERGE.
- It depends on its table and on everything that its body names, also through views. None of these can be dropped,
  renamed or altered, except by ADD COLUMN and defaults. If the trigger is dropped before and created again after, in
  one transaction, it blocks nothing, and the log of that transaction can be replayed.
- Triggers that lead back to their own table are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from epoch_sql import render
from epoch_sql.model.canonical import canonical
from epoch_sql.model.commit import TableEntry
from epoch_sql.model.names import ObjectName, parse_name
from epoch_sql.model.schema import SchemaObject, Table, Trigger
from epoch_sql.model.sql_text import Token, mentioned_anywhere, tokens
from epoch_sql.render import Sql

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
    definition = _created(trigger, render.to_sql(render.relative(table)))
    return SchemaObject("trigger", ObjectName(table.as_schema, trigger.name), definition)


def trigger_objects(tables: Iterable[Table]) -> list[SchemaObject]:
    """The triggers of tables as objects of their own."""
    return [trigger_object(table.name, trigger) for table in tables for trigger in table.triggers]


def create_trigger(found: SchemaObject) -> Sql:
    """The CREATE TRIGGER of a trigger."""
    return _created(read_trigger(found.definition), render.to_sql(render.table(table_of(found))))


def drop_trigger(found: SchemaObject) -> Sql:
    """The DROP TRIGGER of a trigger."""
    return render.fill(
        "DROP TRIGGER {{name}} ON {{table}}",
        name=render.identifier(found.name.name),
        table=render.table(table_of(found)),
    )


def table_of(found: SchemaObject) -> ObjectName:
    """The name of a trigger's table."""
    return parse_name(found.name.schema)


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
