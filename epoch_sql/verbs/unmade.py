"""Objects that DuckDB refuses to create: noted, tried again, and warned of before a checkout meets them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import duckdb

from epoch_sql.call import Call
from epoch_sql.catalog.local import Unmade
from epoch_sql.errors import EpochTableError
from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.plan.executor import Attempt, ObjectKey, Outcome
from epoch_sql.plan.making import MAY_BE_UNMADE, Ghost, dependents, make, try_to_make
from epoch_sql.storage.contents import Contents
from epoch_sql.worktree import ddl, ordering
from epoch_sql.worktree.ordering import Definition, references
from epoch_sql.worktree.rows import Working


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
    if reasons:
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
