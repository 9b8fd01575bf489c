"""``epoch table``: which tables are versioned, and what identifies their rows."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

from epoch_sql.errors import EpochNoTerminal

from . import diagnostics, output
from .grammar import DefaultGroup, json_option, row_options
from .session import Session, call, pass_session, pass_to_read


@click.group(cls=DefaultGroup, bare="list")
def table() -> None:
    """List versioned tables, declare keys, ignore tables, mark derived tables.

    Without a command: list.
    """


@table.command(name="list")
@click.argument("ref", required=False)
@row_options
@pass_to_read
def table_list(session: Session, ref: str | None, form: str) -> None:
    """List the versioned tables at REF (default: HEAD)."""
    output.rows(session.rows(call("epoch_tables", ref=ref), form), form)


@table.command(name="key")
@click.argument("table_name", metavar="TABLE")
@click.argument("columns", nargs=-1, metavar="[COLUMN]...")
@click.option("--remove", is_flag=True, help="Withdraw the declared key.")
@json_option
@pass_session
@click.pass_context
def table_key(
    ctx: click.Context, session: Session, /, table_name: str, columns: tuple[str, ...], remove: bool, form: str
) -> None:
    """Declare which columns identify a row of a TABLE without a primary key."""
    if remove == bool(columns):
        raise click.UsageError("name the columns of the key, or --remove", ctx)
    declared = session.do(call("epoch_key", table_name, list(columns)), "checking the key")
    identified = ", ".join(declared["key_columns"])
    name = declared["table_name"]
    diagnostics.message(
        f"Rows of {name} are identified by {identified}" if identified else f"{name} has no declared key"
    )
    if form == "json":
        output.document([declared])


@table.command(name="ignore")
@click.argument("pattern")
@click.option("--remove", is_flag=True, help="No longer ignore this pattern.")
@json_option
@pass_session
def table_ignore(session: Session, pattern: str, remove: bool, form: str) -> None:
    """Do not version tables whose name matches PATTERN.

    Tables that are committed under such a name stay as they are committed.
    """
    ignored = session.do(call("epoch_ignore", pattern, remove=remove), "ignoring")
    diagnostics.message(f"Tables that match '{ignored['pattern']}' are {'versioned' if remove else 'not versioned'}")
    if form == "json":
        output.document([ignored])


@table.command(name="derived")
@click.argument("pattern", required=False)
@click.option("--remove", is_flag=True, help="Tables of this pattern are no longer derived.")
@json_option
@pass_session
@click.pass_context
def table_derived(ctx: click.Context, session: Session, /, pattern: str | None, remove: bool, form: str) -> None:
    """Mark tables whose name matches PATTERN as derived: computed from other tables. Without PATTERN: list.

    A merge keeps a derived table that both sides changed as ours, and says that it has to be rebuilt.
    """
    if pattern is None:
        if remove:
            raise click.UsageError("name the PATTERN to remove", ctx)
        output.rows(session.rows(call("epoch_derived_patterns"), form), form)
        return
    marked = session.do(call("epoch_derived", pattern, remove=remove), "marking")
    diagnostics.message(f"Tables that match '{marked['pattern']}' are {'not derived' if remove else 'derived'}")
    if form == "json":
        output.document([marked])


@table.command(name="rebuilt")
@click.argument("pattern")
@json_option
@pass_session
def table_rebuilt(session: Session, pattern: str, form: str) -> None:
    """State that stale tables whose name matches PATTERN hold what a rebuild gives. The next commit makes them fresh.

    It is needed only where a rebuild changed no row.
    """
    found = session.done(call("epoch_rebuilt", pattern), "marking")
    for row in found:
        diagnostics.message(f"{row['table_name']} is fresh with the next commit")
    if form == "json":
        output.document(found)


@click.command()
@click.option("--read-only", is_flag=True, help="Open the database to read, beside other programs that read it.")
@pass_session
def shell(session: Session, read_only: bool) -> None:
    """Open an SQL editor in the terminal.

    It has Epoch's functions, a catalog of tables and columns, completion of these, of branches and of tags, and a
    history. It is Harlequin, which pip install 'epoch-sql[shell]' installs.
    """
    if find_spec("harlequin") is None:
        raise click.UsageError("epoch shell needs Harlequin: pip install 'epoch-sql[shell]'")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise EpochNoTerminal("epoch shell needs a terminal", "epoch query SQL")
    options = ["--read-only"] if read_only else []
    author = {"EPOCH_AUTHOR": session.author} if session.author else {}
    program = [sys.executable, "-m", "harlequin", "-a", "epoch", *options, str(session.path)]
    os.execve(program[0], program, {**os.environ, **author})


COMMANDS = (table, shell)
