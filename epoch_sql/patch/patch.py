"""``epoch_patch``: SQL that turns one state into another, in any DuckDB database that holds the first.

The statements run one after the other, each in a transaction of its own, because DuckDB refuses to delete a row and the
row that it refers to in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.patch.planning import plan_patch
from epoch_sql.patch.rows import DEFINITIONS, TRIGGERS, TableRows
from epoch_sql.plan.making import folded
from epoch_sql.plan.planner import Fill
from epoch_sql.render import Sql
from epoch_sql.verb import columns_of, relation


@dataclass(frozen=True)
class PatchStatement:
    """A statement of a patch."""

    statement_order: int
    table: str | None
    diff_type: Literal["schema", "data"]
    statement: str


@relation("epoch_patch", PatchStatement)
def patch(call: Call, from_ref: str, to_ref: str, *, table: str | None = None) -> Sql:
    """The SQL statements that turn one state into another, in any DuckDB database. Run them in order, one by one.

    Definitions come first, then deletions, children before parents, then updates, then insertions, parents first, and
    at the end triggers, which must not fire. Raises EpochTableError for an unknown table, and for a table that cannot
    have a patch of its own.

    Args:
        from_ref: the older side: a reference, or WORKING
        to_ref: the newer side: a reference, or WORKING
        table: only this table
    """
    return statements_between(call, from_ref, to_ref, table)


def statements_between(call: Call, from_ref: str | None, to_ref: str, table: str | None = None) -> Sql:
    """The rows of a patch; without ``from_ref``, of one that makes the state from nothing."""
    planned = plan_patch(call, from_ref, to_ref, table)
    selects = _definitions(planned.definitions(planned.plan.definitions), DEFINITIONS)
    shared: dict[str, list[Sql]] = {}
    positions = {step.change.table_id: position for position, step in enumerate(planned.plan.rows)}
    for step in planned.plan.rows:
        change = step.change
        assert change.after
        referenced = folded(change.after.name) in planned.referenced
        source = planned.sources[change.table_id]
        rows = TableRows(call, source, change.after, positions[change.table_id], referenced)
        if isinstance(step, Fill):
            selects.append(rows.fill())
        else:
            shared[change.table_id] = rows.shared
            selects += rows.statements(step.action)
    selects += _definitions(planned.definitions(planned.plan.triggers), TRIGGERS)
    if not selects:
        return render.constants(columns_of(PatchStatement))
    statements = render.joined(selects, "\nUNION ALL BY NAME\n")
    if shared:
        together = render.joined([part for parts in shared.values() for part in parts], ",\n")
        statements = render.fill(Sql("WITH {{shared}} {{s}}"), shared=together, s=statements)
    return render.render("patch.patch", statements=statements)


def _definitions(statements: Sequence[tuple[str, Sql]], phase: int) -> list[Sql]:
    """The statements that change definitions, as part of the patch."""
    if not statements:
        return []
    names, texts = zip(*statements, strict=True)
    return [
        render.render(
            "patch.schema",
            phase=render.literal(phase),
            names=render.strings(names),
            statements=render.strings(texts),
        )
    ]
