"""The two sides of a difference: a commit, or the working tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.model.commit import Tree
from epoch_sql.model.names import name_meant
from epoch_sql.model.revisions import parse_revision
from epoch_sql.model.schema import SchemaObject, Table, identity
from epoch_sql.operations.repository import Call
from epoch_sql.operations.tracking import no_table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import arrange, compare
from epoch_sql.storage.shape import Shape, aliased, shape_of
from epoch_sql.worktree.rows import working_rows
from epoch_sql.worktree.scan import WorkingTable


@dataclass(frozen=True)
class TableSide:
    """A table on one side: a version of it, or the working table.

    ``stored`` is the definition for reading its rows if ``table`` has other column ids.
    """

    table: Table
    version_id: str | None
    working: WorkingTable | None = None
    stored: Table | None = None


@dataclass(frozen=True)
class Side:
    """Everything on one side, tables by identity."""

    tables: Mapping[str, TableSide]
    objects: tuple[SchemaObject, ...]

    def named(self, name: str) -> tuple[str, TableSide] | None:
        """The identity and the table of a name as in table arguments."""
        meant = name_meant(name, (side.table.name for side in self.tables.values()))
        return next(((i, side) for i, side in self.tables.items() if side.table.name == meant), None)

    def view(self, name: str) -> SchemaObject | None:
        """The view of a name as in table arguments."""
        views = {o.name: o for o in self.objects if o.kind == "view"}
        meant = name_meant(name, views)
        return views[meant] if meant else None


@dataclass(frozen=True)
class Difference:
    """A table that may differ between two sides."""

    before: TableSide | None
    after: TableSide | None

    @property
    def table(self) -> Table:
        """The definition of the later side, or else of the earlier one."""
        side = self.after or self.before
        assert side
        return side.table


def side_of(call: Call, reference: str) -> Side:
    """The side of a reference: the tree of a commit, or the working tables for ``WORKING``."""
    if not parse_revision(reference).is_working:
        return tree_side(call, call.tree(call.resolve(reference)))
    working = call.scan(call.tree(call.head().commit_id), read_rows=False)
    # Ignored and untrusted parts stay as they are committed, whatever the working database has.
    ignored, withheld = (tree_side(call, tree) for tree in (working.ignored, working.withheld))
    tables = {w.table_id: TableSide(w.table, None, w) for w in working.tables}
    objects = (*working.objects, *ignored.objects, *withheld.objects)
    return Side({**tables, **ignored.tables, **withheld.tables}, objects)


def tree_side(call: Call, tree: Tree) -> Side:
    """A tree as a side."""
    contents = call.contents
    contents.load(entry.version_id for entry in tree.tables.values())
    tables = {i: TableSide(contents.table(e.version_id), e.version_id) for i, e in tree.tables.items()}
    return Side(tables, tree.objects)


def differences(before: Side, after: Side, table_name: str | None = None) -> list[Difference]:
    """The tables that may differ, by name. With ``table_name``, only that table.

    Raises EpochTableError if neither side has that table.
    """
    pairs = _pairs(before, after)
    if table_name is None:
        different = [pair for pair in pairs if not _same(pair)]
        return sorted(different, key=lambda difference: str(difference.table.name))
    found = after.named(table_name) or before.named(table_name)
    if found is None:
        names = [str(side.table.name) for side in (*before.tables.values(), *after.tables.values())]
        raise no_table(table_name, names, "either side")
    name = found[1].table.name
    ends = [pair.after or pair.before for pair in pairs] + [pair.before for pair in pairs]
    return [next(pair for pair, end in zip(2 * pairs, ends, strict=True) if end and end.table.name == name)]


def _pairs(before: Side, after: Side) -> list[Difference]:
    """The tables of both sides, paired by identity, or else by name, so that equal contents never differ."""
    shared = before.tables.keys() & after.tables.keys()
    named = {_folded(side): i for i, side in before.tables.items() if i not in shared}
    partners = {i: i if i in shared else named.pop(_folded(side), None) for i, side in after.tables.items()}
    pairs = []
    for i, side in after.tables.items():
        partner = partners[i]
        old = before.tables[partner] if partner is not None else None
        pairs.append(Difference(_aligned(old, side, partner == i) if old else None, side))
    return [*pairs, *(Difference(before.tables[i], None) for i in named.values())]


def _folded(side: TableSide) -> tuple[str, str]:
    return side.table.name.schema.lower(), side.table.name.name.lower()


def _aligned(before: TableSide, after: TableSide, same_table: bool) -> TableSide:
    """The older side, with the newer side's ids for columns of the same name and different identities.

    Such columns were dropped and added again, or belong to two tables that share only their name.
    """
    old, new = before.table.columns, after.table.columns
    shared = {c.id for c in old} & {c.id for c in new} if same_table else set[int]()
    by_name = {c.name.lower(): c.id for c in new if c.id not in shared}
    if shared == {c.id for c in old} or (same_table and not any(c.name.lower() in by_name for c in old)):
        return before
    taken = {c.id for c in (*old, *new)}
    columns = []
    for column in old:
        number = column.id if column.id in shared else by_name.get(column.name.lower(), 0)
        if not number:
            number = identity("aligned", column.name, taken=taken)
            taken.add(number)
        columns.append(replace(column, id=number))
    return replace(before, table=replace(before.table, columns=tuple(columns)), stored=before.table)


def changes_between(call: Call, difference: Difference) -> tuple[Sql, Shape]:
    """The changed rows of a table, as in ``Shape``."""
    before, after = difference.before, difference.after
    old, new = (before.table if before else None), (after.table if after else None)
    shape = shape_of(old, new)
    aligned = before is not None and before.stored is not None
    if not aligned and (before is None or before.version_id) and (after is None or after.version_id):
        ids = (before.version_id if before else None, after.version_id if after else None)
        return call.contents.changes(*ids), shape
    committed = after.working.entry if after and after.working else None
    if not aligned and before and after and after.working and committed and committed.version_id == before.version_id:
        return call.scanner.changes(after.working)
    sides = [
        arrange(rows_of(call, side), shape, side.table, old=place == 0) if side else None
        for place, side in enumerate((before, after))
    ]
    return compare(shape, *sides), shape


def rows_of(call: Call, side: TableSide) -> Sql:
    """The rows of a table on one side: ``c<id>`` for each stored column, as storage values."""
    rows = call.contents.state(side.version_id) if side.version_id else working_rows(side.stored or side.table)
    if side.stored is None:
        return rows
    pairs = zip(side.stored.stored_columns, side.table.stored_columns, strict=True)
    outputs = [aliased(render.column(f"c{old.id}"), f"c{new.id}") for old, new in pairs]
    return render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS stored"), outputs=outputs, rows=rows)


def _same(difference: Difference) -> bool:
    before, after = difference.before, difference.after
    return bool(before and after and before.version_id and before.version_id == after.version_id)
