"""The state of the working tables: uncommitted changes, and traits that no commit keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from epoch_sql.advice import Advice, Suggestion
from epoch_sql.call import Call
from epoch_sql.errors import EpochDirtyError
from epoch_sql.model.commit import RowCounts, Tree
from epoch_sql.model.schema import SchemaObject
from epoch_sql.verb import procedure
from epoch_sql.versions.folding import count_changes
from epoch_sql.versions.recording import confirm
from epoch_sql.versions.sides import by_value, crossing
from epoch_sql.worktree.introspect import read_unversioned
from epoch_sql.worktree.rows import Working, WorkingTable, working_rows

_LOST = {
    "OWNED BY": "is not dropped with the table that owns it after a checkout or clone: OWNED BY is not versioned",
    "USING COMPRESSION": "is compressed as DuckDB chooses after a checkout or clone: its COMPRESSION is not versioned",
}
_TO_KEEP: Advice = (Suggestion("commit", "MESSAGE"), ", ", Suggestion("stash"), ", or force, to lose them")


def warn_of_unversioned(call: Call, before: Tree, working: Working) -> None:
    """Warn of unversioned traits of definitions that a commit adds or changes.

    DuckDB 1.x does not show the compression of a table.
    """
    old = set(before.objects)
    names = {w.table.name for w in working.tables if w.schema_differs}
    names |= {o.name for o in working.made if o.kind == "sequence" and o not in old}
    if names:
        call.warn(
            *(f"{kind} {name} {_LOST[trait]}" for kind, name, trait in read_unversioned(call.cursor) if name in names)
        )


Change = Literal[
    "added", "modified", "removed", "renamed", "schema", "unkeyed", "unmade", "derived", "rebuilt", "stale"
]


@dataclass(frozen=True)
class Uncommitted:
    """A table or another object that differs from the last commit."""

    table: str
    change: Change
    rows: RowCounts


@procedure("epoch_status", acts=False)
def status(call: Call) -> list[Uncommitted]:
    """The uncommitted changes: `added`, `modified`, `removed`, `renamed` or `schema`, with the numbers of rows. Also
    `unmade`: committed objects that DuckDB refuses to create here, and `unkeyed`: tables that have lost a column of
    their declared key, whose rows are not compared. Of derived tables: `derived`, a pattern that is new or gone,
    `stale`, a table that has to be rebuilt, and `rebuilt`, one that the next commit makes fresh."""
    tree = call.tree(call.head().commit_id)
    working = call.scan(tree, unkeyed=True)
    unmade = [Uncommitted(found.label, "unmade", RowCounts()) for found in working.unmade]
    stale = [Uncommitted(str(w.table.name), "stale", RowCounts()) for w in stale_tables(call, working)]
    return sorted(uncommitted(call, tree, working) + unmade + stale, key=lambda change: change.table)


def stale_tables(call: Call, working: Working) -> list[WorkingTable]:
    """The stale tables that the next commit would leave stale."""
    suspects = [w for w in working.tables if w.entry and (w.entry.stale or w.table_id in working.marks)]
    return [w for w in suspects if _stays_stale(call, working, w)]


def _stays_stale(call: Call, working: Working, table: WorkingTable) -> bool:
    fingerprint = call.contents.fingerprint(table.entry)
    stale = working.is_stale(table, fingerprint or "", fingerprint)
    return stale and not _unkeyed(working, table) and not changed_rows(call, table).total


def uncommitted(call: Call, tree: Tree, working: Working) -> list[Uncommitted]:
    """Everything that differs from a tree, by name."""
    found = [
        Uncommitted(str(entry.name), "removed", RowCounts(removed=call.contents.version(entry.version_id).row_count))
        for entry in working.removed
    ]
    found.extend(Uncommitted(str(t.table.name), "unkeyed", RowCounts()) for t in working.tables if _unkeyed(working, t))
    for table in (table for table in working.tables if not _unkeyed(working, table)):
        rows = changed_rows(call, table)
        if table.schema_differs or rows.total:
            found.append(Uncommitted(str(table.table.name), _change(table), rows))
        elif table.entry and table.entry.stale and not _stays_stale(call, working, table):
            found.append(Uncommitted(str(table.table.name), "rebuilt", rows))
    found.extend(_changed_objects(call.scanner.visible(tree).objects, working.objects))
    found.extend(Uncommitted(p, "derived", RowCounts()) for p in {*tree.derived} ^ {*working.derived})
    return sorted(found, key=lambda change: change.table)


def _unkeyed(working: Working, table: WorkingTable) -> bool:
    return table.table_id in working.unkeyed


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


def require_clean(call: Call, tree: Tree, working: Working, fate: str, advice: Advice = _TO_KEEP) -> None:
    """Raises EpochDirtyError, which names the uncommitted changes, if there are any. ``fate`` is what would become of
    them."""
    changes = uncommitted(call, tree, working)
    if changes:
        names = ", ".join(change.table for change in changes[:3])
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise EpochDirtyError(
            f"uncommitted changes in {names}{more} would be {fate}",
            advice,
            tables=tuple(change.table for change in changes),
        )


def changed_rows(call: Call, table: WorkingTable) -> RowCounts:
    """The number of rows of a working table that differ from the last commit."""
    if not table.rows_differ:
        return RowCounts()
    if table.entry is None:
        return RowCounts(added=table.row_count)
    changes, shape = call.scanner.comparison.changes(table)
    confirm(call, table, changes)
    if table.committed and crossing(table.committed, table.table):
        before = call.contents.state(table.entry.version_id)
        changes, shape = by_value(table.committed, before, table.table, working_rows(table.table))
    return count_changes(call.cursor, changes, shape.keyless)


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
