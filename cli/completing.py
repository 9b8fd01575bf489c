"""What a shell completes: the names of references, tables, remotes and checks that a command takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from epoch_sql.characters import has_hidden
from epoch_sql.errors import EpochError

from .session import Session, call

Names = Callable[[Session], Iterator[str]]


def complete(command: click.Command, of: str = "") -> None:
    """Gives the arguments and options of a command, which may be one ``of`` a group, their names to complete."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            complete(inner, str(command.name))
    for parameter in command.params:
        names = _BY_COMMAND.get((of, str(command.name), str(parameter.name))) or _BY_NAME.get(str(parameter.name))
        if names and isinstance(parameter.type, click.types.StringParamType):
            parameter.type = _Named(names)


class _Named(click.types.StringParamType):
    """A text that may be one of these names."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, also after ``A..``. None where no database can be asked: an error in the middle
        of a line would not help."""
        import duckdb

        root = ctx.find_root()
        before, dots, begun = incomplete.rpartition("..")
        with suppress(EpochError, duckdb.Error, OSError), root.scope():
            session = Session(root.params.get("database"), wait=0, reads=True)
            found = sorted(name for name in self._names(session) if name.startswith(begun) and not has_hidden(name))
            return [CompletionItem(before + dots + name) for name in found]
        return []


def _listed(function: str, column: str) -> Names:
    return lambda session: (row[column] for row in session.read(call(function)))


_branches = _listed("epoch_branches", "name")
_tags = _listed("epoch_tags", "name")
_tables = _listed("epoch_tables", "table_name")
_remotes = _listed("epoch_remotes", "name")
_checks = _listed("epoch_checks", "name")


def _references(session: Session) -> Iterator[str]:
    yield "HEAD"
    yield from _branches(session)
    yield from _tags(session)


def _references_and_tables(session: Session) -> Iterator[str]:
    yield from _references(session)
    yield from _tables(session)


_BY_NAME: dict[str, Names] = {
    "ref": _references,
    "refs": _references,
    "start": _references,
    "since": _references,
    "source": _references,
    "words": _references_and_tables,
    "branch": _branches,
    "into": _branches,
    "target": _branches,
    "old": _branches,
    "table_name": _tables,
    "tables": _tables,
    "remote_name": _remotes,
}
_BY_COMMAND: dict[tuple[str, str, str], Names] = {
    **{("branch", command, "name"): _branches for command in ("delete", "protect", "unprotect")},
    ("tag", "delete", "name"): _tags,
    ("check", "remove", "name"): _checks,
    **{("remote", command, "name"): _remotes for command in ("remove", "trust")},
}
