"""Merges in progress: their descriptions, and the commands that continue them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from epoch_sql.errors import EpochConflict, EpochError, EpochMergeError

from . import diagnostics
from .session import Session, call
from .wording import counted

into_option = click.option(
    "--into", metavar="BRANCH", help="The branch that is merged into (default: the current one)."
)


@dataclass(frozen=True)
class Place:
    """The branch that is merged into, and whether commands must name it because another branch is checked out."""

    branch: str | None
    named: bool

    def command(self, words: str) -> str:
        """``epoch merge --continue``, with ``--into BRANCH`` where it is needed."""
        return f"epoch {words}{f' --into {shlex.quote(self.branch)}' if self.named and self.branch else ''}"

    @property
    def next_steps(self) -> str:
        """The commands that resolve conflicts."""
        show, resolve = self.command("conflicts show"), self.command("conflicts resolve --theirs")
        return f"{show}; {resolve} (or --ours, --interactive); then {self.command('merge --continue')}"

    @property
    def last_step(self) -> str:
        """The commands that end a merge, with or without its result."""
        return f"{self.command('merge --continue')}, or {self.command('merge --abort')}"


def place(session: Session, into: str | None) -> Place:
    """The branch that a command of a merge works on: ``--into``, or the branch that is checked out."""
    current = session.read(call("epoch_head"))[0]["branch"]
    return Place(into or current, into is not None and into != current)


def merges(session: Session) -> list[dict[str, Any]]:
    """The merges in progress, the rows of ``epoch_merges``."""
    return session.read(call("epoch_merges"))


def merge_into(session: Session, branch: str | None) -> dict[str, Any] | None:
    """The merge in progress of one branch, if there is one."""
    return next((row for row in merges(session) if row["target"] == branch), None)


def name(row: dict[str, Any]) -> str:
    """``merge of development into staging``; a revert or cherry-pick by the commit."""
    source = row["source"] if row["kind"] == "merge" else row["source"][:7]
    return f"{row['kind']} of {source} {'into' if row['kind'] == 'merge' else 'on'} {row['target']}"


def left(row: dict[str, Any]) -> str:
    """``3 conflicts and 1 violation``, or nothing."""
    counts = [counted(row[what], what[:-1]) for what in ("conflicts", "violations") if row[what]]
    return " and ".join(counts)


def remind(session: Session, branch: str | None) -> None:
    """Reminds the user of a merge in progress into the branch, if there is one."""
    row = merge_into(session, branch)
    if row is not None:
        diagnostics.warning(f"the {name(row)} is still in progress")
        diagnostics.hint(place(session, row["target"]).last_step)


@contextmanager
def hints_as_commands(session: Session, where: Place) -> Iterator[None]:
    """Errors about merges with the commands to type next, where the SQL functions name SQL."""
    try:
        yield
    except Exception as error:
        found = diagnostics.translate(error)
        if isinstance(found, EpochConflict):
            raise stopped(session, where) from error
        if isinstance(found, EpochMergeError) and merge_into(session, where.branch) is not None:
            raise EpochMergeError(found.message, where.last_step) from error
        if (found.hint or "").startswith("FROM epoch_conflicts()"):
            raise type(found)(found.message, where.command("conflicts show")) from error
        raise


def stopped(session: Session, where: Place) -> EpochError:
    """The error of a merge that stopped on conflicts or violations."""
    row = merge_into(session, where.branch)
    assert row is not None and where.branch is not None
    return EpochConflict(f"the {name(row)} stopped: {left(row)}", where.next_steps)
