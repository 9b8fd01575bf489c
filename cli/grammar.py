"""What commands share: groups in --help, default subcommands, ``-10``, --json and --format."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import wraps
from importlib import import_module
from itertools import chain
from typing import Any, TypeVar, cast

import click

from . import diagnostics
from .output import FORMATS

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_COUNT = re.compile(r"-\d+")

format_option = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="The output format."
)
storage_version_option = click.option(
    "--storage-version", metavar="V", help="The oldest DuckDB that reads a new file, such as v1.0.0."
)
short_option = click.option("--json", "form", flag_value="json", help="The same as --format json.")


def json_option(function: AnyFunction) -> AnyFunction:
    """Adds --json: a result or a failure is one JSON document."""
    option = click.option("--json", "form", flag_value="json", default="table", help="One JSON document.")
    return option(documented(function))


def row_options(function: AnyFunction) -> AnyFunction:
    """Adds --format, and --json as its short form."""
    return short_option(format_option(documented(function)))


def documented(function: AnyFunction) -> AnyFunction:
    """Writes a failure of a command as a document, if that is how it writes its result."""

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        with diagnostics.documented() if options["form"] == "json" else nullcontext():
            return function(*arguments, **options)

    return cast(AnyFunction, run)


class SectionedGroup(click.Group):
    """A group whose --help lists the commands by theme, as ``git help`` does. A command is loaded when it is asked for.

    ``sections`` gives for each theme the modules of this package that have its commands, and the names of these.
    """

    def __init__(self, *, sections: Mapping[str, Mapping[str, Sequence[str]]], **settings: Any) -> None:
        super().__init__(**settings)
        self.sections = {title: [*chain.from_iterable(modules.values())] for title, modules in sections.items()}
        self._modules = {n: m for modules in sections.values() for m, names in modules.items() for n in names}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        self._load(cmd_name)
        command = super().get_command(ctx, cmd_name)
        if command and ctx.resilient_parsing:
            from .completing import complete

            complete(command)
        return command

    def every(self) -> Mapping[str, click.Command]:
        """All commands, by theme."""
        for name in self._modules:
            self._load(name)
        return {name: self.commands[name] for name in self._modules}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by theme."""
        commands = self.every()
        width = max(map(len, commands))
        for title, names in self.sections.items():
            with formatter.section(title):
                limit = formatter.width - 6 - width
                formatter.write_dl([(name.ljust(width), commands[name].get_short_help_str(limit)) for name in names])

    def _load(self, name: str) -> None:
        if name not in self._modules or name in self.commands:
            return
        for command in import_module(f"{__package__}.{self._modules[name]}").COMMANDS:
            self.add_command(command)


class DefaultGroup(click.Group):
    """A group that runs its ``default`` subcommand if the first word names no command: ``tag v1`` is ``tag create v1``.

    ``bare`` runs without any word. Without a ``default``, an unknown word is an error that names ``create``.
    """

    def __init__(self, *, bare: str, default: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.bare = bare
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Inserts the name of the subcommand that was left out."""
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--")):
            args = [self.bare, *args]
        elif self.default is not None and args[0] not in self.commands and args[0] != "--help":
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the subcommand. For a word that looks like a new name, the error says how to create it."""
        if args[0] not in self.commands and "create" in self.commands:
            raise click.UsageError(
                f"'{ctx.command_path}' has no command '{args[0]}' (to make one: {ctx.command_path} create {args[0]})",
                ctx,
            )
        return super().resolve_command(ctx, args)


class CountedCommand(click.Command):
    """A command that takes ``-10`` for ``-n 10``, as git does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spells ``-10`` out, up to a ``--``."""
        end = args.index("--") if "--" in args else len(args)
        spelled = [f"--max-count={arg[1:]}" if _COUNT.fullmatch(arg) else arg for arg in args[:end]]
        return super().parse_args(ctx, spelled + args[end:])


class SeparatedCommand(click.Command):
    """A command whose words after ``--`` are tables, in ``ctx.meta["after"]`` (None without a ``--``)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes the words after ``--`` away."""
        ctx.meta["after"] = None
        if "--" in args:
            at = args.index("--")
            ctx.meta["after"] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)
