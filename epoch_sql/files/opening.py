"""Opens what is imported: how a CSV file is written, the columns of a file, and the tables of another database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochFileError
from epoch_sql.files.readers import Reader
from epoch_sql.files.sources import Form, is_remote, size_of
from epoch_sql.model.names import shown
from epoch_sql.model.schema import ObjectName
from epoch_sql.render import Sql
from epoch_sql.storage.types import parse_type
from epoch_sql.worktree.introspect import generated_columns

_NAMES: dict[Form, str] = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "arrow": "Arrow", "duckdb": "DuckDB"}
_QUOTE = '"'
_UNKNOWN = {"json": "JSON"}
"""The columns that DuckDB gives JSON that is no object."""
_DELIMITERS = ",;|\t"
_STREAM = b"\xff\xff\xff\xff"


def opened(cursor: duckdb.DuckDBPyConnection, file: str, form: Form) -> Reader:
    """The reader of a file. Raises EpochFileError if it is of another kind, or empty."""
    with _told(file, form):
        reader = {"csv": _csv, "json": _json, "parquet": _parquet, "arrow": _arrow}[form](cursor, file)
    return replace(reader, bytes=size_of(file))


def registered(cursor: duckdb.DuckDBPyConnection, data: Any, called: str, again: bool) -> Reader:
    """The reader of an Arrow object, which stays registered on the cursor."""
    name = f"epoch_{uuid.uuid4().hex}"
    cursor.register(name, data)
    relation = render.identifier(name)
    return _plain(cursor, called, relation, again)


@contextmanager
def attached(cursor: duckdb.DuckDBPyConnection, file: str) -> Iterator[dict[ObjectName, Reader]]:
    """The tables of another database, open to read, by name."""
    alias = f"epoch_{uuid.uuid4().hex}"
    with _told(file, "duckdb"):
        attach = "ATTACH {{file}} AS {{alias}} (TYPE duckdb, READ_ONLY)"
        cursor.execute(render.fill(attach, file=render.literal(file), alias=render.identifier(alias)))
    try:
        columns: dict[ObjectName, list[tuple[str, str]]] = {}
        for schema, table, *column in cursor.execute(render.load("import.columns_of"), [alias]).fetchall():
            columns.setdefault(ObjectName(schema, table), []).append((column[0], column[1]))
        tables = cursor.execute(render.load("import.tables_of"), [alias]).fetchall()
        yield {
            ObjectName(schema, table): _of_table(file, alias, ObjectName(schema, table), sql, columns)
            for schema, table, sql in tables
            if schema != "epoch"
        }
    finally:
        cursor.execute(render.fill("DETACH {{alias}}", alias=render.identifier(alias)))


def _of_table(
    file: str, alias: str, name: ObjectName, sql: str, columns: Mapping[ObjectName, Sequence[tuple[str, str]]]
) -> Reader:
    """The stored columns of a table. A generated one is not read: its expression is somebody else's SQL."""
    generated = generated_columns(sql, len(columns[name]))
    stored = {column: kind for number, (column, kind) in enumerate(columns[name]) if number not in generated}
    rows = render.fill(
        "(SELECT {{columns}} FROM {{table}})",
        columns=[render.identifier(column) for column in stored],
        table=render.table(name, alias),
    )
    left_out = tuple(column for column, _ in columns[name] if column not in stored)
    return Reader(f"{name} in {file}", stored, lambda types: rows, left_out=left_out)


def _csv(cursor: duckdb.DuckDBPyConnection, file: str) -> Reader:
    row = cursor.execute(render.load("import.sniffed"), [_path(file)]).fetchall()[0]
    delim, quote, mark, comment, skip, header, columns, dates, times = row
    found = {column["name"]: column["type"] for column in columns}
    if not header and not is_remote(file) and Path(file).stat().st_size == 0:
        raise EpochFileError(f"{file} is empty", "a CSV file begins with the names of its columns", file=file)
    _require_even(file, [*found])
    # The sniffer reads the beginning only, where there may be no quotes yet.
    quote = quote if quote != "(empty)" else _QUOTE
    written: dict[str, render.Fragment | list[render.Item]] = {
        "file": render.literal(_path(file)),
        "delim": render.literal(delim),
        "quote": render.literal(quote),
        "escape": render.literal(mark if mark != "(empty)" else quote),
        "skip": render.literal(int(skip)),
        "header": render.literal(bool(header)),
        "comment": render.literal("" if comment == "(empty)" else comment),
        "dateformat": _format(dates),
        "timestampformat": _format(times),
    }

    def relation(types: Mapping[str, str], rejects: bool = False) -> Sql:
        return render.render("import.csv", **written, rejects=rejects, columns=_types(types))

    direct = {name for name, kind in found.items() if (dates if kind == "DATE" else times and "TIMESTAMP" in kind)}
    return Reader(
        file,
        found,
        relation,
        texts=True,
        first_line=int(skip) + bool(header) + 1,
        direct=frozenset(direct),
        rejecting=lambda types: relation(types, rejects=True),
    )


