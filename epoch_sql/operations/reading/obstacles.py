"""``epoch_conflicts`` and ``epoch_violations``: what is in the way of a merge in progress."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.operations.repository import Repository
from epoch_sql.render import Sql


def conflicts(repository: Repository, table_name: str | None = None, target: str | None = None) -> Sql:
    """The conflicts of the merge in progress of a branch, by default the checked-out one."""
    return render.render("conflicts", target=_target(repository, target), table_name=render.literal(table_name))


def violations(repository: Repository, target: str | None = None) -> Sql:
    """The violations of the merge in progress of a branch, by default the checked-out one."""
    return render.render("violations", target=_target(repository, target))


def merges(repository: Repository) -> Sql:
    """The merges in progress."""
    return render.render("merges")


def _target(repository: Repository, target: str | None) -> render.Fragment:
    return render.literal(target or repository.head().branch)
