"""Reads all versioned definitions from the catalog of a DuckDB database.

It takes one catalog query, whatever the number of tables. It writes nothing, so it works in any transaction, and sees
what that transaction changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.model.names import path_parts, path_text, schema_name
from epoch_sql.model.schema import Column, Constraint, DatabaseSchema, Index, ObjectName, SchemaObject, Table
from epoch_sql.model.sql_text import canonical, list_after, tokens, top_level
from epoch_sql.render import Sql
from epoch_sql.worktree.ddl import NESTED_SCHEMAS, TRIGGERS, read_trigger
from epoch_sql.worktree.macros import read_macros

Rows = list[tuple[Any, ...]]
KINDS = ("schema", "type", "sequence", "macro", "view")
OWN_SCHEMA = "epoch"
_OF_ROWS = ("tables", "columns")
_OF_TABLES = (*_OF_ROWS, "constraints", "indexes", *(["triggers"] if TRIGGERS else []))
_OF_OBJECTS = ("types", "sequences", "macros", "views")
_WITH_SCHEMA = ("names", "tables", "triggers", "types", "sequences", "views", "unversioned")
_PARENT = Sql("parent_schema_oid" if NESTED_SCHEMAS else "NULL")


def read_schema(
    cursor: duckdb.DuckDBPyConnection,
    declared_keys: Mapping[ObjectName, tuple[str, ...]],
    ignored: Callable[[ObjectName], bool],
    own_macros: frozenset[str],
    macros: bool = True,
) -> DatabaseSchema:
    """The definitions of the cursor's current database, as its transaction sees them; without ``macros``, all but
    these, in a third of the time: DuckDB lists its own thousands of functions with them.

    ``declared_keys`` are the columns given to ``epoch_key``, by table. ``ignored`` says which names are not versioned.
    ``own_macros`` are Epoch's macros in schema main. Columns have no ids yet. Tables and objects are sorted by name, so
    that equal databases give equal results. ``ordering.definition_order`` gives the order of creation. Raises
    EpochTableError for a macro whose signature DuckDB does not show.
    """
    found = _read_all(cursor, (*_OF_TABLES, *(kind for kind in _OF_OBJECTS if macros or kind != "macros")))
    objects = [made for made in _objects(cursor, found, own_macros) if not ignored(made.name)]
    objects.sort(key=lambda made: (KINDS.index(made.kind), made.name))
    tables = tuple(table for table in _tables(found, declared_keys) if not ignored(table.name))
    return DatabaseSchema(tables, tuple(objects))


def read_columns(cursor: duckdb.DuckDBPyConnection, ignored: Callable[[ObjectName], bool]) -> tuple[Table, ...]:
    """The tables of ``read_schema`` without constraints, keys and indexes: enough to read their rows."""
    found: dict[str, Rows] = {"constraints": [], "indexes": [], **_read_all(cursor, _OF_ROWS)}
    return tuple(table for table in _tables(found, {}) if not ignored(table.name))


def read_table_names(cursor: duckdb.DuckDBPyConnection) -> list[ObjectName]:
    """The names of the user's tables, in order."""
    return sorted(ObjectName(*row) for row in _read_all(cursor, ("names",))["names"])


def read_schema_paths(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """The paths of all schemas, including Epoch's own."""
    return [path for (path,) in _read_all(cursor, ())["schemas"]]


def definitions_seen(database: str) -> Sql:
    """The query for the number of definitions in a database, and a hash of them all."""
    catalog = render.literal(database)
    triggers = (
        render.render("introspect.trigger_definitions", catalog=catalog)
        if TRIGGERS
        else render.no_rows([("definition", Sql("VARCHAR"))])
    )
    users = render.load("introspect.outside_of_epoch") if NESTED_SCHEMAS else Sql("schema_name <> 'epoch'")
    return render.render("introspect.definitions", catalog=catalog, users=users, triggers=triggers)


def read_unversioned(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, ObjectName, str]]:
    """The traits of tables and sequences that are not versioned: kind, name, trait."""
    rows = _read_all(cursor, ("unversioned",))["unversioned"]
    return sorted((kind, ObjectName(schema, name), trait) for schema, kind, name, trait in rows)


def _tables(found: Mapping[str, Rows], declared_keys: Mapping[ObjectName, tuple[str, ...]]) -> Iterator[Table]:
    columns = _by_table(found["columns"])
    constraints = _by_table(found["constraints"])
    indexes = _by_table(found["indexes"])
    triggers = defaultdict(list)
    for schema, table, sql in found.get("triggers", ()):
        triggers[schema, table].append(read_trigger(sql))
    for schema, name, oid, comment, sql in sorted(found["tables"]):
        own_columns = _columns(sorted(columns[oid]), sql)
        positions = {column.name: position for position, column in enumerate(own_columns)}
        yield Table(
            ObjectName(schema, name),
            own_columns,
            tuple(sorted((_constraint(positions, *row) for row in constraints[oid]), key=_constraint_order)),
            tuple(sorted((_index(*row) for row in indexes[oid]), key=lambda index: index.name)),
            comment,
            declared_keys.get(ObjectName(schema, name), ()),
            tuple(sorted(triggers[schema, name], key=lambda trigger: trigger.name)),
        )


