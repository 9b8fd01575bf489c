"""The key of a row as an argument: JSON with every key column, or the value of a one-column key."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.errors import ColumnNotFound, EpochTableError, Suggestion, did_you_mean
from epoch_sql.model.refnames import suggest
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import encode


def key_condition(cursor: duckdb.DuckDBPyConnection, table: Table, key: str) -> Sql:
    """The condition on ``c<id>`` that a row has the key.

    Raises EpochTableError for a table without a key, for unknown and missing key columns, and for a value that does not
    fit the column's type.
    """
    values = _values(table, key)
    terms = [
        render.fill(
            Sql("{{c}} IS NOT DISTINCT FROM {{v}}"),
            c=render.column(f"c{column.id}"),
            v=encode(_typed(cursor, table, column, values[column.name]), column.type),
        )
        for column in table.key
    ]
    return render.joined(terms, " AND ")


def _values(table: Table, key: str) -> dict[str, Any]:
    """The given value of each key column. Numbers stay as they were written."""
    if not table.key:
        raise EpochTableError(
            f"table {table.name} has no key, so there is no row of key {key}",
            (Suggestion("key", str(table.name), ("COLUMN",)), ", or filter the rows with WHERE"),
            table=str(table.name),
        )
    given = _parsed(key)
    names = {column.name.lower(): column.name for column in table.key}
    alone = table.key[0].name if len(table.key) == 1 else None
    if given is None or (alone and not (given.keys() & names.keys()) and _takes_objects(table.key[0])):
        if alone is None:
            raise EpochTableError(
                f"the key of table {table.name} has {len(names)} columns, but {key} is one value",
                _hint(table),
                table=str(table.name),
            )
        return {alone: key}
    for name in given:
        if name not in names:
            near = suggest(name, list(names.values()))
            message, advice = f"{name} is not a key column of table {table.name}", did_you_mean(near) or _hint(table)
            raise ColumnNotFound(message, advice, table=str(table.name), column=name, suggestions=tuple(near))
    for name, column in names.items():
        if name not in given:
            message = f"key column {column} of table {table.name} is missing in {key}"
            raise EpochTableError(message, _hint(table), table=str(table.name), column=column)
    return {names[name]: value for name, value in given.items()}


def _parsed(key: str) -> dict[str, Any] | None:
    """The members of a JSON object by their names in lower case. None if the text is not a JSON object."""
    try:
        parsed = json.loads(key, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return None
    return {name.lower(): value for name, value in parsed.items()} if isinstance(parsed, dict) else None


def _takes_objects(column: Column) -> bool:
    """Whether the text of a JSON object can be a value of the column."""
    return column.type in ("VARCHAR", "JSON") or column.type.startswith(("STRUCT", "MAP"))


def _typed(cursor: duckdb.DuckDBPyConnection, table: Table, column: Column, value: Any) -> Sql:
    """The value as a constant of the column's type."""
    if value is None:
        return render.fill(Sql("CAST(NULL AS {{t}})"), t=render.verbatim(column.type))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    source = Sql("CAST({{v}} AS {{t}})") if not isinstance(value, dict | list) else Sql("CAST({{v}}::JSON AS {{t}})")
    typed = render.fill(source, v=render.literal(text), t=render.verbatim(column.type))
    try:
        cursor.execute(render.fill(Sql("SELECT {{typed}}"), typed=typed))
    except duckdb.Error as error:
        raise EpochTableError(
            f"{text} is not a value of key column {column.name} {column.type} of table {table.name}",
            _hint(table),
            table=str(table.name),
            column=column.name,
        ) from error
    return typed


def _hint(table: Table) -> str:
    names = ", ".join(f'"{column.name}": …' for column in table.key)
    return f"key := '{{{names}}}'"
