"""The result of merging two trees: tables (some with merged rows in temporary tables), objects and conflicts."""

from __future__ import annotations

from dataclasses import dataclass

from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.operations.merge.sides import RowMerge


@dataclass(frozen=True)
class MergedEntry:
    """A table of the merged tree.

    Either ``entry`` is the table of one side, taken as it is, or ``rows`` names a temporary table with the merged rows
    (columns as in sql/merge_rows.sql) on top of the foundation of ``merge``.
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