def _require_even(file: str, columns: Sequence[str]) -> None:
    """Raises EpochFileError for lines that the sniffer could not divide, because they have not as many values."""
    if len(columns) == 1 and any(mark in columns[0] for mark in _DELIMITERS):
        raise EpochFileError(
            f"{file}: its lines do not have as many values as its header, {shown(columns[0])}",
            "correct the lines, or the header",
            file=file,
            line=1,
        )


def _json(cursor: duckdb.DuckDBPyConnection, file: str) -> Reader:
    path = render.literal(_path(file))
    columns = _described(cursor, render.render("import.json_columns", file=path))
    if columns == _UNKNOWN and not _has_rows(cursor, render.render("import.json", file=path, columns=_types(columns))):
        raise EpochFileError(f"{file} has no rows, which would tell its columns", "leave it out", file=file)

    def relation(types: Mapping[str, str]) -> Sql:
        return render.render("import.json", file=path, columns=_types(types))

    direct = {name for name, kind in columns.items() if kind == "JSON" or parse_type(kind).fields}
    return Reader(file, columns, relation, texts=True, direct=frozenset(direct))


def _has_rows(cursor: duckdb.DuckDBPyConnection, relation: Sql) -> bool:
    return bool(cursor.execute(render.fill("SELECT 1 FROM {{relation}} LIMIT 1", relation=relation)).fetchall())


def _parquet(cursor: duckdb.DuckDBPyConnection, file: str) -> Reader:
    return _plain(cursor, file, render.fill("read_parquet({{file}})", file=render.literal(_path(file))))


def _arrow(cursor: duckdb.DuckDBPyConnection, file: str) -> Reader:
    try:
        import pyarrow
        import pyarrow.dataset
    except ModuleNotFoundError as missing:
        raise EpochFileError(
            f"{file} needs pyarrow, which is not installed", "pip install pyarrow", file=file
        ) from missing
    # What Python opens, the settings of DuckDB have to allow.
    allowed = cursor.execute("SELECT current_setting('enable_external_access')").fetchall()
    if allowed != [(True,)] or is_remote(file):
        raise EpochFileError(f"{file} cannot be opened here", "name a file of this machine", file=file)
    try:
        with Path(file).open("rb") as stream:
            streamed = stream.read(4) == _STREAM
        if streamed:
            return registered(cursor, pyarrow.ipc.open_stream(pyarrow.memory_map(file)), file, again=False)
        return registered(cursor, pyarrow.dataset.dataset(file, format="ipc"), file, again=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise EpochFileError(f"{file} cannot be read as Arrow: {_first_line(error)}", None, file=file) from error


def _plain(cursor: duckdb.DuckDBPyConnection, called: str, relation: Sql, again: bool = True) -> Reader:
    columns = _described(cursor, render.fill("DESCRIBE FROM {{relation}}", relation=relation))
    return Reader(called, columns, lambda types: relation, again=again)


def _described(cursor: duckdb.DuckDBPyConnection, statement: Sql) -> dict[str, str]:
    return {row[0]: str(row[1]) for row in cursor.execute(statement).fetchall()}


def _format(text: str | None) -> list[render.Item]:
    return [{"format": render.literal(text)}] if text else []


def _types(types: Mapping[str, str]) -> list[Sql]:
    return [
        render.fill("{{name}}: {{type}}", name=render.literal(name), type=render.literal(type))
        for name, type in types.items()
    ]


def _path(file: str) -> str:
    """A path for DuckDB, which would take the name of a file for a pattern."""
    return file if is_remote(file) else escape(file)


@contextmanager
def _told(file: str, form: Form) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise EpochFileError(
            f"{file} cannot be read as {_NAMES[form]}: {_first_line(error)}", None, file=file
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
