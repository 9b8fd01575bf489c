"""``epoch import`` and ``export``: tables from files, and into files."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from epoch_sql.errors import EpochError, EpochTableError

from . import diagnostics, output
from .grammar import json_option
from .session import Call, Session, call, pass_session, pass_to_read
from .wording import counted, short, summary

SECTION = "Tables and data"

_SUFFIXES = {".parquet": "parquet", ".csv": "csv"}
# Parquet has no such type, or DuckDB writes it with fewer digits. Text keeps every digit.
_LOSSY = ("HUGEINT", "UHUGEINT", "INTERVAL", "TIME WITH TIME ZONE")


@click.command(name="import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--table", "table_name", metavar="TABLE", help="The table for all sources (default: each file's name).")
@click.option("--key", metavar="COLUMN,...", help="The columns that identify a row.")
@click.option("--replace", "mode", flag_value="replace", help="The rows replace those of the table.")
@click.option("--append", "mode", flag_value="append", help="The rows are added to those of the table.")
@click.option("--upsert", "mode", flag_value="upsert", help="The rows are added, or replace those of the same key.")
@click.option("-m", "--message", metavar="MESSAGE", help="The message of the commit.")
@json_option
@pass_session
def import_(
    session: Session,
    sources: tuple[str, ...],
    table_name: str | None,
    key: str | None,
    mode: str | None,
    message: str | None,
    form: str,
) -> None:
    """Load files into tables, and commit them.

    A SOURCE is a CSV, JSON, Parquet or Arrow file, a folder of such files for one table, or a DuckDB file. Without
    --table, a file goes to the table of its name. A table that exists needs --replace, --append or --upsert.
    """
    asked = call(
        "epoch_import_files",
        list(sources),
        table_name=table_name,
        key=[name.strip() for name in key.split(",")] if key else None,
        mode=mode,
        message=message,
    )
    made = session.do(asked, "importing", session.transferred)
    names = ", ".join(made["tables"])
    changed = summary(made)
    if changed:
        diagnostics.message(f"Imported {names}: {changed} (commit {short(made['commit_id'])} on {made['branch']})")
    else:
        diagnostics.message(f"{names}: no row changed")
    if form == "json":
        output.document([made])


@click.command()
@click.argument("ref")
@click.argument("table_name", metavar="TABLE")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_to_read
def export(session: Session, ref: str, table_name: str, file: Path) -> None:
    """Write a table or a view, as of a reference, to a file.

    The suffix of FILE chooses Parquet or CSV.
    """
    form = _SUFFIXES.get(file.suffix.lower())
    if form is None:
        raise EpochError(
            f"the suffix of {file} is not one of {', '.join(_SUFFIXES)}",
            f"epoch export {shlex.quote(ref)} {shlex.quote(table_name)} {shlex.quote(table_name)}.parquet",
        )
    asked = call("epoch_at", ref, table_name)
    cursor = session.connection.cursor()
    with diagnostics.working("exporting"), session.raising():
        described = cursor.execute(f"DESCRIBE FROM {asked.text}", asked.values).fetchall()
        copy, written_as_text = _copy([(row[0], str(row[1])) for row in described], asked, file, form)
        count = cursor.execute(copy, asked.values).fetchall()[0][0]
    for name in written_as_text:
        diagnostics.warning(f"column {name} is written as text: Parquet cannot hold its values exactly")
    diagnostics.message(f"Wrote {counted(count, 'row')} of {table_name} to {file}")


COMMANDS = (import_, export)


def _copy(columns: list[tuple[str, str]], asked: Call, file: Path, form: str) -> tuple[str, list[str]]:
    """The COPY statement, and the columns that it writes as text to keep their digits."""
    from epoch_sql.render import column, fill, identifier, joined, literal, verbatim

    parts, as_text = [], []
    for i, (name, type_) in enumerate(columns):
        template = "{{column}} AS {{name}}"
        if form == "parquet" and type_ in _LOSSY:
            template = "CAST({{column}} AS VARCHAR) AS {{name}}"
            as_text.append(name)
        elif form == "parquet" and any(lossy in type_ for lossy in _LOSSY):
            raise EpochTableError(
                f"column {name} is {type_}, whose values Parquet cannot hold exactly",
                "export to a .csv file",
                column=name,
            )
        parts.append(fill(template, column=column(f"c{i}"), name=identifier(name)))
    # The file is a literal: DuckDB 1.5 numbers a parameter after TO before those of the query.
    statement = fill(
        "COPY (SELECT {{cells}} FROM {{source}} AS source({{aliases}})) TO {{file}} (FORMAT {{format}})",
        cells=joined(parts, ", "),
        source=verbatim(asked.text),
        aliases=[identifier(f"c{i}") for i in range(len(columns))],
        file=literal(str(file)),
        format=verbatim("parquet" if form == "parquet" else "csv, HEADER"),
    )
    return statement, as_text
