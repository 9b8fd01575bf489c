"""The uncommitted changes, for ``status`` and for operations that would lose them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from epoch_sql.errors import EpochDirtyError, Suggestion
from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import SchemaObject
from epoch_sql.model.version import RowCounts
from epoch_sql.operations.reading.generated import by_value, crossing
from epoch_sql.operations.recording import confirm, count_changes
from epoch_sql.operations.repository import Call
from epoch_sql.verb import procedure
from epoch_sql.worktree.rows import working_rows
from epoch_sql.worktree.scan import Working, WorkingTable

Change = Literal["added", "modified", "removed", "renamed", "schema", "unmade"]


@dataclass(frozen=True)
class Uncommitted:
    """A table or another object that differs from the last commit."""

    table: str
    change: Change
    rows: RowCounts


@procedure("epoch_status", acts=False)
def status(call: Call) -> list[Uncommitted]:
    """The uncommitted changes: `added`, `modified`, `removed`, `renamed` or `schema`, with the numbers of rows. Also
    `unmade`: committed objects that DuckDB refuses to create here."""
    tree = call.tree(call.head().commit_id)
    working = call.scan(tree)
    unmade = [Uncommitted(found.label, "unmade", RowCounts()) for found in working.unmade]
    return sorted(uncommitted(call, tree, working) + unmade, key=lambda change: change.table)


def uncommitted(call: Call, tree: Tree, working: Working) -> list[Uncommitted]:
    """Everything that differs from a tree, by name."""
    found = [
        Uncommitted(str(gone.name), "removed", RowCounts(removed=call.contents.version(gone.version_id).row_count))
        for gone in working.removed
    ]
    for table in working.tables:
        rows = changed_rows(call, table)
        if table.schema_differs or rows.total:
            found.append(Uncommitted(str(table.table.name), _change(table), rows))
    found.extend(_changed_objects(call.scanner.visible(tree).objects, working.objects))
    return sorted(found, key=lambda change: change.table)


def settle(call: Call, working: Working) -> Working:
    """The same, after comparing rows wherever the hashes leave open whether they changed.

    If a table now stores a computed column, or the reverse, its rows are stored differently even if the values are
    equal.
    """
    tables = tuple(
        replace(t, rows_differ=False)
        if t.rows_differ and t.committed and not crossing(t.committed, t.table) and not changed_rows(call, t).total
        else t
        for t in working.tables
    )
    return replace(working, tables=tables)


def require_clean(call: Call, tree: Tree, working: Working, doing: str) -> None:
    """Raises EpochDirtyError, which names the uncommitted changes, if there are any."""
    changes = uncommitted(call, tree, working)
    if changes:
        names = ", ".join(change.table for change in changes[:3])
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise EpochDirtyError(
            f"uncommitted changes in {names}{more} would be lost by {doing}",
            (Suggestion("commit", "MESSAGE"), ", ", Suggestion("stash"), ", or force, to lose them"),
            tables=tuple(change.table for change in changes),
        )


def changed_rows(call: Call, table: WorkingTable) -> RowCounts:
    """The number of rows of a working table that differ from the last commit."""
    if not table.rows_differ:
        return RowCounts()
    if table.entry is None:
        return RowCounts(added=table.row_count)
    changes, shape = call.scanner.changes(table)
    confirm(call, table, changes)
    if table.committed and crossing(table.committed, table.table):
        before = call.contents.state(table.entry.version_id)
        changes, shape = by_value(table.committed, before, table.table, working_rows(table.table))
    return count_changes(call, changes, shape.keyless)


def _change(table: WorkingTable) -> Change:
    if table.entry is None:
        return "added"
    if table.entry.name != table.table.name:
        return "renamed"
    return "schema" if table.schema_differs else "modified"


def _changed_objects(before: tuple[SchemaObject, ...], after: tuple[SchemaObject, ...]) -> list[Uncommitted]:
    old = {(o.kind, o.name): o for o in before}
    new = {(o.kind, o.name): o for o in after}
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            change: Change = "added" if key not in old else "removed" if key not in new else "schema"
            name = (new.get(key) or old[key]).label
            changes.append(Uncommitted(name, change, RowCounts()))
    return changes
