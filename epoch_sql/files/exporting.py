"""``export``: tables of a state as files, and whole states as SQL or as a database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, require_trusted
from epoch_sql.errors import EpochFileError, EpochStorageError, EpochTableError
from epoch_sql.model.revisions import parse_revision
from epoch_sql.model.schema import Table
from epoch_sql.patch.patch import statements_between
from epoch_sql.plan.planner import Limits, TableChange, make_plan, statements
from epoch_sql.publish.at import DATABASE
from epoch_sql.publish.surface import Made, Surface
from epoch_sql.publish.writing import put, written
from epoch_sql.query import views
from epoch_sql.render import Sql
from epoch_sql.storage.asides import aside_of
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.types import parse_type
from epoch_sql.verb import procedure
from epoch_sql.versions.sides import native_rows, side_of

Form = Literal["parquet", "csv", "json", "arrow", "duckdb", "sql"]

SUFFIXES: dict[str, Form] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".arrow": "arrow",
    ".duckdb": "duckdb",
    ".sql": "sql",
}
_OPTIONS = {"parquet": "FORMAT parquet", "csv": "FORMAT csv, HEADER", "json": "FORMAT json, ARRAY true"}
# The form has no such type, or DuckDB writes it with fewer digits. Text keeps every digit.
_LOSSY = {
    "parquet": ("HUGEINT", "UHUGEINT", "INTERVAL", "TIME WITH TIME ZONE"),
    "arrow": ("HUGEINT", "UHUGEINT", "TIME WITH TIME ZONE"),
}
_WHOLE = ("duckdb", "sql")


@dataclass(frozen=True)
class ExportResult:
    """A file that was written: its table (none for a whole state), and the columns that it holds as text."""

    table: str | None
    path: str
    rows: int
    as_text: list[str] = field(default_factory=list)


@procedure("epoch_export", acts=False, writes=True)
def export(
    call: Call,
    ref: str,
    path: str,
    *,
    tables: Sequence[str] | None = None,
    form: Literal["parquet", "csv", "json", "arrow", "duckdb", "sql"] | None = None,
) -> list[ExportResult]:
    """Writes tables and views of a state to files, or the whole state as SQL or as a DuckDB file.

    One table is a file, and several are a new folder with a file for each. `sql` and `duckdb` hold the whole state:
    tables with constraints and indexes, types, sequences, macros and views. A place is written at once or not at all.
    Raises EpochFileError for a place that cannot take it, EpochStorageError if it cannot be written, and
    EpochTableError for a type that the form cannot hold.

    Args:
        ref: a reference; WORKING for tables only
        path: the file or the folder
        tables: tables and views; default: all tables
        form: the form; default: that of the suffix
    """
    place = Path(path)
    # What Python writes, the settings of DuckDB have to allow.
    if call.cursor.execute("SELECT current_setting('enable_external_access')").fetchall() != [(True,)]:
        raise EpochFileError("files cannot be written here", "SET enable_external_access", file=path)
    chosen = form or SUFFIXES.get(place.suffix.lower())
    if chosen is None:
        raise EpochFileError(
            f"the suffix of {path} is not one of {', '.join(SUFFIXES)}",
            "name the form: parquet, for example",
            file=path,
        )
    if chosen in _WHOLE:
        if tables:
            raise EpochFileError(
                f"{chosen} holds a whole state",
                "leave the tables out, or choose parquet, csv, json or arrow",
                file=path,
            )
        _require_free(place)
        return [(_sql if chosen == "sql" else _database)(call, ref, place)]
    if tables is not None and len(tables) == 1:
        with _aside(call, place) as aside:
            found = _table(call, ref, tables[0], aside, chosen)
        return [replace(found, path=path)]
    names = tables or [str(side.table.name) for side in side_of(call, ref).tables.values()]
    _require_free(place)
    with _aside(call, place) as aside:
        aside.mkdir(parents=True)
        found_all = []
        for name in sorted(names):
            file = f"{quote(name, safe=' ')}.{chosen}"
            found_all.append(replace(_table(call, ref, name, aside / file, chosen), path=str(place / file)))
    return found_all


def _table(call: Call, ref: str, name: str, file: Path, form: Form) -> ExportResult:
    rows = views.at(call, ref, name)
    described = call.cursor.execute(render.fill("DESCRIBE {{rows}}", rows=rows)).fetchall()
    parts, as_text = [], []
    for number, (column, type, *_) in enumerate(described):
        template = "{{column}} AS {{name}}"
        lossy = {leaf.name for leaf in parse_type(type).leaves()} & {*_LOSSY.get(form, ())}
        if lossy and type in lossy:
            template = "CAST({{column}} AS VARCHAR) AS {{name}}"
            as_text.append(column)
        elif lossy:
            raise EpochTableError(
                f"column {column} of {name} is {type}, whose values {form} cannot hold exactly",
                "export it to a .csv file, or the whole state to a .duckdb file",
                table=name,
                column=column,
            )
        parts.append(render.fill(template, column=render.column(f"c{number}"), name=render.identifier(column)))
    aliases = [render.identifier(f"c{number}") for number in range(len(described))]
    cells = "SELECT {{cells}} FROM ({{rows}}) AS source({{aliases}})"
    query = render.fill(cells, cells=render.joined(parts, ", "), rows=rows, aliases=aliases)
    count = (
        _arrow(call.cursor, query, file) if form == "arrow" else _copied(call.cursor, query, file, Sql(_OPTIONS[form]))
    )
    return ExportResult(name, str(file), count, as_text)


def _copied(cursor: duckdb.DuckDBPyConnection, query: Sql, file: Path, options: Sql) -> int:
    copy = "COPY ({{query}}) TO {{file}} ({{options}})"
    statement = render.fill(copy, query=query, file=render.literal(str(file)), options=options)
    return int(cursor.execute(statement).fetchall()[0][0])


def _arrow(cursor: duckdb.DuckDBPyConnection, query: Sql, file: Path) -> int:
    try:
        import pyarrow
    except ModuleNotFoundError as missing:
        raise EpochFileError(
            "Arrow needs pyarrow, which is not installed", "pip install pyarrow", file=str(file)
        ) from missing
    rows: Any = cursor.sql(query)
    # DuckDB 1.x has the older name only.
    reader = (getattr(rows, "to_arrow_reader", None) or rows.fetch_record_batch)()
    count = 0
    with pyarrow.OSFile(str(file), "wb") as sink, pyarrow.ipc.new_file(sink, reader.schema) as stream:
        for batch in reader:
            count += batch.num_rows
            stream.write_batch(batch)
    return count


def _sql(call: Call, ref: str, place: Path) -> ExportResult:
    """The state as statements, one after the other, as those of a patch from nothing."""
    found = render.render("patch.statements", statements=statements_between(call, None, ref))
    with _aside(call, place) as aside:
        count = _copied(
            call.cursor, found, aside, Sql(r"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\x01'")
        )
    return ExportResult(None, str(place), count)


def _database(call: Call, ref: str, place: Path) -> ExportResult:
    """The state as a database of its own, with everything that DuckDB keeps."""
    if parse_revision(ref).is_working:
        raise EpochFileError("WORKING cannot be a database", Suggestion("commit", "MESSAGE"), file=str(place))
    side = side_of(call, ref)
    tables = {i: found.table for i, found in side.tables.items()}
    require_trusted(call, *tables.values(), *side.objects)
    changes = [TableChange(i, None, table, True) for i, table in tables.items()]
    plan = make_plan(changes, (), side.objects, Limits(lambda old, new: True))
    made = []
    with render.for_database(DATABASE):
        made += [Made(str(step), tuple(statements(step))) for step in plan.definitions]
    for step in plan.rows:
        version = side.tables[step.change.table_id].version_id
        assert version
        made.append(Made("rows", (_filled(call.contents, tables[step.change.table_id], version),)))
    with render.for_database(DATABASE):
        made += [Made(str(step), tuple(statements(step))) for step in plan.triggers]
    surface = Surface(tuple(made), len(tables), (), ())
    with written(place, surface, "latest", call.folder) as (aside, refused):
        if refused:
            raise EpochStorageError(f"DuckDB refuses {refused[0]}", Suggestion("fsck"), path=str(place))
        put(aside, place)
    return ExportResult(
        None, str(place), sum(call.contents.version(v.version_id or "").row_count for v in side.tables.values())
    )


def _filled(contents: Contents, table: Table, version_id: str) -> Sql:
    stored = replace(table, columns=table.stored_columns)
    with render.for_database(DATABASE):
        name = render.table(table.name)
    return render.fill(
        "INSERT INTO {{name}} ({{columns}}) {{rows}}",
        name=Sql(name),
        columns=[render.identifier(column.name) for column in stored.columns],
        rows=native_rows(stored, contents.state(version_id)),
    )


def _require_free(place: Path) -> None:
    if os.path.lexists(place):
        raise EpochFileError(f"{place} exists", "name a new place, or remove what is there", file=str(place))


@contextmanager
def _aside(call: Call, place: Path) -> Iterator[Path]:
    """A place beside ``place``, which gets its name at the end; what was there stays if anything fails."""
    with aside_of(place, call.folder) as aside:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            aside.replace(place)
        except (OSError, duckdb.IOException) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
            raise EpochStorageError(
                f"cannot write {place}: {reason.replace(str(aside), str(place))}",
                "free space, or make the folder writable",
                path=str(place),
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