def _columns(rows: Rows, sql: str | None) -> tuple[Column, ...]:
    traits = _traits(sql, len(rows)) if sql else {}
    columns = []
    for position, (_, name, kind, nullable, default, comment) in enumerate(rows):
        generated, collation = traits.get(position, (False, None))
        expression = default and canonical(default)
        columns.append(
            Column(
                name,
                kind,
                nullable=nullable,
                # DEFAULT NULL means no default. ALTER … SET DEFAULT NULL leaves it behind.
                default=None if generated or expression == "NULL" else expression,
                generated=_without_cast(expression) if generated else None,
                collation=collation,
                comment=comment,
            )
        )
    return tuple(columns)


def generated_columns(sql: str, count: int) -> set[int]:
    """The positions of the generated columns among the first ``count`` of a CREATE TABLE."""
    return {position for position, (generated, _) in _traits(sql, count).items() if generated}


@lru_cache(maxsize=4096)
def _traits(sql: str, count: int) -> dict[int, tuple[bool, str | None]]:
    """Which of the first ``count`` columns of a CREATE TABLE are generated, and their collations, by position.

    The catalog functions of DuckDB 1.4 and 1.5 show neither, and those of 2.0 show no collation.
    """
    traits = {}
    for position, element in enumerate(list_after(sql)[:count]):
        # The first token is the column's name, even if it is a keyword.
        words = list(top_level(element))[1:]
        generated = any(word.is_word("GENERATED") for word in words)
        start = next((n for n, word in enumerate(words) if word.is_word("COLLATE")), None)
        if generated or start is not None:
            traits[position] = (generated, None if start is None else _collation(element, words[start + 1 :]))
    return traits


def _collation(element: str, words: Sequence[Any]) -> str:
    """The dotted name that ``words`` begin with, such as ``nocase.noaccent``."""
    end = words[0].end
    for dot, part in zip(words[1::2], words[2::2], strict=False):
        if dot.text != ".":
            break
        end = part.end
    return element[words[0].start : end]


def _without_cast(expression: str) -> str:
    """The expression of a generated column, without the cast to its type that DuckDB adds."""
    found = list(tokens(expression))
    if len(found) < 4 or not found[0].is_word("CAST") or found[1].text != "(":
        return expression
    inside = list(top_level(expression, found[1].end))
    last = max((word.start for word in inside if word.is_word("AS")), default=None)
    closed = list(top_level(expression))[-1].start == found[0].start
    return expression[found[1].end : last].strip() if last and closed else expression


def _constraint(
    positions: Mapping[str, int],
    kind: str,
    columns: list[str],
    expression: str | None,
    referenced: str | None,
    referenced_columns: list[str],
) -> Constraint:
    if kind == "CHECK":
        columns = sorted(set(columns), key=lambda name: positions[name])
    condition = expression and canonical(expression)
    return Constraint(kind, tuple(columns), condition, referenced or None, tuple(referenced_columns))


def _constraint_order(constraint: Constraint) -> tuple[int, tuple[str, ...], str, str]:
    kinds = ("PRIMARY KEY", "UNIQUE", "CHECK", "FOREIGN KEY")
    return (
        kinds.index(constraint.kind),
        constraint.columns,
        constraint.expression or "",
        constraint.referenced or "",
    )


def _index(name: str, unique: bool, comment: str | None, sql: str) -> Index:
    expressions = tuple(canonical(expression) for expression in list_after(sql))
    words = list(top_level(sql))
    using = next((position for position, word in enumerate(words) if word.is_word("USING")), None)
    options = next((sql[word.start :].rstrip("; ") for word in words if word.is_word("WITH")), None)
    return Index(name, unique, expressions, comment, words[using + 1].name if using else None, options)


def _objects(
    cursor: duckdb.DuckDBPyConnection, found: Mapping[str, Rows], own_macros: frozenset[str]
) -> Iterator[SchemaObject]:
    for path in (path_parts(path) for (path,) in found["schemas"]):
        if path not in (("main",), (OWN_SCHEMA,)):
            name = schema_name(path)
            create = render.fill("CREATE SCHEMA {{schema}}", schema=render.relative(name))
            yield SchemaObject("schema", name, create)
    columns = _by_table(found["columns"])
    yield from _types(cursor, found["types"])
    for schema, name, comment, *options, sql in found["sequences"]:
        yield _sequence(ObjectName(schema, name), comment, options, sql)
    yield from read_macros(cursor, found.get("macros", ()), own_macros)
    for schema, name, oid, comment, sql in found["views"]:
        comments = tuple(sorted((column, text) for _, column, *_, text in columns[oid] if text is not None))
        definition = _view(ObjectName(schema, name), sql)
        yield SchemaObject("view", ObjectName(schema, name), definition, comment, part_comments=comments)


