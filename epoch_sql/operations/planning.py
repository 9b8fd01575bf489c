"""``epoch_plan``: the steps that a checkout or a hard reset would take. Takes none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import Table
from epoch_sql.model.version import RowCounts
from epoch_sql.operations.reading.patch_plan import unqualified
from epoch_sql.operations.recording import count_changes
from epoch_sql.operations.repository import Call
from epoch_sql.operations.unmade import left_out
from epoch_sql.operations.worktree_state import settle
from epoch_sql.plan.executor import working_plan
from epoch_sql.plan.steps import Alter, ChangeRows, Fill, Plan, TableChange, describe, statements
from epoch_sql.storage.contents import arrange, compare
from epoch_sql.storage.shape import shape_of
from epoch_sql.verb import procedure
from epoch_sql.worktree.rows import working_rows
from epoch_sql.worktree.scan import Working


@dataclass(frozen=True)
class PlanStep:
    """A step: its action and its object, with the statement for a definition, and the number of rows otherwise."""

    step_order: int
    action: str
    kind: str
    name: str
    row_count: int | None
    statement: str | None


@procedure("epoch_plan", acts=False)
def steps(call: Call, ref: str) -> list[PlanStep]:
    """The steps that a checkout or a hard reset would take. Changes nothing. Actions are `drop`, `alter`, `create`,
    `refresh`, and for rows `delete`, `update` and `insert`.

    Steps that change no row are left out.

    Args:
        ref: the target of the checkout or hard reset
    """
    target = call.scanner.visible(call.tree(call.resolve(ref)))
    working = settle(call, call.scan(call.tree(call.head().commit_id)))
    plan = working_plan(call.contents, working, target, left_out=left_out(call, working, target))
    found = [*_definitions(plan), *_rows(call, plan, working, target)]
    return [PlanStep(number, *fields) for number, fields in enumerate(found, 1)]


_Fields = tuple[str, str, str, int | None, str | None]


def _definitions(plan: Plan) -> Iterator[_Fields]:
    with unqualified():
        for step in plan.definitions:
            made = step.after if isinstance(step, Alter) else step.what
            kind = "table" if isinstance(made, Table) else made.kind
            yield describe(step), kind, str(made.name), None, ";\n".join(statements(step))


def _rows(call: Call, plan: Plan, working: Working, target: Tree) -> Iterator[_Fields]:
    counts: dict[str, RowCounts] = {}
    for step in plan.rows:
        change = step.change
        assert change.after
        if change.table_id not in counts:
            counts[change.table_id] = _counts(call, step, working, target.tables[change.table_id].version_id)
        of_table = counts[change.table_id]
        numbers = {"delete": of_table.removed, "update": of_table.modified, "insert": of_table.added}
        action = describe(step)
        if numbers[action]:
            yield action, "rows", str(change.after.name), numbers[action], None


def _counts(call: Call, step: ChangeRows | Fill, working: Working, version_id: str) -> RowCounts:
    """The number of rows that a step would delete, update and insert now."""
    contents = call.contents
    if isinstance(step, Fill):
        return RowCounts(added=contents.version(version_id).row_count)
    now = next(w for w in working.tables if w.table_id == step.change.table_id)
    after = _after(step.change)
    shape = shape_of(now.table, after)
    if now.entry and not now.differs:
        return count_changes(call, contents.changes(now.entry.version_id, version_id), shape.keyless)
    before = arrange(working_rows(now.table), shape, now.table, old=True)
    rows = compare(shape, before, arrange(contents.state(version_id), shape, after))
    return count_changes(call, rows, shape.keyless)


def _after(change: TableChange) -> Table:
    assert change.after
    return change.after
