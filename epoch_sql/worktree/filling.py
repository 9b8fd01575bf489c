"""Fills a rebuilt table: at once, or parents before children if its rows refer to one another."""

from __future__ import annotations

import duckdb

from epoch_sql import render
from epoch_sql.model.schema import Column, Constraint, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode

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
    cursor.execute(render.render("generation", generation=_GENERATION, pending=_PENDING, ready=ready))
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
