"""``fsck``: hashes every file again, computes every id again, and follows every reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from epoch_sql.operations.repository import Call
from epoch_sql.operations.upkeep.content_checks import broken_deltas, broken_files, broken_fingerprints, broken_rows
from epoch_sql.operations.upkeep.history_checks import broken_commits, broken_references
from epoch_sql.operations.upkeep.inventory import Inventory, take
from epoch_sql.operations.upkeep.structure_checks import (
    broken_definitions,
    broken_levels,
    broken_trees,
    broken_versions,
    duplicates,
)
from epoch_sql.verb import procedure

Found = tuple[str, str, str]
"""The finding of a check: the kind of the object, its id, and the problem."""


@dataclass(frozen=True)
class Problem:
    """A problem, its table, and its commits, newest first.

    ``kind`` is ``file``, ``level``, ``version``, ``schema``, ``tree``, ``root``, ``commit``, ``ref``, ``stash``,
    ``merge`` or ``fingerprint``.
    """

    kind: str
    table: str | None
    object_id: str
    commits: list[str]
    problem: str


@procedure("epoch_fsck", acts=False)
def check(call: Call) -> list[Problem]:
    """Hashes every file again and walks every commit. Gives one row for each problem, and no row if everything is
    sound."""
    call.forget()
    with call.transaction():
        inventory = take(call)
        return [_problem(inventory, *found) for found in _found(call, inventory)]


def _found(call: Call, inventory: Inventory) -> Iterator[Found]:
    """The findings. Reads the rows only of versions without other problems."""
    wrong = [
        *duplicates(inventory),
        *broken_files(call, inventory),
        *broken_definitions(inventory),
        *broken_levels(inventory),
        *broken_versions(inventory),
        *broken_trees(inventory),
        *broken_commits(inventory),
    ]
    yield from wrong
    yield from broken_references(call, inventory)
    sound = _sound_versions(inventory, wrong)
    yield from broken_rows(call, inventory, sound)
    yield from broken_deltas(call, inventory, sound)
    yield from broken_fingerprints(call, inventory, sound)


def _sound_versions(inventory: Inventory, wrong: Iterable[Found]) -> frozenset[str]:
    """The versions that can be read, because all of their parts are sound."""
    return frozenset(inventory.versions) - inventory.versions_needing((kind, i) for kind, i, _ in wrong)


def _problem(inventory: Inventory, kind: str, object_id: str, problem: str) -> Problem:
    commits = [object_id] if kind == "commit" else inventory.commits_needing(kind, object_id)
    return Problem(kind, inventory.table_of(kind, object_id), object_id, commits, problem)
