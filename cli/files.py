"""``epoch import`` and ``export``: tables from files, and into files."""

from __future__ import annotations

import click

from epoch_sql.model.patterns import counted

from . import diagnostics, output
from .grammar import DefaultGroup, json_option
from .iceberg import iceberg
from .session import Session, call, pass_session, pass_to_read
from .wording import short, summary


@click.command(name="import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--table",
    "table_name",
    metavar="TABLE",
    help="The table for all sources; of a DuckDB file, the one to import (default: each file's name).",
)
@click.option("--key", metavar="COLUMN,...", help="The columns that identify a row.")
@click.option("--replace", "mode", flag_value="replace", help="The rows replace those of the table.")
@click.option("--append", "mode", flag_value="append", help="The rows are added to those of the table.")
@click.option("--upsert", "mode", flag_value="upsert", help="The rows are added, or replace those of the same key.")
@click.option("-m", "--message", metavar="MESSAGE", help="What changed and why (default: the sources).")
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


@click.group(cls=DefaultGroup, bare="files", default="files")
def export() -> None:
    """Write tables and views of a state to files, or whole branches as Iceberg tables.

    Without a command: files, as in epoch export REF [TABLE...] PLACE. A branch that is called like a command is
    refs/heads/NAME there.
    """


@export.command(name="files")
@click.argument("ref")
@click.argument("words", nargs=-1, required=True, metavar="[TABLE...] PLACE")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv", "json", "arrow", "duckdb", "sql"]),
    help="The form (default: that of the suffix).",
)
@json_option
@pass_to_read
def export_files(session: Session, ref: str, words: tuple[str, ...], kind: str | None, form: str) -> None:
    """Write tables and views of a state to files, or the whole state.

    One TABLE is a file. Several, or none for all, are a new folder with a file for each. SQL and DuckDB files hold the
    whole state, with constraints, indexes, types, sequences, macros and views.
    """
    *tables, place = words
    asked = call("epoch_export", ref, place, tables=tables or None, form=kind)
    found = session.done(asked, "exporting")
    for one in found:
        for name in one["as_text"]:
            diagnostics.warning(f"column {name} is written as text: the form cannot hold its values exactly")
    for one in found:
        wrote = f"{counted(one['rows'], 'row')} of {one['table_name']}" if one["table_name"] else ref
        diagnostics.message(f"Wrote {wrote} to {one['path']}")
    if form == "json":
        output.document(found)


export.add_command(iceberg)

COMMANDS = (import_, export)
