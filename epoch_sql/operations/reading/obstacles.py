"""``epoch_conflicts``, ``epoch_violations`` and ``epoch_merges``: merges in progress, and what stops them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from epoch_sql import render
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql
from epoch_sql.verb import Json, query


@dataclass(frozen=True)
class Conflict:
    """What both sides of a merge changed: a cell, a row, copies of a row, or (without a key) a definition."""

    table: str
    key: Json | None
    column: str | None
    kind: Literal["modify/modify", "modify/delete", "delete/modify", "add/add", "copies", "schema"]
    base: Json | None
    ours: Json | None
    theirs: Json | None
    resolved: bool


@dataclass(frozen=True)
class Violation:
    """A row that would violate a constraint, or (without a key) a definition that could not be made."""

    table: str
    constraint: str
    kind: str
    key: Json | None
    detail: str


@dataclass(frozen=True)
class MergeState:
    """A merge, revert or cherry-pick in progress, and the number of its obstacles."""

    target: str
    kind: Literal["merge", "revert", "cherry-pick"]
    source: str
    source_commit: str
    message: str
    author: str
    started_at: datetime
    conflicts: int
    violations: int


@query("epoch_conflicts", Conflict)
def conflicts(call: Call, table: str | None = None, *, into: str | None = None) -> Sql:
    """The conflicts of the merge in progress: cells, rows and definitions that both sides changed differently.

    Args:
        table: only this table
        into: the branch that is merged into; default: the current one
    """
    return render.render("conflicts", target=_target(call, into), table_name=render.literal(table))


@query("epoch_violations", Violation)
def violations(call: Call, *, into: str | None = None) -> Sql:
    """What would violate a constraint after the merge in progress: rows, and definitions that cannot be created
    (without a key: a view over a dropped column, a foreign key to a dropped table).

    Args:
        into: the branch that is merged into; default: the current one
    """
    return render.render("violations", target=_target(call, into))


@query("epoch_merges", MergeState)
def merges(call: Call) -> Sql:
    """The merges, reverts and cherry-picks in progress, with their open conflicts and violations."""
    return render.render("merges")


def _target(call: Call, target: str | None) -> render.Fragment:
    return render.literal(target or call.head().branch)
