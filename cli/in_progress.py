"""Merges in progress: their descriptions, and the commands that continue them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click

from epoch_sql.advice import to_finish
from epoch_sql.errors import MergeConflict
from epoch_sql.model.patterns import counted

from . import diagnostics
from .session import Session, call

into_option = click.option(
    "--into", metavar="BRANCH", help="The branch that is merged into (default: the current one)."
)


@dataclass(frozen=True)
class Target:
    """The branch that is merged into, and whether commands must name it because another branch is checked out."""

    branch: str | None
    named: bool

    def command(self, words: str) -> str:
        """``epoch merge --continue``, with ``--into BRANCH`` where it is needed."""
        return f"epoch {words}{f' --into {shlex.quote(self.branch)}' if self.named and self.branch else ''}"

    @property
    def into(self) -> str | None:
        """The branch where commands must name it."""
        return self.branch if self.named else None


def merge_target(session: Session, into: str | None) -> Target:
    """The branch that a command of a merge works on: ``--into``, or the branch that is checked out."""
    current = session.read(call("epoch_head"))[0]["branch"]
    return Target(into or current, into is not None and into != current)


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
        diagnostics.advise(to_finish(merge_target(session, row["target"]).into))


@contextmanager
def stopping() -> Iterator[None]:
    """A merge that stops is named by what it is: its conflicts are listed before."""
    try:
        yield
    except MergeConflict as stop:
        row = {"kind": stop.verb, "source": stop.source, "target": stop.target}
        found = {"conflicts": stop.conflicts, "violations": stop.violations}
        raise replace(stop, message=f"the {name(row)} stopped: {left(found)}") from stop
