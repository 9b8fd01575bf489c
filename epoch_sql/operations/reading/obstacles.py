"""``epoch_conflicts`` and ``epoch_violations``: what is in the way of a merge in progress."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql


def conflicts(call: Call, table_name: str | None = None, target: str | None = None) -> Sql:
    """The conflicts of the merge in progress of a branch, by default the checked-out one."""
    return render.render("conflicts", target=_target(call, target), table_name=render.literal(table_name))


def violations(call: Call, target: str | None = None) -> Sql:
    """The violations of the merge in progress of a branch, by default the checked-out one."""
    return render.render("violations", target=_target(call, target))


def merges(call: Call) -> Sql:
    """The merges in progress."""
    return render.render("merges")


def _target(call: Call, target: str | None) -> render.Fragment:
    return render.literal(target or call.head().branch)
