"""``epoch query``: statements on the working tables or on any commit, and their rows in any form."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from epoch_sql.errors import EpochError, EpochTransactionError

from . import diagnostics, output, rows
from .grammar import documented, short_option
from .session import Session, call, pass_to_read

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


_ALL_ARE_SHOWN = ("table", "markdown")


@dataclass(frozen=True)
class Statement:
    """One statement of the user's text, and the values of its parameters."""

    text: str
    values: Sequence[str] | dict[str, str]


@click.command()
@click.argument("sql", required=False)
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read SQL from a file."
)
@click.option("--ref", metavar="REF", help="Read every versioned table as of REF.")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="[NAME=]VALUE",
    help="The value of $NAME, or of the next ?.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([*output.FORMATS, *output.BINARY]),
    default="table",
    show_default=True,
    help="The output format.",
)
@short_option
@pass_to_read
@click.pass_context
@documented
def query(
    ctx: click.Context,
    session: Session,
    /,
    sql: str | None,
    file: Path | None,
    ref: str | None,
    parameters: tuple[str, ...],
    form: str,
) -> None:
    """Run SQL on the working tables or on a commit.

    SQL may be several statements. Without SQL, or for -, it is read from standard input. Their rows are all shown as
    tables or Markdown; other formats hold those of the last statement. With --ref, the unchanged SQL reads every
    versioned table as of REF.
    """
    found = _statements(_text(ctx, sql, file), parameters, ctx)
    if ref is not None and parameters:
        raise click.UsageError("--ref takes no parameters", ctx)
    if form in output.BINARY and output.is_terminal():
        raise click.UsageError(f"{form} is for files: write standard output to one", ctx)
    if ref is not None:
        for number, statement in enumerate(found, 1):
            asked = call("epoch_query", ref, statement.text)
            if form in _ALL_ARE_SHOWN or number == len(found):
                _write(session, f"FROM {asked.text}", asked.values, form, session.connection.cursor())
        return
    _run_all(session, found, form)


COMMANDS = (query,)


def _text(ctx: click.Context, sql: str | None, file: Path | None) -> str:
    if file is not None:
        if sql is not None:
            raise click.UsageError("give SQL or a --file, not both", ctx)
        return file.read_text(encoding="utf-8")
    if sql not in (None, "-"):
        return str(sql)
    if sql is None and sys.stdin.isatty():
        raise click.UsageError("give SQL, a --file, or SQL on standard input", ctx)
    return sys.stdin.read()


def _statements(text: str, parameters: Sequence[str], ctx: click.Context) -> list[Statement]:
    """The statements, as DuckDB divides the text, with the values of their parameters."""
    import duckdb

    parsed = duckdb.extract_statements(text)
    if not parsed:
        raise click.UsageError("there is no SQL statement", ctx)
    names = {name for statement in parsed for name in statement.named_parameters}
    if all(name.isdigit() for name in names):
        needed = max(map(int, names), default=0)
        if len(parameters) != needed:
            raise click.UsageError(f"the SQL has {needed} parameters, and {len(parameters)} are given", ctx)
        return [Statement(s.query, parameters[: len(s.named_parameters)]) for s in parsed]
    given = dict(parameter.partition("=")[::2] for parameter in parameters)
    for name in sorted(names ^ given.keys()):
        raise click.UsageError(
            f"parameter {name} has no value: -p {name}=VALUE" if name in names else f"the SQL has no parameter ${name}",
            ctx,
        )
    return [Statement(s.query, {name: given[name] for name in s.named_parameters}) for s in parsed]


def _run_all(session: Session, statements: Sequence[Statement], form: str) -> None:
    """Runs the statements. They have to end the transaction that they begin."""
    import duckdb

    connection = session.connection
    try:
        with session.raising():
            for number, statement in enumerate(statements, 1):
                shown = form in _ALL_ARE_SHOWN or number == len(statements)
                _write(session, statement.text, statement.values, form if shown else None, connection)
    except (duckdb.Error, EpochError) as error:
        if _rolled_back(connection):
            raise _saving_nothing(diagnostics.translate(error)) from error
        raise
    if _rolled_back(connection):
        raise EpochTransactionError(
            "the statements end inside a transaction: it is rolled back, and nothing of it is saved",
            "COMMIT at the end",
        )


def _write(session: Session, statement: str, values: Any, form: str | None, connection: DuckDBPyConnection) -> None:
    """Runs a statement and writes its rows; without a form, runs it only."""
    with session.raising():
        if form in output.BINARY:
            with diagnostics.working("running the query"):
                output.binary(connection, statement, values, form)
            return
        with diagnostics.working("running the query"):
            found = rows.run(connection, statement, values, form or "csv")
        if form and found.columns:
            output.rows(found, form)
        else:
            for _ in found.cells:
                pass


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
