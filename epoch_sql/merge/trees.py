"""Merges two trees against a base: tables one by one, then the other objects. Stores nothing.

The result of each table is a ``MergedEntry``; ``writing.py`` turns it into a version, ``constraints.py`` checks it, and
``listing.py`` lists its conflicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

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
from epoch_sql.storage.shape import arrange, compare, keyed_alike, shape_of

Rows = Literal["tables", "queries", "none"]


def merge_trees(
    call: Call, base: Tree, ours: Tree, theirs: Tree, decisions: Decisions, rows: Rows = "tables"
) -> MergedTree:
    """Merge two trees. Rows that both sides changed are merged into temporary tables of the cursor, or as queries that
    any cursor can run, or not at all."""
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
    def __init__(self, call: Call, base: Tree, ours: Tree, theirs: Tree, decisions: Decisions, rows: Rows) -> None:
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
        base, ours, theirs = (side.tables.get(table_id) for side in self.sides)
        forced = self.decisions.forced(*(str(entry.name) for entry in (base, ours, theirs) if entry))
        if forced:
            return self._as_forced(forced, base, ours, theirs)
        if ours and theirs and self._rows_decided(ours, theirs):
            return self._both_changed(base, ours, theirs)
        if self._same(theirs, base) or self._same(ours, theirs):
            return self._taken(ours, base, ours, theirs)
        if self._same(ours, base):
            return self._taken(theirs, base, ours, theirs)
        if any(self._is_derived(entry.name) for entry in (ours, theirs) if entry):
            return self._kept(base, ours, theirs)
        if ours is None or theirs is None:
            return self._whole_in_conflict(base, ours, theirs)
        return self._both_changed(base, ours, theirs)

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
        dropped: list[MergedEntry | SchemaObject] = []
        for view in objects:
            entry = tables.get((view.name.schema.lower(), view.name.name.lower()))
            if view.kind != "view" or entry is None:
                continue
            ours_is_view = view in self.sides[1].objects
            if self._is_derived(entry.table.name):
                self.kept.add(entry.table_id)
                dropped.append(entry if ours_is_view else view)
                continue
            texts = (view.definition, self._show(entry.table))
            ours, theirs = texts if ours_is_view else texts[::-1]
            name = str(entry.table.name)
            side = self.decisions.for_definition(name, None)
            self.conflicts.append(SchemaConflict(name, None, None, ours, theirs, resolved=side is not None))
            dropped.append(entry if ours_is_view == (side != "theirs") else view)
        return [e for e in entries if e not in dropped], tuple(o for o in objects if o not in dropped)

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
        return {*objects} == {*side.objects}

    def _is_derived(self, name: ObjectName) -> bool:
        return bool(self.derived) and matches_name(self.derived, name)

    def _kept(self, base: TableEntry | None, ours: TableEntry | None, theirs: TableEntry | None) -> MergedEntry | None:
        """A derived table that both sides changed: that of our side, since its cells mean nothing one by one."""
        chosen = base if self.decisions.strategy == "base" else ours
        if chosen:
            self.kept.add(chosen.table_id)
        return self._taken(chosen, base, ours, theirs)

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
        self, entry: TableEntry | None, base: TableEntry | None, ours: TableEntry | None, theirs: TableEntry | None
    ) -> MergedEntry | None:
        """The table of one side (or of the base), except for rows with decisions of their own."""
        if entry is None:
            return None
        table = self.contents.table(entry.version_id)
        taken = MergedEntry(entry.table_id, table, ours, entry)
        if (ours and theirs) or entry == base or not self._rows_decided(entry):
            return taken
        keeps, dropped_by = ("ours", "theirs") if ours else ("theirs", "ours")
        base_table = self.contents.table(base.version_id) if base else None
        if base_table and not _keyed_alike(base_table, table):
            base, base_table = None, None
        base_side = Side("base", base.version_id, base_table) if base and base_table else None
        present = Side(keeps, entry.version_id, table)
        absent = Side(dropped_by, base_side.version_id if base_side else None, base_table or table)
        sides = (present, absent) if ours else (absent, present)
        decisions = self.decisions.for_table(not table.key, [str(entry.name)])
        merge = RowMerge(base_side, *sides, table, decisions, keeps, dropped_by=dropped_by)
        return self._merged(ours, merge, taken)

    def _as_forced(
        self, side: str, base: TableEntry | None, ours: TableEntry | None, theirs: TableEntry | None
    ) -> MergedEntry | None:
        """A table with the chosen definition of a side. The rows of both sides are merged under it, if both have the
        table."""
        chosen = {"ours": ours, "theirs": theirs, "base": base}[side]
        if chosen is None or ours is None or theirs is None:
            return self._taken(chosen, base, ours, theirs)
        return self._both_changed(base, ours, theirs, side)

    def _whole_in_conflict(
        self, base: TableEntry | None, ours: TableEntry | None, theirs: TableEntry | None
    ) -> MergedEntry | None:
        present = ours or theirs or base
        assert present
        name = str(present.name)
        side = self.decisions.for_definition(name, None)
        base_text, our_text, their_text = (
            self._show(self.contents.table(e.version_id)) if e else None for e in (base, ours, theirs)
        )
        conflict = SchemaConflict(name, None, base_text, our_text, their_text, resolved=side is not None)
        self.conflicts.append(conflict)
        return self._taken({"theirs": theirs, "base": base}.get(side or "", ours), base, ours, theirs)

    def _rows_decided(self, *sides: TableEntry) -> bool:
        """Whether rows of a table have decisions of their own. Then it is merged even if only one side changed it."""
        names = [str(side.name) for side in sides]
        return any(r.key is not None and r.table_name in names for r in self.decisions.resolutions)

    def _both_changed(
        self, base: TableEntry | None, ours: TableEntry, theirs: TableEntry, forced: str | None = None
    ) -> MergedEntry | None:
        entries = {"ours": ours, "theirs": theirs}
        tables = {name: self.contents.table(entry.version_id) for name, entry in entries.items()}
        base_table = self.contents.table(base.version_id) if base else None
        require_trusted(self.call, *tables.values(), *([base_table] if base_table else []))
        our_table, their_table = tables.values()
        if base is None and not _keyed_alike(our_table, their_table):
            return self._whole_in_conflict(base, ours, theirs)
        if not all(_keyed_alike(*pair) for pair in pairwise(t for t in (our_table, base_table, their_table) if t)):
            raise EpochTableError(
                f"the primary key of table {our_table.name} was changed since the merge base, so its rows cannot be "
                "merged",
                "make the key the same on both branches, commit, and merge again",
                table=str(our_table.name),
            )
        sides = {name: Side(name, entry.version_id, tables[name]) for name, entry in entries.items()}
        base_side = Side("base", base.version_id, base_table) if base and base_table else None
        others = {"ours": their_table, "theirs": our_table}

        def changed_values(side: str, column_id: int) -> bool:
            return self._changes_values(base, entries[side], column_id)

        def loses_values(side: str, column_id: int) -> bool:
            return base_side is not None and self.preparation.loses_values(
                base_side, sides[side], others[side], column_id
            )

        definition = merge_definitions(
            base_table, our_table, their_table, self.decisions.for_definition, changed_values, loses_values, column_text
        )
        if forced:
            definition = as_on_one_side(definition, tables.get(forced, base_table or our_table))
        our_side, their_side = sides["ours"], replace(sides["theirs"], aliases=definition.aliases)
        definition = self._with_fitting_keys(definition, base_side, our_side, their_side)
        self.conflicts.extend(definition.conflicts)
        if base and base_side and not definition.table.key:
            our_side, their_side = (
                self._without_dropped(base, base_side, side, definition.table) for side in (our_side, their_side)
            )
        names = [str(table.name) for table in (definition.table, our_table, their_table)]
        decisions = self.decisions.for_table(not definition.table.key, names)
        merge = self.preparation.prepared(RowMerge(base_side, our_side, their_side, definition.table, decisions))
        return self._merged(ours, merge, MergedEntry(ours.table_id, definition.table, ours, None))

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
        """An entry with merged rows, if they are wanted.

        Raises EpochTrustError if a needed definition is only data.
        """
        require_trusted(self.call, *(side.table for side in merge.sides))
        if self.rows == "none":
            return MergedEntry(entry.table_id, merge.merged, ours, None, merge)
        self.number += 1
        rows, conflicts, undecided = merge_rows(self.call, merge, self.number if self.rows == "tables" else None)
        return MergedEntry(entry.table_id, merge.merged, ours, None, merge, rows, tuple(conflicts), undecided)

    def _without_dropped(self, entry: TableEntry, base: Side, side: Side, merged: Table) -> Side:
        """A side of a table without a key. The base replaces a side that dropped a column of the result.

        Its rows cannot be distinguished without that column, so apart from it they must equal those of the base.
        """
        has = {c.id for c in side.table.columns}
        missing = {c.id for c in base.table.stored_columns} & {c.id for c in merged.stored_columns} - has
        if missing and self._rows_differ(entry, base.table, side):
            raise EpochTableError(
                f"a side of table {merged.name} dropped a column that is to be kept and changed rows besides; "
                "without a key they cannot be merged",
                "resolve the column to the side that dropped it",
                table=str(merged.name),
            )
        return replace(side, version_id=base.version_id, table=base.table, aliases={}) if missing else side

    def _rows_differ(self, entry: TableEntry, base: Table, side: Side) -> bool:
        """Whether a side changed rows in the columns that it shares with the base."""
        kept = {c.id for c in base.stored_columns}
        common = replace(side.table, columns=tuple(c for c in side.table.stored_columns if c.id in kept))
        shape = shape_of(None, common)
        assert side.version_id
        before = arrange(self.contents.state(entry.version_id), shape, base)
        after = arrange(self.contents.state(side.version_id), shape, side.table)
        row = self.call.cursor.execute(
            render.fill(Sql("SELECT EXISTS (FROM ({{c}}) AS changes)"), c=compare(shape, before, after))
        ).fetchone()
        return bool(row and row[0])

    def _changes_values(self, base: TableEntry | None, side: TableEntry, column_id: int) -> bool:
        if base is None:
            return False
        shape = shape_of(self.contents.table(base.version_id), self.contents.table(side.version_id))
        if all(column.id != column_id for column in shape.values):
            return False
        changes = self.contents.changes(base.version_id, side.version_id)
        row = self.call.cursor.execute(
            render.render(
                "merge.changes_values",
                changes=changes,
                n=render.column(f"n{column_id}"),
                o=render.column(f"o{column_id}"),
            )
        ).fetchone()
        return bool(row and row[0])

    def _same(self, one: TableEntry | None, other: TableEntry | None) -> bool:
        """Whether two entries have the same content and name, however they came about."""
        if one is None or other is None:
            return one is other
        if one == other:
            return True
        if one.name != other.name:
            return False
        versions = [self.contents.version(entry.version_id) for entry in (one, other)]
        if len({version.fingerprint for version in versions}) > 1:
            return False
        if len({version.schema_id for version in versions}) == 1:
            return True
        tables = [self.contents.schema(version.schema_id) for version in versions]
        return len({(table.content_digest, tuple(c.id for c in table.columns)) for table in tables}) == 1

    def _show(self, table: Table) -> str:
        return f"{table.name}({', '.join(column_text(column) for column in table.columns)})"


def _keyed_alike(one: Table, other: Table) -> bool:
    """Whether the same columns identify rows of both definitions. Always so for rows without a key."""
    return not (one.key or other.key) or keyed_alike(one, other)
