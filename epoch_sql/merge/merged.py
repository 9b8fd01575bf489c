"""The result of merging two trees: tables (some with merged rows in temporary tables) as relations, objects and
conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.catalog.merging import Conflicts
from epoch_sql.merge.sides import RowMerge, Side
from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.schema import Constraint, ObjectName, SchemaObject, Table, canonical_json
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.conversion import converted
from epoch_sql.storage.shape import Shape, aliased, applied, arrange, columns, compare, filling, shape_of
from epoch_sql.versions.sides import Made, TableSide
from epoch_sql.versions.sides import Side as VersionSide


@dataclass(frozen=True)
class MergedEntry:
    """A table of the merged tree.

    Either ``entry`` is the table of one side, taken as it is, or ``rows`` is a relation of the merged rows (columns as
    in sql/merge.sql) on top of the foundation of ``merge``. ``conflicts`` are queries for the conflicts of its rows,
    and ``undecided`` is one for the keys (``k<id>``) of rows with an open conflict, where somebody asked for it.
    """

    table_id: str
    table: Table
    ours: TableEntry | None
    entry: TableEntry | None
    merge: RowMerge | None = None
    rows: Sql | None = None
    conflicts: tuple[Sql, ...] = ()
    undecided: Sql | None = None

    @property
    def version_id(self) -> str | None:
        """The version whose rows are the result, except for those in ``rows``."""
        return self.merge.foundation_side.version_id if self.merge else self.entry.version_id if self.entry else None


@dataclass(frozen=True)
class MergedTree:
    """The result of merging two trees, with the schema conflicts in it, the patterns of derived tables, and the ids of
    the stale ones."""

    base: Tree
    ours: Tree
    theirs: Tree
    tables: tuple[MergedEntry, ...]
    objects: tuple[SchemaObject, ...]
    schema_conflicts: tuple[SchemaConflict, ...]
    derived: tuple[str, ...]
    stale: frozenset[str]

    @property
    def stale_names(self) -> list[str]:
        """The names of the stale tables."""
        return sorted(str(entry.table.name) for entry in self.tables if entry.table_id in self.stale)


def merged_changes(entry: MergedEntry) -> Sql:
    """The changes from the foundation to the merged rows, columns as in ``Shape``."""
    assert entry.rows
    shape = shape_of(None, entry.table)
    pairs = (("key_", "k", shape.key), ("merged_", "n", shape.values), ("was_", "o", shape.values))
    names = [aliased(render.column(f"{word}{c.id}"), f"{letter}{c.id}") for word, letter, of in pairs for c in of]
    return render.fill(
        Sql("SELECT op, {{names}} FROM {{rows}} WHERE op IS NOT NULL"),
        names=names,
        rows=entry.rows,
    )


def merged_state(contents: Contents, entry: MergedEntry) -> Sql:
    """All rows of the merged table, ``c<id>``, under its merged definition."""
    if entry.merge is None:
        assert entry.entry
        return contents.state(entry.entry.version_id)
    if entry.merge.is_whole:
        return _copies(entry)
    changes = merged_changes(entry)
    return applied(entry.table, _foundation_rows(contents, entry.merge), changes, changes)


def _copies(entry: MergedEntry) -> Sql:
    """The rows of a table without a key, if all of them were merged."""
    return render.fill(
        Sql("SELECT {{rows}} FROM (SELECT *, unnest(range(n0)) FROM ({{changes}}) AS changes WHERE n0 > 0) AS copies"),
        rows=[aliased(render.column(f"k{c.id}"), f"c{c.id}") for c in entry.table.stored_columns],
        changes=merged_changes(entry),
    )


def _foundation_rows(contents: Contents, merge: RowMerge) -> Sql:
    """The rows of the foundation under the merged definition."""
    side = merge.foundation_side
    if not merge.converts:
        assert side.version_id
        return contents.state_of(merge.merged, contents.levels(side.version_id))
    outputs = []
    for column in merge.merged.stored_columns:
        own = side.column(column)
        value = merge.converted(render.column(f"c{own.id}"), side, own, column) if own else filling(column)
        outputs.append(aliased(value, f"c{column.id}"))
    return render.fill(Sql("SELECT {{outputs}} FROM ({{state}}) AS state"), outputs=outputs, state=side.state(contents))


def changes_from_ours(contents: Contents, entry: MergedEntry) -> tuple[Sql, Shape]:
    """The changes from ours to the merged rows: what the merge brings to the target."""
    if entry.merge is not None and entry.merge.foundation == "ours" and not entry.merge.converts:
        return merged_changes(entry), shape_of(None, entry.table)
    ours = contents.table(entry.ours.version_id) if entry.ours else None
    shape = shape_of(ours, entry.table)
    if entry.merge is None:
        assert entry.entry
        return contents.changes(entry.ours.version_id if entry.ours else None, entry.entry.version_id), shape
    before = arrange(contents.state(entry.ours.version_id), shape, ours, old=True) if entry.ours and ours else None
    return compare(shape, before, arrange(merged_state(contents, entry), shape, entry.table)), shape


def as_side(contents: Contents, merged: MergedTree) -> VersionSide:
    """The merged tree as a side of a difference from ours. Its changes leave out rows with an open conflict."""
    tables = {entry.table_id: _table_side(contents, entry) for entry in merged.tables}
    return VersionSide(tables, merged.objects, merged.derived, merged.stale)


def _table_side(contents: Contents, entry: MergedEntry) -> TableSide:
    if entry.entry:
        return TableSide(entry.table, entry.entry.version_id)
    changes, shape = _difference_from_ours(contents, entry)
    return TableSide(entry.table, None, made=Made(merged_state(contents, entry), changes, shape, entry.undecided))


def _difference_from_ours(contents: Contents, entry: MergedEntry) -> tuple[Sql, Shape]:
    """The changes from ours to the merged rows, with each row of ours under its own definition."""
    ours = contents.table(entry.ours.version_id) if entry.ours else None
    changes, shape = changes_from_ours(contents, entry)
    wanted = shape_of(ours, entry.table)
    if shape == wanted or not entry.ours or not ours:
        return changes, wanted
    if wanted.key == shape.key and {c.id for c in wanted.values} == {c.id for c in shape.values}:
        types = {c.id: c for c in shape.values}
        old = [
            aliased(converted(render.column(f"o{c.id}"), types[c.id], wanted.old(c)), f"o{c.id}") for c in wanted.values
        ]
        outputs = [*wanted.keys(), *columns("n", wanted.values), *old]
        return render.fill(
            Sql("SELECT op, {{outputs}} FROM ({{changes}}) AS changes"), outputs=outputs, changes=changes
        ), wanted
    before = arrange(contents.state(entry.ours.version_id), wanted, ours, old=True)
    return compare(wanted, before, arrange(merged_state(contents, entry), wanted, entry.table)), wanted


def touched_rows(contents: Contents, entry: MergedEntry) -> Sql:
    """The merged rows (``c<id>``) that differ from ours, whose constraints have to be checked."""
    changes, shape = changes_from_ours(contents, entry)
    key = {column.id for column in shape.key}
    outputs = [
        aliased(render.column(f"{'k' if c.id in key else 'n'}{c.id}"), f"c{c.id}") for c in entry.table.stored_columns
    ]
    condition = Sql("n0 > o0" if shape.keyless else "op <> 'removed'")
    return render.fill(
        Sql("SELECT {{outputs}} FROM ({{changes}}) AS changes WHERE {{condition}}"),
        outputs=outputs,
        changes=changes,
        condition=condition,
    )


def followed(
    contents: Contents, entry: MergedEntry, entries: Mapping[str, MergedEntry], sides: Iterable[Tree]
) -> Table:
    """The definition of a merged table whose foreign keys use the names of their parents in the merged tree.

    ``entries`` are the merged tables by id, ``sides`` the two trees that were merged, ours first.
    """
    constraints = dict.fromkeys(
        _followed(contents, entry, constraint, entries, sides) if constraint.kind == "FOREIGN KEY" else constraint
        for constraint in entry.table.constraints
    )
    return replace(entry.table, constraints=tuple(constraints))


def _followed(
    contents: Contents,
    entry: MergedEntry,
    constraint: Constraint,
    entries: Mapping[str, MergedEntry],
    sides: Iterable[Tree],
) -> Constraint:
    for name, side in zip(("ours", "theirs"), sides, strict=True):
        own = side.tables.get(entry.table_id)
        if own is None or not any(_same_parent(constraint, key) for key in contents.table(own.version_id).foreign_keys):
            continue
        parent = side.table_named(ObjectName(own.name.schema, constraint.referenced or ""))
        merged = entries.get(parent.table_id) if parent else None
        if parent and merged:
            columns = _merged_names(contents.table(parent.version_id), merged, name, constraint.referenced_columns)
            return replace(constraint, referenced=merged.table.name.name, referenced_columns=columns)
    return constraint


def _same_parent(one: Constraint, other: Constraint) -> bool:
    return (one.referenced, one.referenced_columns) == (other.referenced, other.referenced_columns)


def _merged_names(table: Table, merged: MergedEntry, side: str, names: Iterable[str]) -> tuple[str, ...]:
    """The merged names of the columns of a side's table. A dropped column keeps its name."""
    sides: tuple[Side, ...] = (merged.merge.ours, merged.merge.theirs) if merged.merge else ()
    aliases = {own: i for s in sides if s.name == side for i, own in s.aliases.items()}
    found = []
    for name in names:
        identity = table.column(name).id
        column = merged.table.column_by_id(aliases.get(identity, identity))
        found.append(column.name if column else name)
    return tuple(found)


def conflict_rows(merged: MergedTree) -> Sql:
    """Every conflict of a merged tree: the columns of ``epoch_conflicts``, with JSON as text."""
    selects = [Conflicts.none()]
    for entry in merged.tables:
        selects.extend(entry.conflicts)
    selects.extend(_schema_row(conflict) for conflict in merged.schema_conflicts)
    return render.joined(selects, "\nUNION ALL\n")


def _schema_row(conflict: SchemaConflict) -> Sql:
    texts = [conflict.base, conflict.ours, conflict.theirs]
    values: list[render.Sql] = [
        render.literal(conflict.table_name),
        Sql("NULL"),
        render.literal(conflict.column_name),
        render.literal("schema"),
        *(render.literal(canonical_json(text) if text is not None else None) for text in texts),
        render.literal(conflict.resolved),
    ]
    return render.fill(Sql("SELECT {{values}}"), values=values)
