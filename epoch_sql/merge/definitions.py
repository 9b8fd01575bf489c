"""Finds definitions of a merged tree that DuckDB cannot create, such as a view over a column that the other side
dropped.

DuckDB itself decides: the suspects are created in an empty database, which takes a few statements, whatever the size of
the tables. If a definition cannot be created on its own side either, the merge is not at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.merge.merged import MergedTree
from epoch_sql.model.commit import Tree
from epoch_sql.model.names import path_parts, schema_name
from epoch_sql.model.schema import Column, Constraint, ObjectName, SchemaObject, Table, expressions
from epoch_sql.model.sql_text import mentioned, mentioned_anywhere
from epoch_sql.plan.planner import Create, Limits, TableChange, make_plan, statements
from epoch_sql.proof.engine import shut_in
from epoch_sql.storage.contents import Contents

Definition = Table | SchemaObject
Name = tuple[str, str, str]
"""Identifies a definition: its kind (the same for tables and views), schema and name, in lower case."""

_ANEW = Limits(rows_follow=lambda before, after: False)


@dataclass(frozen=True)
class Impossible:
    """A definition that cannot be created: its kind, the reason, and the names that it misses."""

    name: str
    kind: str
    detail: str
    misses: tuple[str, ...]


@dataclass(frozen=True)
class _State:
    """The definitions of one tree, and the names of its tables by their identities."""

    definitions: Mapping[Name, Definition]
    tables: Mapping[str, Table]

    def like(self, definition: Definition) -> Definition | None:
        """The definition that has the same name."""
        return self.definitions.get(_name(definition))


def impossible(call: Call, merged: MergedTree) -> list[Impossible]:
    """The definitions of a merged tree that cannot be created, although their own sides could create them."""
    tables = {entry.table_id: entry.table for entry in merged.tables}
    result = _state(tables, merged.objects)
    sides = [_side(call.contents, tree) for tree in (merged.ours, merged.theirs)]
    suspects = _suspects(result, sides)
    if not suspects:
        return []
    refused = _refused(call, result, suspects)
    found = []
    for name in refused:
        definition = result.definitions[name]
        origins = _origins(definition, sides)
        if any(_refused(call, side, [name]) for side in origins):
            continue
        detail, misses = _explained(definition, origins[0], result, refused)
        kind, called = _kind_and_name(definition)
        found.append(Impossible(called, kind, detail or refused[name], misses))
    return found


def _side(contents: Contents, tree: Tree) -> _State:
    contents.load(entry.version_id for entry in tree.tables.values())
    return _state({i: contents.table(entry.version_id) for i, entry in tree.tables.items()}, tree.objects)


def _state(tables: Mapping[str, Table], objects: Sequence[SchemaObject]) -> _State:
    found: list[Definition] = [*tables.values(), *objects]
    return _State({_name(definition): definition for definition in found}, tables)


def _name(definition: Definition) -> Name:
    kind = "relation" if isinstance(definition, Table) or definition.kind == "view" else definition.kind
    return kind, *definition.name.folded


def _suspects(result: _State, sides: Sequence[_State]) -> list[Name]:
    """Definitions that name something that differs between the merged tree and the sides that they come from."""
    changed = [_changed(side, result) for side in sides]
    if not any(changed):
        return []
    mentions = {n: _mentions(d) for n, d in result.definitions.items() if _depends(d)}
    since = {name: _since(result.definitions[name], sides, changed) for name in mentions}
    found: dict[Name, None] = {}
    while True:
        spread = {name[2] for name in found}
        more = [
            name
            for name, words in mentions.items()
            if name not in found and all(words & (new | spread) for new in since[name])
        ]
        if not more:
            return list(found)
        found.update(dict.fromkeys(more))


def _depends(definition: Definition) -> bool:
    return isinstance(definition, Table) or definition.kind in ("view", "macro", "type")


def _since(definition: Definition, sides: Sequence[_State], changed: Sequence[set[str]]) -> list[set[str]]:
    """The changed names, seen from the sides that have the definition as it is merged. If no side has it, it is new
    itself."""
    own = [new for side, new in zip(sides, changed, strict=True) if side.like(definition) == definition]
    return own or [set().union(*changed, mentioned(expressions(definition)), _trigger_words(definition))]


def _changed(side: _State, result: _State) -> set[str]:
    """The names that others can depend on and that differ between the merged tree and a side."""
    both = side.definitions.keys() | result.definitions.keys()
    states = (side.definitions, result.definitions)
    return {name[2] for name in both if len({_interface(state.get(name)) for state in states}) > 1}


def _interface(definition: Definition | None) -> object:
    """The part of a definition that others can depend on: for a table its columns, its keys, and its triggers, which
    may form a cycle."""
    if not isinstance(definition, Table):
        return definition
    keys = frozenset(c for c in definition.constraints if c.kind in ("PRIMARY KEY", "UNIQUE"))
    return tuple((c.name.lower(), c.type) for c in definition.columns), keys, definition.triggers


def _mentions(definition: Definition) -> set[str]:
    """The names in a definition's expressions, also within strings as in ``nextval('q')``, and of parents and types."""
    found = mentioned_anywhere(expressions(definition))
    if isinstance(definition, Table):
        found |= {(key.referenced or "").lower() for key in definition.foreign_keys}
        found |= {word for column in definition.columns for word in mentioned(column.type)}
    return found | _trigger_words(definition)


def _trigger_words(definition: Definition) -> set[str]:
    triggers = definition.triggers if isinstance(definition, Table) else ()
    return {word for trigger in triggers for word in mentioned_anywhere(trigger.body)}


