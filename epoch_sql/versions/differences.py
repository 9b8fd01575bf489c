"""The tables that differ between two sides, and the changes of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.call import Call, no_table
from epoch_sql.model.schema import Table, identity
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.shape import Shape, arrange, compare, shape_of
from epoch_sql.versions.sides import Side, TableSide, rows_of


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
    aligned = before is not None and before.stored is not None
    if not aligned and after and after.made:
        return decided(after.made.changes, after), after.made.shape
    committed = after.working.entry if after and after.working else None
    if not aligned and before and after and after.working and committed and committed.version_id == before.version_id:
        return call.scanner.comparison.changes(after.working)
    return changes_of_versions(call.contents, difference)


def changes_of_versions(contents: Contents, difference: Difference) -> tuple[Sql, Shape]:
    """The same where neither side is known by its changes."""
    before, after = difference.before, difference.after
    shape = shape_of(before.table if before else None, after.table if after else None)
    aligned = before is not None and before.stored is not None
    if not aligned and (before is None or before.version_id) and (after is None or after.version_id):
        return contents.changes(*(side.version_id if side else None for side in (before, after))), shape
    sides = [
        arrange(rows_of(contents, side), shape, side.table, old=position == 0) if side else None
        for position, side in enumerate((before, after))
    ]
    changes = compare(shape, *sides)
    return decided(changes, after) if after else changes, shape


def decided(changes: Sql, after: TableSide) -> Sql:
    """Changes without rows of the later side that are not decided yet."""
    if after.made is None or after.made.undecided is None:
        return changes
    return render.fill(
        Sql("SELECT changes.* FROM ({{changes}}) AS changes ANTI JOIN ({{undecided}}) AS undecided ON {{same_key}}"),
        changes=changes,
        undecided=after.made.undecided,
        same_key=shape_of(None, after.table).same_key("changes", "undecided", "k", "k"),
    )


def _same(difference: Difference) -> bool:
    before, after = difference.before, difference.after
    return bool(before and after and before.version_id and before.version_id == after.version_id)
