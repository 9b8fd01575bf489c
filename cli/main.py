"""The program ``epoch``: its global options, its commands by theme, and its entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from . import diagnostics, streams
from .grammar import SectionedGroup

SECTIONS = {
    "Start a repository": {
        "repository": ("init", "config"),
    },
    "Work on the current change": {
        "changes": ("status", "commit", "stash"),
        "differences": ("diff",),
    },
    "Examine the history": {
        "history": ("log", "show", "reflog"),
    },
    "Grow, mark and move branches": {
        "branches": ("branch", "checkout", "tag", "reset"),
        "worktrees": ("worktree",),
    },
    "Merge and undo": {
        "merging": ("merge", "revert", "cherry-pick"),
        "conflicts": ("conflicts",),
    },
    "Guard promotions": {
        "guarding": ("review", "check"),
        "changelog": ("changelog",),
        "web": ("ui",),
    },
    "Share with others": {
        "remotes": ("remote", "push", "fetch", "pull", "clone"),
    },
    "Tables and data": {
        "data": ("table", "shell"),
        "query": ("query",),
        "files": ("import", "export"),
        "publishing": ("publish",),
    },
    "Upkeep": {
        "upkeep": ("gc", "compact", "fsck", "completion", "demo"),
    },
}
"""The commands by theme: the modules of this package that have them, which are loaded when a command is asked for."""


@click.group(
    cls=SectionedGroup,
    sections=SECTIONS,
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
    from .session import Session

    ctx.obj = Session(database, wait, author)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: that of the process) and gives the exit code."""
    return diagnostics.run(lambda: program.main(arguments, prog_name="epoch", standalone_mode=False))


def main() -> None:
    """The entry point of the installed program."""
    streams.prepare()
    sys.exit(run())
