"""Derived tables, which are computed from others: the patterns of their names, and which of them are stale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.call import Call
from epoch_sql.catalog.local import Freshness, Mark
from epoch_sql.errors import EpochTableError
from epoch_sql.model.commit import Tree
from epoch_sql.model.names import is_line, matches_name, quoted, suggest
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.verb import procedure, query
from epoch_sql.verbs.patterns import change_pattern
from epoch_sql.verbs.worktree_state import stale_tables


@dataclass(frozen=True)
class DerivedPattern:
    """A shell pattern of the names of derived tables, in lower case."""

    pattern: str


@dataclass(frozen=True)
class RebuiltTable:
    """A stale table that the next commit makes fresh."""

    table: str


@procedure("epoch_derived")
def derive(call: Call, pattern: str, *, remove: bool = False) -> DerivedPattern:
    """Marks tables whose names match a pattern as derived: computed from other tables. The next commit holds it.

    Where both sides of a merge changed a derived table, the merge keeps ours whole. Where both sides changed anything,
    it leaves derived tables stale, until they are rebuilt and committed. Raises EpochTableError where ``remove`` finds
    no such pattern.

    Args:
        pattern: a shell pattern of table names: `mart_*`
        remove: tables of this pattern are no longer derived
    """
    wanted = pattern.lower()
    if not is_line(wanted):
        raise EpochTableError("a pattern is a text on one line", Suggestion("derived", "mart_*"))
    unless, listing = "a pattern of derived tables", Suggestion("derived_patterns")
    change_pattern(call, "derived", wanted, remove, unless=unless, listing=listing)
    return DerivedPattern(wanted)


@query("epoch_derived_patterns", DerivedPattern)
def derived_patterns(call: Call) -> Sql:
    """The patterns of `epoch_derived`: tables whose names match are computed from others."""
    return render.render("listing.patterns", kind=render.literal("derived"))


@procedure("epoch_rebuilt")
def rebuilt(call: Call, pattern: str) -> list[RebuiltTable]:
    """States that stale tables hold what a rebuild gives, although no row of theirs changed. The next commit makes
    them fresh.

    It is needed only where a rebuild gave the same rows: a commit with other rows makes a table fresh by itself. Raises
    EpochTableError if no stale table matches.

    Args:
        pattern: a shell pattern of table names: `mart_*`
    """
    with call.moving():
        working = call.scan(call.tree(call.head().commit_id))
        stale = {str(w.table.name): w for w in stale_tables(call, working)}
        found = {name: w for name, w in stale.items() if matches_name([pattern], w.table.name)}
        if not found:
            near = did_you_mean(suggest(pattern, stale)) or Suggestion("status")
            raise EpochTableError(f"no stale table is called {quoted(pattern)}", near, table=pattern)
        fresh = [Mark(w.table_id, False, call.contents.fingerprint(w.entry) or "") for w in found.values()]
        marks = {**working.marks, **{mark.table_id: mark for mark in fresh}}
        Freshness(call.cursor).replace(marks.values())
    return [RebuiltTable(name) for name in sorted(found)]


def keep_freshness(call: Call, held: Tree, head: Tree) -> list[str]:
    """Mark what the working tables hold as stale or fresh, as it is in the tree that they come from, where HEAD says
    something else. Gives the names of the stale tables."""
    if not held.derived:
        return []
    call.contents.load(entry.version_id for tree in (held, head) for entry in tree.tables.values())
    marks = list(_marks(call.contents, held, head))
    Freshness(call.cursor).replace(marks)
    return sorted(str(held.tables[mark.table_id].name) for mark in marks if mark.stale)


def _marks(contents: Contents, held: Tree, head: Tree) -> Iterator[Mark]:
    for entry in held.tables.values():
        was, fingerprint = head.tables.get(entry.table_id), contents.fingerprint(entry)
        stale_there = was is not None and was.stale and contents.fingerprint(was) == fingerprint
        if entry.stale != stale_there:
            yield Mark(entry.table_id, entry.stale, fingerprint or "")
