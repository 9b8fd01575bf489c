"""Rows of a query as texts that DuckDB wrote, so that no value passes through a lossy Python type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 2048
_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL", "FLOAT", "DOUBLE", "BIGNUM")


Cells = tuple[str | None, ...]


@dataclass(frozen=True)
class Rows:
    """A result. ``cells`` are texts in column order, or JSON texts for the format JSON. None is NULL."""

    columns: tuple[str, ...]
    cells: Iterable[Cells]
    numeric: frozenset[str] = frozenset()


def select(connection: DuckDBPyConnection, query: str, values: Sequence[Any], form: str) -> Rows:
    """The rows of one SELECT, as texts for people, or as JSON texts where ``form`` is ``json``.

    ``query`` is a user's own statement, or one that holds function names and placeholders only.
    """
    cursor = connection.cursor()
    return _selected(cursor, _described(cursor, query, values), query, values, form)


def differing(
    connection: DuckDBPyConnection, query: str, values: Sequence[Any], apart: bool
) -> tuple[list[str], Iterator[Cells]]:
    """The columns of a table that differs, by ``query``, its typed epoch_diff, and its rows for people: signs and texts
    (see ``Differing``)."""
    from epoch_sql.diff.texts import as_texts, columns_of

    cursor = connection.cursor()
    columns = [row[0] for row in _described(cursor, query, values)]
    return columns_of(columns), _fetched(cursor.execute(as_texts(query, columns, apart), values))


def run(connection: DuckDBPyConnection, statement: str, values: Any, form: str) -> Rows:
    """The rows of a user's statement. A SELECT is read exactly. Other statements run once, unchanged."""
    import duckdb

    query = statement.strip().rstrip(";")
    try:
        # DuckDB is not asked itself: a statement that it cannot parse would end the user's transaction.
        duckdb.extract_statements(f"DESCRIBE (\n{query}\n)")
    except duckdb.ParserException:
        return execute(connection, statement, values, form)
    described = _described(connection, query, values)
    return _selected(connection, described, query, values, form)


def _described(cursor: DuckDBPyConnection, query: str, values: Any) -> list[tuple[Any, ...]]:
    return cursor.execute(f"DESCRIBE (\n{query}\n)", values).fetchall()


def _selected(cursor: DuckDBPyConnection, described: list[tuple[Any, ...]], query: str, values: Any, form: str) -> Rows:
    columns = unique(row[0] for row in described)
    types = [str(row[1]) for row in described]
    aliases = [f"c{i}" for i in range(len(columns))]
    cells = ", ".join(_cell(alias, type_, form) for alias, type_ in zip(aliases, types, strict=True))
    # These aliases allow columns of any name, and two columns of one name.
    cursor.execute(f"SELECT {cells} FROM (\n{query}\n) AS result({', '.join(aliases)})", values)
    numeric = frozenset(name for name, type_ in zip(columns, types, strict=True) if is_numeric(type_))
    return Rows(columns, _fetched(cursor), numeric)


def execute(connection: DuckDBPyConnection, statement: str, values: Any, form: str) -> Rows:
    """The rows of a statement that no SELECT can read: CALL, PRAGMA, INSERT … RETURNING."""
    connection.execute(statement, values or None)
    columns = unique(column[0] for column in connection.description or ())
    write = _json_text if form == "json" else _plain_text
    types = [str(column[1]) for column in connection.description or ()]
    found = connection.fetchall() if columns else []
    if columns in (("Count",), ("Success",)) and not found:
        # DuckDB gives this for a statement without a result, such as CREATE TABLE or ALTER TABLE.
        return Rows((), ())
    cells = [tuple(write(value, type_) for value, type_ in zip(row, types, strict=True)) for row in found]
    return Rows(
        columns, cells, frozenset(name for name, type_ in zip(columns, types, strict=True) if is_numeric(type_))
    )


def is_numeric(type_: str) -> bool:
    """Whether values of a DuckDB type are numbers. Tables align numbers to the right."""
    return not type_.endswith("]") and type_.removeprefix("U").startswith(_NUMERIC)


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Adds a number to repeated names, as DuckDB does: ``a``, ``a_1``."""
    taken: dict[str, None] = {}
    for name in names:
        candidate, attempt = name, 0
        while candidate in taken:
            attempt += 1
            candidate = f"{name}_{attempt}"
        taken[candidate] = None
    return tuple(taken)


def _cell(alias: str, type_: str, form: str) -> str:
    if form != "json" or type_ == "JSON":
        # A JSON value stays as it is: to_json would read its numbers as doubles.
        return f"CAST({alias} AS VARCHAR)"
    if type_.startswith("TIMESTAMP"):
        return f"to_json(replace(CAST({alias} AS VARCHAR), ' ', 'T'))"
    return f"to_json({alias})"


def _fetched(cursor: DuckDBPyConnection) -> Iterator[Cells]:
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _plain_text(value: Any, type_: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_plain_text(item, type_) or "NULL" for item in value) + "]"
    return str(value)


def _json_text(value: Any, type_: str) -> str | None:
    if value is None or (type_ == "JSON" and isinstance(value, str)):
        return value
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
