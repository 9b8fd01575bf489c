"""The two sides of a difference: a commit, or the working tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from epoch_sql.model.commit import Tree
from epoch_sql.model.revisions import parse_revision
from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.operations.repository import Repository
from epoch_sql.operations.tracking import no_table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import arrange, compare
from epoch_sql.storage.shape import Shape, shape_of
from epoch_sql.worktree.rows import working_rows
from epoch_sql.worktree.scan import WorkingTable


@dataclass(frozen=True)
class TableSide:
    """A table on one side: a version of it, or the working table."""

    table: Table
    version_id: str | None
    working: WorkingTable | None = None


@dataclass(frozen=True)
class Side:
    """Everything on one side, tables by identity."""

    tables: Mapping[str, TableSide]
    objects: tuple[SchemaObject, ...]

    def named(self, name: str) -> tuple[str, TableSide] | None:
        """The identity and the table of a name as in table arguments."""
        wanted = name.lower()
        for table_id, side in self.tables.items():
            full = f"{side.table.name.schema}.{side.table.name.name}".lower()
            if wanted in (str(side.table.name).lower(), full):
                return table_id, side
        return None


@dataclass(frozen=True)
class Difference:
    """A table that may differ between two sides."""

    before: TableSide | None
    after: TableSide | None

    @property
    def table(self) -> Table:
        side = self.after or self.before
        assert side
        return side.table


def side_of(repository: Repository, reference: str) -> Side:
    """What a reference names: the tree of a commit, or for ``WORKING`` the working tables."""
    if not parse_revision(reference).is_working:
        return tree_side(repository, repository.tree(repository.resolve(reference)))
    working = repository.scanner.scan(repository.tree(repository.head().commit_id), read_rows=False)
    return Side({w.table_id: TableSide(w.table, None, w) for w in working.tables}, working.objects)


def tree_side(repository: Repository, tree: Tree) -> Side:
    """A tree as a side."""
    contents = repository.contents
    contents.load(entry.version_id for entry in tree.tables.values())
    tables = {i: TableSide(contents.table(e.version_id), e.version_id) for i, e in tree.tables.items()}
    return Side(tables, tree.objects)


def differences(before: Side, after: Side, table_name: str | None = None) -> list[Difference]:
    """The tables that may differ, by name; only the one of ``table_name`` if given.

    Raises EpochTableError when neither side has that table.
    """
    ids = list(dict.fromkeys((*before.tables, *after.tables)))
    if table_name is not None:
        found = after.named(table_name) or before.named(table_name)
        if found is None:
            names = [str(side.table.name) for side in (*before.tables.values(), *after.tables.values())]
            raise no_table(table_name, names, "either side")
        ids = [found[0]]
    pairs = [Difference(before.tables.get(i), after.tables.get(i)) for i in ids]
    different = [p for p in pairs if table_name is not None or not _same(p)]
    return sorted(different, key=lambda difference: str(difference.table.name))


def changes_between(repository: Repository, difference: Difference) -> tuple[Sql, Shape]:
    """The changed rows of a table, as in ``Shape``."""
    before, after = difference.before, difference.after
    old, new = (before.table if before else None), (after.table if after else None)
    shape = shape_of(old, new)
    if (before is None or before.version_id) and (after is None or after.version_id):
        ids = (before.version_id if before else None, after.version_id if after else None)
        return repository.contents.changes(*ids), shape
    if before and before.version_id and after and after.working and after.working.entry:
        if after.working.entry.version_id == before.version_id:
            return repository.scanner.changes(after.working)
    sides = [
        arrange(_rows(repository, side), shape, side.table, old=place == 0) if side else None
        for place, side in enumerate((before, after))
    ]
    return compare(shape, *sides), shape


def _rows(repository: Repository, side: TableSide) -> Sql:
    if side.version_id:
        return repository.contents.state(side.version_id)
    return working_rows(side.table)


def _same(difference: Difference) -> bool:
    before, after = difference.before, difference.after
    return bool(before and after and before.version_id and before.version_id == after.version_id)
