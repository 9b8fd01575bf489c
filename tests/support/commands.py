"""The commands of ``epoch``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from epoch_sql.cli.main import program


def every_command(
    commands: Mapping[str, click.Command] | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands and groups of commands, with the words that call them."""
    for name, command in (program.every() if commands is None else commands).items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from every_command(command.commands, (*path, name))
