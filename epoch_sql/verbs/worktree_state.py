"""The state of the working tables: uncommitted changes, unmade objects, untrusted definitions, and traits that no
commit keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import duckdb

from epoch_sql.advice import Advice, Suggestion
from epoch_sql.call import Call
from epoch_sql.catalog.local import Unmade
from epoch_sql.errors import EpochDirtyError, EpochTableError
from epoch_sql.model.commit import RowCounts, Tree
from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.plan.executor import Attempt, ObjectKey, Outcome
from epoch_sql.plan.making import MAY_BE_UNMADE, Ghost, dependents, make, try_to_make
from epoch_sql.storage.contents import Contents
from epoch_sql.verb import procedure
from epoch_sql.versions.folding import count_changes
from epoch_sql.versions.recording import confirm
from epoch_sql.versions.sides import by_value, crossing
from epoch_sql.worktree import ddl, ordering
from epoch_sql.worktree.introspect import read_unversioned
from epoch_sql.worktree.ordering import Definition, references
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
    changes, shape = call.scanner.changes(table)
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


@dataclass
class Attempts:
    """What the attempts at one move of the working tables have shown, each of which was rolled back.

    ``attempt`` says how much is built again, ``refused`` what cannot be created and why, ``ghosts`` what still holds an
    object. ``unmade_before`` is what was unmade already when the last attempt began.
    """

    attempt: Attempt = "first"
    refused: dict[ObjectKey, str] = field(default_factory=dict)
    ghosts: list[Ghost] = field(default_factory=list)
    unmade_before: tuple[SchemaObject, ...] = ()


def left_out(
    call: Call, working: Working, target: Tree, refused: Mapping[ObjectKey, str] = MappingProxyType({})
) -> dict[ObjectKey, str]:
    """The objects of the target that are not tried, with the reasons. They were refused in this operation, or they
    are unmade and only an attempt would tell (see ``plan.making``)."""
    noted = Unmade(call.cursor).load() if working.unmade else []
    standing = {o: why for o, why in noted if o in working.unmade}
    tried = {o: why for o, why in standing.items() if o.kind != "view" or o.name.schema != "main"}
    found = {(o.kind, o.name): tried[o] for o in _objects(call.contents, target, tried) if o in tried}
    return {**found, **refused}


def note_unmade(call: Call, attempts: Attempts, working: Working, target: Tree, outcome: Outcome) -> None:
    """Store the objects of the target that could not be created."""
    omitted = left_out(call, working, target, attempts.refused)
    objects = _objects(call.contents, target, [SchemaObject(kind, name, "") for kind, name in omitted])
    found = [(o, omitted[o.kind, o.name]) for o in objects if (o.kind, o.name) in omitted]
    Unmade(call.cursor).replace([*outcome.unmade, *found])
    attempts.unmade_before = working.unmade


def _objects(contents: Contents, target: Tree, wanted: Collection[SchemaObject]) -> list[SchemaObject]:
    """The objects of a tree, with the triggers of its tables if any are wanted."""
    if not any(o.kind == "trigger" for o in wanted):
        return [*target.objects]
    tables = [contents.table(entry.version_id) for entry in target.tables.values()]
    return [*target.objects, *ddl.trigger_objects(tables)]


def note_replaced(cursor: duckdb.DuckDBPyConnection, working: Working) -> None:
    """At a commit, remove the unmade objects whose name the user has used since."""
    unmade = Unmade(cursor)
    reasons = {(found.kind, found.name.name): why for found, why in unmade.load()}
    unmade.replace([(found, reasons[found.kind, found.name.name]) for found in working.unmade])


def make_again(call: Call, unmade_before: Sequence[SchemaObject]) -> None:
    """Try the unmade objects once more, each by itself, after the transaction: objects that read the repository can
    be created now. Those that stay unmade are warnings."""
    unmade = Unmade(call.cursor)
    reasons = dict(unmade.load())
    if not reasons:
        return
    for found in ordering.object_order(list(reasons)):
        reason = make(call.cursor, found)
        if reason is None:
            del reasons[found]
    with call.transaction():
        unmade.replace(list(reasons.items()))
    new = [(o, why) for o, why in reasons.items() if o not in unmade_before]
    call.warn(
        *(f"{o.kind} {o.label} cannot be made, so it is left out here and kept in the commit: {why}" for o, why in new)
    )


def warn_of_stale(call: Call, before: Tree, working: Working, strict: bool) -> None:
    """Warn of committed objects that a checkout or a clone could not create again.

    Looks at objects that this commit changes, and at dependents of its changes. With ``strict`` raises EpochTableError.
    """
    reasons = {found: why for found in _suspects(call, before, working) if (why := _stale(call, found))}
    if not reasons:
        return
    if strict:
        listed = "; ".join(f"{o.kind} {o.label}: {why}" for o, why in reasons.items())
        raise EpochTableError(f"these could not be made again: {listed}", "drop or correct them, or leave out strict")
    call.warn(
        *(
            f"{o.kind} {o.label} cannot be made again, so a checkout or clone will be without it: {why}"
            for o, why in reasons.items()
        )
    )


def _stale(call: Call, obj: SchemaObject) -> str | None:
    ignored = [Table(name, ()) for name in call.scanner.ignored_names()]
    reads = [ignored[position].name for position, certain in references(obj, ignored).items() if certain]
    if reads:
        return f"it reads {reads[0]}, which is ignored"
    with call.cursor.cursor() as cursor:
        return try_to_make(cursor, obj)


def _suspects(call: Call, before: Tree, working: Working) -> list[SchemaObject]:
    """The committed views and macros that the changes may have broken, in the order of their names."""
    old = set(call.scanner.visible(before).objects)
    made = [*working.made, *_made_triggers(working)]
    old |= set(ddl.trigger_objects(w.committed.renamed(w.table.name) for w in working.tables if w.committed))
    changed: list[Definition] = [o for o in made if o not in old]
    changed += [o for o in old if o not in working.objects and o.kind != "trigger"]
    tables = [(w.committed, w.table) for w in working.tables if w.schema_differs]
    dropped = [call.contents.table(entry.version_id) for entry in working.removed]
    changed += [*dropped, *(table for pair in tables for table in pair if table)]
    suspects: Sequence[SchemaObject] = [o for o in made if o in changed]
    rest: list[Definition] = [o for o in made if o not in changed]
    while found := dependents(rest, changed, dropped) if changed else []:
        suspects = [*suspects, *(o for o in found if isinstance(o, SchemaObject))]
        changed = found
        rest = [o for o in rest if o not in found]
    return [o for o in suspects if o.kind in MAY_BE_UNMADE]


def _made_triggers(working: Working) -> list[SchemaObject]:
    return [o for o in ddl.trigger_objects(w.table for w in working.tables) if o not in working.unmade]
