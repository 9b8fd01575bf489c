"""Every scenario: the merge gives the rows, conflicts and violations stated, in both directions, as previewed.

``make test`` plays every third group of each batch, one theirs into ours and the next ours into theirs;
``make test-all`` plays all else, and makes each of these merges again from what it records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Repo
from tests.merge import (
    scenarios_bags,
    scenarios_cells,
    scenarios_columns,
    scenarios_constraints,
    scenarios_definitions,
    scenarios_objects,
    scenarios_tables,
    scenarios_types,
)
from tests.merge.playing import Played, Scenario, play

DIRECTIONS = ("theirs into ours", "ours into theirs")
BATCHES: dict[str, Sequence[Scenario]] = {
    "cells": scenarios_cells.CELLS,
    "added": scenarios_cells.ADDED,
    "rows": scenarios_cells.ROWS,
    "keys": scenarios_cells.KEYS,
    "bags": scenarios_bags.BAGS,
    "columns": scenarios_columns.CLEAN,
    "columns in conflict": scenarios_columns.CONFLICTS,
    "columns dropped on each side": scenarios_columns.EACH_DROPS,
    "tables": scenarios_tables.CLEAN,
    "tables in conflict": scenarios_tables.CONFLICTS,
    "objects": scenarios_objects.CLEAN,
    "objects in conflict": scenarios_objects.CONFLICTS,
    "types": scenarios_types.TYPES,
    "constraints": scenarios_constraints.KEPT,
    "violations": scenarios_constraints.VIOLATED,
    "violations in tables of one side": scenarios_constraints.ONE_SIDED,
    "definitions that follow": scenarios_definitions.FOLLOWED,
    "definitions that cannot be made": scenarios_definitions.IMPOSSIBLE,
}
CORE = ("bags",)
AT_ONCE = 6


def together(batch: str, scenario: Scenario) -> Sequence[Scenario]:
    """The scenarios that share a repository with this one."""
    if scenario.alone:
        return [scenario]
    sharing = [s for s in BATCHES[batch] if not s.alone]
    start = sharing.index(scenario) // AT_ONCE * AT_ONCE
    return sharing[start : start + AT_ONCE]


def is_quick(batch: str, scenario: Scenario, direction: str) -> bool:
    if batch == "types":
        # One table of all types takes as long as fifty others.
        return False
    group = BATCHES[batch].index(together(batch, scenario)[0]) // AT_ONCE
    turn = group + [*BATCHES].index(batch)
    return turn % 4 == 0 and group % 4 == 0 and DIRECTIONS.index(direction) == turn // 4 % 2


CASES = [
    pytest.param(
        batch,
        scenario,
        direction,
        id=f"{batch}: {scenario.name}: {direction}",
        marks=[
            *([pytest.mark.core] if batch in CORE else []),
            *([] if is_quick(batch, scenario, direction) else [pytest.mark.slow]),
        ],
    )
    for batch, scenarios in BATCHES.items()
    for scenario in scenarios
    for direction in DIRECTIONS
]


@contextmanager
def database(folder: Path) -> Iterator[Repo]:
    repo = Repo(folder / "shop.duckdb")
    try:
        yield repo
    finally:
        repo.close()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """What was found of a scenario; many of a batch are played at once when the first of them is asked for."""
    found: dict[tuple[str, str, str], Played] = {}
    tried: set[tuple[str, str, str]] = set()

    def find(batch: str, scenario: Scenario, direction: str) -> Played:
        group = together(batch, scenario)
        if (batch, group[0].name, direction) not in tried:
            tried.add((batch, group[0].name, direction))
            remade = not is_quick(batch, scenario, direction)
            with database(tmp_path_factory.mktemp("scenarios")) as repo:
                for name, one in play(repo, group, direction == DIRECTIONS[1], remade).items():
                    found[batch, name, direction] = one
        assert (batch, scenario.name, direction) in found, f"the batch {batch} failed, see its first scenario"
        return found[batch, scenario.name, direction]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        yield find


@pytest.mark.parametrize(("batch", "scenario", "direction"), CASES)
def test_scenario(played, batch: str, scenario: Scenario, direction: str) -> None:
    one = played(batch, scenario, direction)
    mirrored = direction == DIRECTIONS[1]
    conflicts = [c.mirrored if mirrored else c for c in scenario.conflicts]
    unshown = {c.table for c in conflicts if c.ours is ...}
    listed = [(*row[:4], None, None, None) if row[0] in unshown else row for row in one.conflicts]
    assert sorted(listed, key=str) == sorted((c.row for c in conflicts), key=str)
    assert sorted(one.violations) == sorted(v.row for v in scenario.violations)
    for violation in scenario.violations:
        assert any(violation.detail in detail for detail in one.details)
    for name, expected in scenario.rows.items():
        wanted = scenario.swapped.get(name, expected) if mirrored else expected
        assert one.rows[name] == list(wanted), name
    assert one.previewed == _foreseen(one, scenario)


def _foreseen(one: Played, scenario: Scenario) -> dict[str, tuple[int, ...]]:
    """What the preview had to say: obstacles where there were any, and else exactly what the merge then did."""
    settled = not scenario.conflicts and not scenario.violations
    names = {
        *one.previewed,
        *(c[0] for c in one.conflicts),
        *(v[0] for v in one.violations),
        *(one.stat if settled else ()),
    }
    expected = {}
    for name in names:
        data = sum(c[0] == name and c[3] != "schema" for c in one.conflicts)
        schema = sum(c[0] == name and c[3] == "schema" for c in one.conflicts)
        violations = sum(v[0] == name for v in one.violations)
        rows = one.stat.get(name, (0, 0, 0)) if settled else one.previewed.get(name, (0, 0, 0))[:3]
        expected[name] = (*rows, data, schema, violations)
    return expected
