"""Merges two trees against a base: tables one by one, then the other objects. Stores nothing.

The result of each table is a ``MergedEntry``; ``writing.py`` turns it into a version, ``constraints.py`` checks it, and
``listing.py`` lists its conflicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from epoch_sql import render
from epoch_sql.call import Call, require_trusted
from epoch_sql.errors import EpochTableError
from epoch_sql.merge.decisions import Decisions, RowDecisions
from epoch_sql.merge.merged import MergedEntry, MergedTree, followed
from epoch_sql.merge.preparing import Preparation
from epoch_sql.merge.rows import merge_rows
from epoch_sql.merge.sides import RowMerge, Side
from epoch_sql.model.commit import TableEntry, Tree, merged_patterns
from epoch_sql.model.names import matches_name
from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.model.schema_diff import column_text
from epoch_sql.model.schema_merge import (
    MergedTable,
    SchemaConflict,
    as_on_one_side,
    merge_definitions,
    merge_objects,
)
from epoch_sql.render import Sql
from epoch_sql.storage.contents import arrange
from epoch_sql.storage.shape import compare, keyed_alike, shape_of


def merge_trees(
    call: Call, base: Tree, ours: Tree, theirs: Tree, decisions: Decisions, rows: bool = True
) -> MergedTree:
    """Merge two trees. With ``rows``, merge rows that both sides changed into temporary tables of the cursor."""
    for tree in (base, ours, theirs):
        call.contents.load(entry.version_id for entry in tree.tables.values())
    merger = _TreeMerger(call, base, ours, theirs, decisions, rows)
    ids = dict.fromkeys((*ours.tables, *theirs.tables, *base.tables))
    entries = [entry for entry in (merger.table(table_id) for table_id in ids) if entry]
    objects, conflicts = merge_objects(
        base.objects, ours.objects, theirs.objects, decisions.for_definition, decisions.forced
    )
    merger.conflicts.extend(conflicts)
    tables, objects = merger.distinct_views(merger.distinct_names(entries), objects)
    tables = merger.with_followed_references(tables)
    stale = merger.stale(tables, objects)
    return MergedTree(base, ours, theirs, tuple(tables), objects, tuple(merger.conflicts), merger.derived, stale)


class _TreeMerger:
    def __init__(self, call: Call, base: Tree, ours: Tree, theirs: Tree, decisions: Decisions, rows: bool) -> None:
        self.call = call
        self.contents = call.contents
        self.sides = (base, ours, theirs)
        self.decisions = decisions
        self.preparation = Preparation(call)
        self.rows = rows
        self.conflicts: list[SchemaConflict] = []
        self.number = 0
        self.derived = merged_patterns(base.derived, ours.derived, theirs.derived)
        self.kept: set[str] = set()

    def table(self, table_id: str) -> MergedEntry | None:
        old, left, right = (side.tables.get(table_id) for side in self.sides)
        forced = self.decisions.forced(*(str(entry.name) for entry in (old, left, right) if entry))
        if forced:
            return self._as_forced(forced, old, left, right)
        if left and right and self._rows_decided(left, right):
            return self._both_changed(old, left, right)
        if self._same(right, old) or self._same(left, right):
            return self._taken(left, old, left, right)
        if self._same(left, old):
            return self._taken(right, old, left, right)
        if any(self._is_derived(entry.name) for entry in (left, right) if entry):
            return self._kept(old, left, right)
        if left is None or right is None:
            return self._whole_in_conflict(old, left, right)
        return self._both_changed(old, left, right)

    def distinct_names(self, entries: Iterable[MergedEntry]) -> list[MergedEntry]:
        """The entries. Adds a conflict for each name that two different tables have."""
        kept: dict[tuple[str, str], MergedEntry] = {}
        for entry in entries:
            key = (entry.table.name.schema.lower(), entry.table.name.name.lower())
            if key not in kept:
                kept[key] = entry
                continue
            if self._is_derived(entry.table.name):
                self.kept.add(kept[key].table_id)
                continue
            name = str(entry.table.name)
            side = self.decisions.for_definition(name, None)
            ours, theirs = (self._show(e.table) for e in (kept[key], entry))
            self.conflicts.append(SchemaConflict(name, None, None, ours, theirs, resolved=side is not None))
            if side == "theirs":
                kept[key] = entry
        return list(kept.values())

    def distinct_views(
        self, entries: list[MergedEntry], objects: tuple[SchemaObject, ...]
    ) -> tuple[list[MergedEntry], tuple[SchemaObject, ...]]:
        """Tables and views. Adds a conflict for each name of a table on one side and a view on the other."""
        tables = {(e.table.name.schema.lower(), e.table.name.name.lower()): e for e in entries}
        gone: list[MergedEntry | SchemaObject] = []
        for view in objects:
            entry = tables.get((view.name.schema.lower(), view.name.name.lower()))
            if view.kind != "view" or entry is None:
                continue
            ours_is_view = view in self.sides[1].objects
            if self._is_derived(entry.table.name):
                self.kept.add(entry.table_id)
                gone.append(entry if ours_is_view else view)
                continue
            texts = (view.definition, self._show(entry.table))
            ours, theirs = texts if ours_is_view else texts[::-1]
            name = str(entry.table.name)
            side = self.decisions.for_definition(name, None)
            self.conflicts.append(SchemaConflict(name, None, None, ours, theirs, resolved=side is not None))
            gone.append(entry if ours_is_view == (side != "theirs") else view)
        return [e for e in entries if e not in gone], tuple(o for o in objects if o not in gone)

    def stale(self, tables: Sequence[MergedEntry], objects: Sequence[SchemaObject]) -> frozenset[str]:
        """The derived tables that nobody has computed from what the merge holds.

        If it holds exactly what a side holds, that side has computed them, or has them stale. Otherwise both sides
        brought something, and no derived table knows of both.
        """
        if not self.derived or self.decisions.strategy == "base":
            return frozenset()
        sides = [side for side in self.sides[1:] if self._holds(tables, objects, side)]

        def is_stale(table_id: str) -> bool:
            return table_id in self.kept or all(side.tables[table_id].stale for side in sides)

        return frozenset(e.table_id for e in tables if self._is_derived(e.table.name) and is_stale(e.table_id))

    def _holds(self, tables: Sequence[MergedEntry], objects: Sequence[SchemaObject], side: Tree) -> bool:
        """Whether the merge has the content of a side. How far sequences are does not matter."""
        if len(tables) != len(side.tables):
            return False
        if not all(e.entry and self._same(e.entry, side.tables.get(e.table_id)) for e in tables):
            return False
        made, own = ({replace(one, state=None) for one in found} for found in (objects, side.objects))
        return made == own

    def _is_derived(self, name: ObjectName) -> bool:
        return bool(self.derived) and matches_name(self.derived, name)

    def _kept(self, old: TableEntry | None, left: TableEntry | None, right: TableEntry | None) -> MergedEntry | None:
        """A derived table that both sides changed: that of our side, since its cells mean nothing one by one."""
        chosen = old if self.decisions.strategy == "base" else left
        if chosen:
            self.kept.add(chosen.table_id)
        return self._taken(chosen, old, left, right)

    def with_followed_references(self, entries: list[MergedEntry]) -> list[MergedEntry]:
        """The entries with foreign keys that use the merged names of their parents."""
        by_id = {entry.table_id: entry for entry in entries}
        found = []
        for entry in entries:
            table = followed(self.contents, entry, by_id, self.sides[1:])
            if table == entry.table:
                found.append(entry)
            elif entry.merge:
                found.append(replace(entry, table=table, merge=replace(entry.merge, merged=table)))
            else:
                found.append(self._redefined(entry, table))
        return found

    def _redefined(self, entry: MergedEntry, table: Table) -> MergedEntry:
        """The table of one side under another definition."""
        assert entry.entry
        version_id = entry.entry.version_id
        foundation = "ours" if entry.ours and entry.ours.version_id == version_id else "theirs"
        base, ours, theirs = (Side(name, version_id, entry.table) for name in ("base", "ours", "theirs"))
        merge = RowMerge(base, ours, theirs, table, RowDecisions(), foundation)
        return self._merged(entry.ours, merge, entry)

    def _taken(
        self, entry: TableEntry | None, old: TableEntry | None, left: TableEntry | None, right: TableEntry | None
    ) -> MergedEntry | None:
        """The table of one side (or of the base), except for rows with decisions of their own."""
        if entry is None:
            return None
        table = self.contents.table(entry.version_id)
        taken = MergedEntry(entry.table_id, table, left, entry)
        if (left and right) or entry == old or not self._rows_decided(entry):
            return taken
        here, gone = ("ours", "theirs") if left else ("theirs", "ours")
        base_table = self.contents.table(old.version_id) if old else None
        if base_table and not _keyed_alike(base_table, table):
            old, base_table = None, None
        base = Side("base", old.version_id, base_table) if old and base_table else None
        present = Side(here, entry.version_id, table)
        absent = Side(gone, base.version_id if base else None, base_table or table)
        ours, theirs = (present, absent) if left else (absent, present)
        decisions = self.decisions.for_table(not table.key, [str(entry.name)])
        return self._merged(left, RowMerge(base, ours, theirs, table, decisions, here, dropped_by=gone), taken)

    def _as_forced(
        self, side: str, old: TableEntry | None, left: TableEntry | None, right: TableEntry | None
    ) -> MergedEntry | None:
        """A table with the chosen definition of a side. The rows of both sides are merged under it, if both have the
        table."""
        chosen = {"ours": left, "theirs": right, "base": old}[side]
        if chosen is None or left is None or right is None:
            return self._taken(chosen, old, left, right)
        return self._both_changed(old, left, right, side)

    def _whole_in_conflict(
        self, old: TableEntry | None, left: TableEntry | None, right: TableEntry | None
    ) -> MergedEntry | None:
        present = left or right or old
        assert present
        name = str(present.name)
        side = self.decisions.for_definition(name, None)
        base, ours, theirs = (self._show(self.contents.table(e.version_id)) if e else None for e in (old, left, right))
        self.conflicts.append(SchemaConflict(name, None, base, ours, theirs, resolved=side is not None))
        return self._taken({"theirs": right, "base": old}.get(side or "", left), old, left, right)

    def _rows_decided(self, *sides: TableEntry) -> bool:
        """Whether rows of a table have decisions of their own. Then it is merged even if only one side changed it."""
        names = [str(side.name) for side in sides]
        return any(r.key is not None and r.table_name in names for r in self.decisions.resolutions)

    def _both_changed(
        self, old: TableEntry | None, left: TableEntry, right: TableEntry, forced: str | None = None
    ) -> MergedEntry | None:
        base_table = self.contents.table(old.version_id) if old else None
        ours, theirs = self.contents.table(left.version_id), self.contents.table(right.version_id)
        require_trusted(self.call, ours, theirs, *([base_table] if base_table else []))
        if old is None and not _keyed_alike(ours, theirs):
            return self._whole_in_conflict(old, left, right)
        if not all(_keyed_alike(a, b) for a, b in pairwise(t for t in (ours, base_table, theirs) if t)):
            raise EpochTableError(
                f"the primary key of table {ours.name} was changed since the merge base, so its rows cannot be merged",
                "make the key the same on both branches, commit, and merge again",
                table=str(ours.name),
            )
        sides = {"ours": Side("ours", left.version_id, ours), "theirs": Side("theirs", right.version_id, theirs)}
        base = Side("base", old.version_id, base_table) if old and base_table else None
        entries, others = {"ours": left, "theirs": right}, {"ours": theirs, "theirs": ours}

        def changed_values(side: str, column_id: int) -> bool:
            return self._changes_values(old, entries[side], column_id)

        def loses_values(side: str, column_id: int) -> bool:
            return base is not None and self.preparation.loses_values(base, sides[side], others[side], column_id)

        definition = merge_definitions(
            base_table, ours, theirs, self.decisions.for_definition, changed_values, loses_values, column_text
        )
        if forced:
            definition = as_on_one_side(definition, {"ours": ours, "theirs": theirs}.get(forced, base_table or ours))
        own, their = sides["ours"], replace(sides["theirs"], aliases=definition.aliases)
        definition = self._with_fitting_keys(definition, base, own, their)
        self.conflicts.extend(definition.conflicts)
        if old and base and not definition.table.key:
            own, their = (self._without_dropped(old, base, side, definition.table) for side in (own, their))
        names = [str(table.name) for table in (definition.table, ours, theirs)]
        decisions = self.decisions.for_table(not definition.table.key, names)
        merge = self.preparation.prepared(RowMerge(base, own, their, definition.table, decisions))
        return self._merged(left, merge, MergedEntry(left.table_id, definition.table, left, None))

    def _with_fitting_keys(self, definition: MergedTable, base: Side | None, ours: Side, theirs: Side) -> MergedTable:
        """The merged definition, whose key columns have types that fit the keys of both sides. Otherwise there is a
        conflict."""
        table, conflicts = definition.table, list(definition.conflicts)
        sides = [side for side in (ours, theirs, base) if side]
        for column in table.key:
            if all(self.preparation.keys_fit(side, column) for side in (ours, theirs)):
                continue
            own = {side.name: side.column(column) for side in sides}
            fitting = {
                name: replace(column, type=found.type)
                for name, found in own.items()
                if found and all(self.preparation.keys_fit(s, replace(column, type=found.type)) for s in (ours, theirs))
            }
            chosen = self.decisions.for_definition(str(ours.table.name), column.name)
            if not fitting:
                raise EpochTableError(
                    f"column {column.name} of the key of table {table.name} has other types on both sides, and no one "
                    "has the keys of both",
                    "make its type the same on both branches, commit, and merge again",
                    table=str(table.name),
                    column=column.name,
                )
            base_text, own_text, their_text = (
                column_text(found) if (found := own.get(name)) else None for name in ("base", "ours", "theirs")
            )
            conflict = SchemaConflict(str(ours.table.name), column.name, base_text, own_text, their_text)
            conflicts = [c for c in conflicts if c.column_name != column.name]
            conflicts.append(replace(conflict, resolved=chosen in fitting))
            kept = fitting.get(chosen or "") or next(iter(fitting.values()))
            table = replace(table, columns=tuple(kept if c.id == column.id else c for c in table.columns))
        return replace(definition, table=table, conflicts=tuple(conflicts))

    def _merged(self, ours: TableEntry | None, merge: RowMerge, entry: MergedEntry) -> MergedEntry:
        """An entry with merged rows, in a temporary table if they are wanted.

        Raises EpochTrustError if a needed definition is only data.
        """
        require_trusted(self.call, *(side.table for side in merge.sides))
        if not self.rows:
            return MergedEntry(entry.table_id, merge.merged, ours, None, merge)
        self.number += 1
        rows, conflicts = merge_rows(self.call, merge, self.number)
        return MergedEntry(entry.table_id, merge.merged, ours, None, merge, rows, tuple(conflicts))

    def _without_dropped(self, old: TableEntry, base: Side, side: Side, merged: Table) -> Side:
        """A side of a table without a key. The base replaces a side that dropped a column of the result.

        Its rows cannot be distinguished without that column, so apart from it they must equal those of the base.
        """
        has = {c.id for c in side.table.columns}
        missing = {c.id for c in base.table.stored_columns} & {c.id for c in merged.stored_columns} - has
        if missing and self._rows_differ(old, base.table, side):
            raise EpochTableError(
                f"a side of table {merged.name} dropped a column that is to be kept and changed rows besides; "
                "without a key they cannot be merged",
                "resolve the column to the side that dropped it",
                table=str(merged.name),
            )
        return replace(side, version_id=base.version_id, table=base.table, aliases={}) if missing else side

    def _rows_differ(self, old: TableEntry, base: Table, side: Side) -> bool:
        """Whether a side changed rows in the columns that it shares with the base."""
        kept = {c.id for c in base.stored_columns}
        common = replace(side.table, columns=tuple(c for c in side.table.stored_columns if c.id in kept))
        shape = shape_of(None, common)
        assert side.version_id
        before = arrange(self.contents.state(old.version_id), shape, base)
        after = arrange(self.contents.state(side.version_id), shape, side.table)
        row = self.call.cursor.execute(
            render.fill(Sql("SELECT EXISTS (FROM ({{c}}) AS changes)"), c=compare(shape, before, after))
        ).fetchone()
        return bool(row and row[0])

    def _changes_values(self, old: TableEntry | None, side: TableEntry, column_id: int) -> bool:
        if old is None:
            return False
        shape = shape_of(self.contents.table(old.version_id), self.contents.table(side.version_id))
        if all(column.id != column_id for column in shape.values):
            return False
        changes = self.contents.changes(old.version_id, side.version_id)
        row = self.call.cursor.execute(
            render.render(
                "merge.changes_values",
                changes=changes,
                n=render.column(f"n{column_id}"),
                o=render.column(f"o{column_id}"),
            )
        ).fetchone()
        return bool(row and row[0])

    def _same(self, a: TableEntry | None, b: TableEntry | None) -> bool:
        """Whether two entries have the same content and name, however they came about."""
        if a is None or b is None:
            return a is b
        if a == b:
            return True
        if a.name != b.name:
            return False
        left, right = (self.contents.version(e.version_id) for e in (a, b))
        if left.schema_id == right.schema_id:
            return left.fingerprint == right.fingerprint
        tables = [self.contents.schema(v.schema_id) for v in (left, right)]
        ids = [[c.id for c in t.columns] for t in tables]
        return (
            ids[0] == ids[1]
            and tables[0].content_digest == tables[1].content_digest
            and left.fingerprint == right.fingerprint
        )

    def _show(self, table: Table) -> str:
        return f"{table.name}({', '.join(column_text(column) for column in table.columns)})"


def _keyed_alike(left: Table, right: Table) -> bool:
    """Whether the same columns identify rows on both sides. Always so for rows without a key."""
    return not (left.key or right.key) or keyed_alike(left, right)