def _types(cursor: duckdb.DuckDBPyConnection, rows: Rows) -> Iterator[SchemaObject]:
    if not rows:
        return
    names = [ObjectName(schema, name) for schema, name, _ in rows]
    spelled = [render.fill("typeof(NULL::{{name}})", name=render.table(name)) for name in names]
    meanings = _row(cursor, render.fill("SELECT {{types}}", types=spelled))
    for name, (*_, comment), meaning in zip(names, rows, meanings, strict=True):
        definition = render.fill(
            "CREATE TYPE {{name}} AS {{meaning}}", name=render.relative(name), meaning=render.verbatim(meaning)
        )
        yield SchemaObject("type", name, definition, comment)


def _sequence(name: ObjectName, comment: str | None, options: Sequence[Any], sql: str) -> SchemaObject:
    """A sequence. DuckDB prints its next value as START and forgets the first one, so the next value is its state."""
    increment, lowest, highest, cycle = options
    definition = render.fill(
        "CREATE SEQUENCE {{name}} INCREMENT BY {{increment}} MINVALUE {{lowest}} MAXVALUE {{highest}} {{cycle}}",
        name=render.relative(name),
        increment=render.literal(increment),
        lowest=render.literal(lowest),
        highest=render.literal(highest),
        cycle=render.verbatim("CYCLE" if cycle else "NO CYCLE"),
    )
    upcoming = sql.rpartition(" START ")[2].split()[0]
    return SchemaObject("sequence", name, definition, comment, state=upcoming)


def _view(name: ObjectName, sql: str) -> str:
    """The CREATE VIEW that DuckDB prints, with the view's name qualified."""
    found = tokens(sql)
    next(token for token in found if token.is_word("VIEW"))
    end = next(found).end
    while next(found).text == ".":
        end = next(found).end
    body = canonical(sql[end:]).removesuffix(";")
    return render.fill("CREATE VIEW {{name}} {{body}}", name=render.relative(name), body=render.verbatim(body))


def _by_table(rows: Iterable[tuple[Any, ...]]) -> defaultdict[int, Rows]:
    grouped: defaultdict[int, Rows] = defaultdict(list)
    for oid, *rest in rows:
        grouped[oid].append(tuple(rest))
    return grouped


def _read_all(cursor: duckdb.DuckDBPyConnection, kinds: Sequence[str]) -> dict[str, Rows]:
    """The rows of ``sql/introspect.sql`` for each kind, with the paths of their schemas, and those of all
    schemas.

    Only an outermost schema ``epoch`` is Epoch's own.
    """
    found = _rows_of(cursor, kinds, Sql("schema_name <> 'epoch'"), Sql("NULL"))
    paths = _schema_paths(found["schemas"])
    nested = [path for path in paths.values() if len(path) > 1]
    if any(path[-1] == OWN_SCHEMA for path in nested) or (nested and "macros" in kinds):
        found = _rows_of(cursor, kinds, Sql("true"), render.load("introspect.nested_schema_of_macro"))
    spelled = {oid: path_text(path) for oid, path in paths.items()}
    own = {oid for oid, path in paths.items() if path == (OWN_SCHEMA,)}
    for kind in kinds:
        if kind == "macros":
            rows = ((spelled.get(nested) or path_text([schema]), *row) for schema, nested, *row in found[kind])
            found[kind] = [row for row in rows if row[0] != OWN_SCHEMA]
        elif kind in _WITH_SCHEMA:
            found[kind] = [(spelled[oid], *row) for oid, *row in found[kind] if oid not in own]
    return {**found, "schemas": [(path,) for path in spelled.values()]}


def _rows_of(cursor: duckdb.DuckDBPyConnection, kinds: Sequence[str], users: Sql, nested: Sql) -> dict[str, Rows]:
    """The rows for each kind, in any order, by one statement whose parts DuckDB runs in parallel. Listing macros takes
    longer than everything else together.

    ``users`` is the condition that an object does not belong to Epoch. ``nested`` gives the schema of a macro in a
    nested schema. duckdb_functions() does not distinguish schemas of one name, but a macro depends on its nested
    schema, and on no other.
    """
    part = "SELECT list(found) AS {{kind}} FROM ({{rows}}) AS found"
    wanted = ("schemas", *kinds)
    parts = [
        render.fill(
            part,
            kind=render.identifier(kind),
            rows=render.render(f"introspect.{kind}", users=users, parent=_PARENT, nested=nested),
        )
        for kind in wanted
    ]
    answers = cursor.execute(render.joined(parts, "\nUNION ALL BY NAME\n")).fetchall()
    lists = zip(*answers, strict=True)
    return {
        kind: [tuple(row.values()) for rows in found if rows for row in rows]
        for kind, found in zip(wanted, lists, strict=True)
    }


def _schema_paths(rows: Rows) -> dict[int, tuple[str, ...]]:
    """The path of each schema, by its oid."""
    known = {oid: (name, parent) for oid, name, parent in rows}

    def path(oid: int) -> tuple[str, ...]:
        name, parent = known[oid]
        return (name,) if parent is None else (*path(parent), name)

    return {oid: path(oid) for oid in known}


def _row(cursor: duckdb.DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    row = cursor.execute(statement).fetchone()
    assert row is not None
    return row