def _origins(definition: Definition, sides: Sequence[_State]) -> list[_State]:
    """The sides that have the same definition. If it was merged, the sides that have one of its name."""
    same = [side for side in sides if side.like(definition) == definition]
    return same or [side for side in sides if side.like(definition) is not None] or list(sides)


def _refused(call: Call, state: _State, wanted: Sequence[Name]) -> dict[Name, str]:
    """The wanted definitions that DuckDB refuses, with the first line of its reason."""
    needed = _with_dependencies(state, wanted)
    tables = [_with_parents(state, d) for d in needed if isinstance(d, Table)]
    objects = [d for d in needed if isinstance(d, SchemaObject)]
    changes = [TableChange(str(table.name), None, table) for table in tables]
    plan = make_plan(changes, (), objects, _ANEW)
    with_triggers = {table.name.as_schema: _name(table) for table in tables}
    refused: dict[Name, str] = {}
    with shut_in() as scratch:
        database = render.identifier(call.catalog)
        scratch.execute(render.fill("ATTACH ':memory:' AS {{database}}", database=database))
        scratch.execute(render.fill("USE {{database}}", database=database))
        for step in (*plan.definitions, *plan.triggers):
            assert isinstance(step, Create)
            of_trigger = isinstance(step.what, SchemaObject) and step.what.kind == "trigger"
            name = with_triggers[step.what.name.schema] if of_trigger else _name(step.what)
            try:
                for statement in _creation(step):
                    scratch.execute(statement)
            except duckdb.Error as error:
                refused.setdefault(name, str(error).splitlines()[0])
    return {name: refused[name] for name in wanted if name in refused}


def _creation(step: Create) -> Iterator[str]:
    definition = step.what
    kind = definition.kind if isinstance(definition, SchemaObject) else "table"
    if kind == "trigger":
        yield from statements(step)
        return
    is_schema = kind == "schema"
    path = path_parts(definition.name.as_schema) if is_schema else definition.name.schema_path
    for depth in range(len(path)):
        schema = render.table(schema_name(path[: depth + 1]))
        yield render.fill("CREATE SCHEMA IF NOT EXISTS {{schema}}", schema=schema)
    if not is_schema:
        yield from statements(step)


def _with_parents(state: _State, table: Table) -> Table:
    """A table without the foreign keys whose parents are missing, which are violations of their own."""
    kept = []
    for constraint in table.constraints:
        name = ("relation", table.name.schema.lower(), (constraint.referenced or "").lower())
        parent = state.definitions.get(name)
        found = parent if isinstance(parent, Table) else None
        if constraint.kind != "FOREIGN KEY" or missing_of_parent(table, constraint, found) is None:
            kept.append(constraint)
    return replace(table, constraints=tuple(kept))


def missing_of_parent(table: Table, key: Constraint, parent: Table | None) -> str | None:
    """The missing target of a foreign key."""
    if parent is None:
        return f"table {ObjectName(table.name.schema, key.referenced or '')}"
    names = {column.name.lower() for column in parent.columns}
    missing = [name for name in key.referenced_columns if name.lower() not in names]
    return f"column {', '.join(missing)} of table {parent.name}" if missing else None


def _with_dependencies(state: _State, wanted: Sequence[Name]) -> list[Definition]:
    """The wanted definitions of a state, and everything that they may depend on."""
    by_word: dict[str, list[Name]] = {}
    for name in state.definitions:
        by_word.setdefault(name[2], []).append(name)
    found: dict[Name, None] = {}
    pending = [name for name in wanted if name in state.definitions]
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = None
            words = _mentions(state.definitions[name])
            pending += [other for word in words for other in by_word.get(word, ())]
    return [state.definitions[name] for name in found]


def _explained(
    definition: Definition, side: _State, result: _State, refused: Mapping[Name, str]
) -> tuple[str, tuple[str, ...]]:
    """What a definition misses from its own side, in words and by name."""
    words = _mentions(definition)
    reasons, misses = [], []
    for name, was in side.definitions.items():
        reason = _missing(was, side, result, words) if name[2] in words and name != _name(definition) else None
        if reason is None and name in refused and name[2] in words and name != _name(definition):
            reason = f"{_called(was)}, which it refers to, cannot be made"
        if reason:
            reasons.append(reason)
            misses.append(_kind_and_name(was)[1])
    return "; ".join(reasons), tuple(misses)


def _missing(was: Definition, side: _State, result: _State, words: set[str]) -> str | None:
    """The missing parts of one definition that another one mentions."""
    now = result.like(was)
    if isinstance(was, Table):
        identity = next(i for i, table in side.tables.items() if table is was)
        moved = result.tables.get(identity)
        if now is None and moved:
            return f"table {was.name}, which it refers to, is called {moved.name}"
        if isinstance(now, Table):
            return _missing_columns(was, moved or now, words)
    return None if now is not None else f"{_called(was)}, which it refers to, does not exist"


def _missing_columns(was: Table, now: Table, words: set[str]) -> str | None:
    kept = {column.name.lower() for column in now.columns}
    missing = [column for column in was.columns if column.name.lower() in words - kept]
    called = f"of table {was.name}, which it refers to,"
    reasons = [f"column {column.name} {called} {_now(now.column_by_id(column.id))}" for column in missing]
    return "; ".join(reasons) or None


def _now(now: Column | None) -> str:
    return f"is called {now.name}" if now else "does not exist"


def _called(definition: Definition) -> str:
    return " ".join(_kind_and_name(definition))


def _kind_and_name(definition: Definition) -> tuple[str, str]:
    if isinstance(definition, Table):
        return "table", str(definition.name)
    return definition.kind, definition.label
