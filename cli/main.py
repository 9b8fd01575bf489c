"""The program ``epoch``: its global options, its commands by theme, and its entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from . import (
    branches,
    changelog,
    changes,
    conflicts,
    data,
    diagnostics,
    differences,
    files,
    guarding,
    history,
    merging,
    publishing,
    query,
    remotes,
    repository,
    streams,
    upkeep,
    web,
    worktrees,
)
from .completing import completed
from .grammar import SectionedGroup
from .session import Session


@click.group(
    cls=SectionedGroup,
    name="epoch",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Help on one command: epoch COMMAND --help",
)
@click.option("--db", "database", metavar="PATH", help="The database (default: EPOCH_DB, or the nearest .epoch/).")
@click.option("--author", metavar="AUTHOR", help='The author of what the command does: "Name <mail>".')
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a locked database.",
)
@click.version_option(package_name="epoch-sql", prog_name="epoch", message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context, database: str | None, author: str | None, wait: float) -> None:
    """Git-like versioning for the tables of a DuckDB database."""
    ctx.obj = Session(database, wait, author)


for _module in (
    repository,
    changes,
    differences,
    history,
    branches,
    worktrees,
    merging,
    conflicts,
    guarding,
    changelog,
    web,
    remotes,
    data,
    query,
    files,
    publishing,
    upkeep,
):
    program.add_section(_module.SECTION, _module.COMMANDS)
completed(program)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: that of the process) and gives the exit code."""
    return diagnostics.run(lambda: program.main(arguments, prog_name="epoch", standalone_mode=False))


def main() -> None:
    """The entry point of the installed program."""
    streams.prepare()
    sys.exit(run())
