"""The result of merging two trees: tables (some with merged rows in temporary tables), objects and conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from epoch_sql.merge.sides import RowMerge, Side
from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.schema import Constraint, ObjectName, SchemaObject, Table
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.storage.contents import Contents


@dataclass(frozen=True)
class MergedEntry:
    """A table of the merged tree.

    Either ``entry`` is the table of one side, taken as it is, or ``rows`` names a temporary table with the merged rows
    (columns as in sql/merge.sql) on top of the foundation of ``merge``.
    """

    table_id: str
    table: Table
    ours: TableEntry | None
    entry: TableEntry | None
    merge: RowMerge | None = None
    rows: str | None = None

    @property
    def version_id(self) -> str | None:
        """The version whose rows are the result, except for those in ``rows``."""
        return self.merge.standing.version_id if self.merge else self.entry.version_id if self.entry else None


@dataclass(frozen=True)
class MergedTree:
    """The result of merging two trees, with the schema conflicts in it."""

    base: Tree
    ours: Tree
    theirs: Tree
    tables: tuple[MergedEntry, ...]
    objects: tuple[SchemaObject, ...]
    schema_conflicts: tuple[SchemaConflict, ...]


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


def _same_parent(left: Constraint, right: Constraint) -> bool:
    return (left.referenced, left.referenced_columns) == (right.referenced, right.referenced_columns)


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
