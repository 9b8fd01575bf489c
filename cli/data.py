"""``epoch table`` and ``query``: which tables are versioned, and reading them at any commit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from epoch_sql.errors import EpochError, EpochTransactionError

from . import diagnostics, output, rows
from .grammar import DefaultGroup, json_option, row_options
from .session import Session, call, pass_session, pass_to_read

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SECTION = "Tables and data"


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
@click.option("--remove", is_flag=True, help="No longer ignore PATTERN.")
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
@click.option("--remove", is_flag=True, help="Tables of PATTERN are no longer derived.")
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
@click.argument("sql")
@click.option("--ref", metavar="REF", help="Read every versioned table as of REF.")
@row_options
@pass_to_read
def query(session: Session, sql: str, ref: str | None, form: str) -> None:
    """Run SQL on the working tables or on a commit.

    With --ref, the unchanged SQL reads every versioned table as of REF.
    """
    if ref is not None:
        output.rows(session.rows(call("epoch_query", ref, sql), form), form)
        return
    with diagnostics.working("running the query"):
        found = _result(session, sql, form)
    if found.columns:
        output.rows(found, form)


COMMANDS = (table, query)


def _result(session: Session, sql: str, form: str) -> rows.Rows:
    """The rows of a user's statements. These have to end the transaction that they begin."""
    import duckdb

    connection = session.connection
    try:
        with session.raising():
            found = rows.run(connection, sql, form)
    except (duckdb.Error, EpochError) as error:
        if _rolled_back(connection):
            raise _saving_nothing(diagnostics.translate(error)) from error
        raise
    if _rolled_back(connection):
        raise EpochTransactionError(
            "the statements end inside a transaction: it is rolled back, and nothing of it is saved",
            "COMMIT at the end",
        )
    return found


def _rolled_back(connection: DuckDBPyConnection) -> bool:
    """Rolls back an open transaction, and says whether there was one. The end of the program would do it silently."""
    import duckdb

    try:
        connection.execute("ROLLBACK")
    except duckdb.TransactionException:
        return False
    return True


def _saving_nothing(error: EpochError) -> EpochError:
    """The error, of statements inside a transaction."""
    advice = error.advice
    if isinstance(error, EpochTransactionError):
        advice = "COMMIT before the call, and run the statements again"
    message = f"{error.message}; the transaction is rolled back, and nothing of it is saved"
    return replace(error, message=message, advice=advice)
