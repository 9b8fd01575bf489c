"""The pages of data: a table or a query at any reference, and the history of one row."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochError
from epoch_sql.extension.failing import as_epoch_error
from epoch_sql.library import Repository
from epoch_sql.model.names import parse_name
from epoch_sql.render import Sql
from epoch_sql.web.comparing import LONGEST, ROWS, beginning, is_number
from epoch_sql.web.environments import order
from epoch_sql.web.page import Page, Query

SECONDS = 20.0
"""For how long a query may run."""


@dataclass(frozen=True)
class Result:
    """A page of the rows of a query."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]
    milliseconds: float


def data(repository: Repository, query: Query) -> Page:
    """The tables of a reference, and the rows of one of them or of a query."""
    environments = order(repository)
    branches = [branch.name for branch in repository.branches()]
    ref = query.get("ref") or (environments[-1] if environments else branches[0])
    tables = repository.tables(ref)
    table, sql = query.get("table") or None, query.get("sql", "").strip()
    known = next((found for found in tables if found.table == table), None)
    text = sql or (render.fill("SELECT * FROM {{t}}", t=render.relative(parse_name(known.table))) if known else "")
    begin = first_row(query)
    result, problem = None, None
    if text:
        try:
            result = page_of(repository, ref, text, begin)
        except EpochError as error:
            problem = error.message
    values = {
        "ref": ref,
        "refs": [*branches, *(tag.name for tag in repository.tags())],
        "tables": tables,
        "table": known,
        "sql": sql,
        "text": text,
        "result": result,
        "problem": problem,
        "first": begin + 1,
        "rows_of_page": ROWS,
        "keys": _keys(known.key_columns, result) if known and result and not sql else None,
    }
    return Page("data.html", values)


def row(repository: Repository, query: Query) -> Page:
    """A page of the commits that changed a row, newest first, and the commit that set each of its cells."""
    table, key, ref = query["table"], query["key"], query.get("ref") or "HEAD"
    begin = first_row(query)
    call = render.fill(
        "epoch_history({{table}}, key := {{key}}, ref := {{ref}})",
        table=render.literal(table),
        key=render.literal(key),
        ref=render.literal(ref),
    )
    with repository.connection.cursor() as cursor:
        # One more than a page has: what the last one changed, and whether there is a next page.
        found = _run(
            cursor,
            render.fill(
                "FROM {{call}} LIMIT {{rows}} OFFSET {{begin}}",
                call=call,
                rows=render.literal(ROWS + 1),
                begin=render.literal(begin),
            ),
        )
    newest = found.rows[0] if found.rows else None
    values = {
        "table": table,
        "key": key,
        "ref": ref,
        "found": found,
        "messages": {row[0]: repository.log(row[0], max_count=1)[0].message for row in found.rows[:ROWS]},
        "cells": repository.blame_cells(table, key, ref=ref) if newest and newest[3] != "removed" else [],
        "first": begin + 1,
        "rows_of_page": ROWS,
    }
    return Page("row.html", values)


def first_row(query: Query) -> int:
    """The number of rows before a page, from its ``at``, which counts from 1."""
    try:
        return max(int(query.get("at") or 1), 1) - 1
    except ValueError:
        return 0


def page_of(repository: Repository, ref: str, sql: str, begin: int) -> Result:
    """A page of what a query reads of a reference. Raises EpochError, also where it takes too long."""
    called = render.fill("epoch_query({{ref}}, {{sql}})", ref=render.literal(ref), sql=render.literal(sql))
    return page_of_call(repository, called, begin)


def page_of_call(repository: Repository, called: Sql, begin: int) -> Result:
    """A page of the rows of a function: numbers, and the beginnings of other values as texts."""
    with repository.connection.cursor() as cursor, _interrupted(cursor):
        described = _run(cursor, render.fill("DESCRIBE FROM {{query}}", query=called))
        columns = [(str(name), str(type_)) for name, type_, *_ in described.rows]
        # A query may give one name to several columns.
        names = [render.identifier(f"c{number}") for number in range(len(columns))]
        shown = [name if is_number(type_) else beginning(name) for name, (_, type_) in zip(names, columns, strict=True)]
        rows = (render.literal(ROWS), render.literal(begin))
        found = _run(
            cursor,
            render.render("web.page_of_query", query=called, names=names, shown=shown, rows=rows[0], begin=rows[1]),
        )
        return Result(columns, found.rows, described.milliseconds + found.milliseconds)


def _run(cursor: duckdb.DuckDBPyConnection, statement: Sql) -> Result:
    started = time.monotonic()
    try:
        found = cursor.execute(statement)
        columns = [(str(column[0]), str(column[1])) for column in found.description]
        return Result(columns, found.fetchall(), (time.monotonic() - started) * 1000)
    except duckdb.InterruptException as error:
        raise EpochError(f"the query took more than {SECONDS:g} seconds", "ask for less") from error
    except duckdb.Error as error:
        raise as_epoch_error(error) from error


@contextmanager
def _interrupted(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Stops what runs on a cursor when the time is over."""
    timer = threading.Timer(SECONDS, cursor.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _keys(key: list[str], result: Result) -> list[str | None] | None:
    """The key of each row, as epoch_history takes it, or None where it is too long; None for rows without a key."""
    names = [name for name, _ in result.columns]
    if not key or not set(key) <= set(names):
        return None
    keys = [{column: row[names.index(column)] for column in key} for row in result.rows]
    return [None if any(len(str(part)) >= LONGEST for part in one.values()) else json.dumps(one) for one in keys]
