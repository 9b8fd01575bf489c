"""Prepares both sides of a table for merging their rows: renamed fields, computed values, and the side that the
result is written on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.merge.decisions import RowDecisions
from epoch_sql.merge.sides import (
    RowMerge,
    Side,
    lacks_filling,
    side_changes,
)
from epoch_sql.model.schema import Column, Table, widens
from epoch_sql.render import Sql
from epoch_sql.storage.conversion import (
    comes_back,
    convert,
    renamed,
    same,
    type_of,
)
from epoch_sql.storage.encoding import encode
from epoch_sql.storage.shape import aliased, filling, shape_of
from epoch_sql.storage.types import DataType
from epoch_sql.versions.folding import alike
from epoch_sql.versions.sides import native_rows

_NOTHING = RowDecisions()


@dataclass(frozen=True)
class Preparation:
    """Answers questions about the sides of one merge from their rows."""

    call: Call

    def prepared(self, merge: RowMerge) -> RowMerge:
        """The merge with the values of computed columns, the fields that were renamed, and its foundation."""
        base = self._with_values(merge.base, merge.merged) if merge.base else None
        ours, theirs = (self._with_values(side, merge.merged) for side in (merge.ours, merge.theirs))
        merge = replace(merge, base=base, ours=ours, theirs=theirs)
        merge = replace(merge, ours=self._with_renames(merge, ours), theirs=self._with_renames(merge, theirs))
        return self._founded(merge)

    def loses_values(self, base: Side, side: Side, other: Table, column_id: int) -> bool:
        """Whether a side stores values in a column that the expression of the other side does not give."""
        computed = other.column_by_id(column_id)
        assert computed
        changes, shape = side_changes(self.call.contents, RowMerge(base, side, side, other, _NOTHING), side)
        keys = {c.id: c for c in shape.key}
        given = keys.get(column_id) or next(c for c in shape.values if c.id == column_id)
        prefix = "k" if column_id in keys else "n"
        outputs = []
        for column in other.stored_columns:
            own = side.table.column_by_id(column.id)
            if own is None or not own.stored:
                value = filling(column)
            else:
                held = keys.get(column.id, own)
                name = f"{'k' if column.id in keys else 'n'}{column.id}"
                value = convert(render.column(name), type_of(held), type_of(column))
            outputs.append(aliased(value, f"c{column.id}"))
        value = convert(render.column(f"{prefix}{column_id}"), type_of(given), type_of(computed))
        new = (
            "n0 > o0"
            if shape.keyless
            else f"op = 'added' OR op = 'modified' AND n{column_id} IS DISTINCT FROM o{column_id}"
        )
        this_row = [aliased(render.column(f"c{c.id}", "changed"), f"c{c.id}") for c in other.stored_columns]
        return self._exists(
            render.render(
                "merge.loses_values",
                outputs=outputs,
                value=value,
                changes=changes,
                new=Sql(new),
                computed=encode(render.column(computed.name), computed.type),
                native=native_rows(other, render.fill(Sql("SELECT {{row}}"), row=this_row)),
            )
        )

    def keys_fit(self, side: Side, column: Column) -> bool:
        """Whether every value of a side's key column fits a type."""
        own = side.column(column)
        if own is None or widens(own.type, column.type):
            return True
        fits = comes_back(render.column(f"c{own.id}"), type_of(own), type_of(column))
        statement = "SELECT EXISTS (FROM ({{state}}) AS state WHERE NOT {{fits}})"
        return not self._exists(render.fill(Sql(statement), state=side.state(self.call.contents), fits=fits))

    def _exists(self, statement: Sql) -> bool:
        row = self.call.cursor.execute(statement).fetchone()
        return bool(row and row[0])

    def _with_values(self, side: Side, merged: Table) -> Side:
        """A side with stored values in the columns that it computes and the merged table stores."""
        stored = {c.id for c in merged.stored_columns}
        computed = {c.id for c in side.table.columns if not c.stored and _merged_id(side, c) in stored}
        if not computed or side.version_id is None:
            return side
        table = replace(
            side.table,
            columns=tuple(replace(c, generated=None) if c.id in computed else c for c in side.table.columns),
        )
        rows = render.fill(
            Sql("SELECT {{outputs}} FROM ({{native}}) AS native"),
            outputs=[aliased(encode(render.column(c.name), c.type), f"c{c.id}") for c in table.stored_columns],
            native=native_rows(side.table, side.state(self.call.contents)),
        )
        return replace(side, table=table, rows=rows)

    def _with_renames(self, merge: RowMerge, side: Side) -> Side:
        """A side with the types in which it renamed fields: fields in the same position with mostly the same values."""
        found = {}
        for column in merge.base.table.stored_columns if merge.base else ():
            own = side.table.column_by_id(column.id)
            if own is None or not own.stored or own.type == column.type:
                continue
            old, new = type_of(column), type_of(own)
            guess = renamed(old, new)
            if guess != new and self._mostly_equal(merge, side, column, guess):
                found[own.id] = guess
        return replace(side, types=found) if found else side

    def _mostly_equal(self, merge: RowMerge, side: Side, column: Column, guess: DataType) -> bool:
        """Whether at least half of the values that differ on a side are equal after the rename."""
        assert merge.base
        old, new = type_of(column), type_of(side.table.column_by_id(column.id) or column)
        if shape_of(None, merge.merged).keyless:
            return self._mostly_equal_bag(merge.base, side, column, guess)
        changes, _ = side_changes(self.call.contents, merge, side)
        value, was = (render.column(f"{prefix}{column.id}") for prefix in "no")
        row = self.call.cursor.execute(
            render.render(
                "merge.mostly_equal",
                same=same(value, guess, was, old),
                unrenamed=same(value, new, was, old),
                changes=changes,
            )
        ).fetchone()
        assert row
        return bool(2 * row[1] >= row[0])

    def _mostly_equal_bag(self, base: Side, side: Side, column: Column, guess: DataType) -> bool:
        contents = self.call.contents
        value = render.column(f"c{column.id}")
        row = self.call.cursor.execute(
            render.render(
                "merge.mostly_equal_bag",
                value=value,
                side=side.state(contents),
                renamed=convert(value, type_of(column), guess),
                base=base.state(contents),
            )
        ).fetchone()
        assert row
        return bool(2 * row[2] >= min(row[0], row[1]))

    def _founded(self, merge: RowMerge) -> RowMerge:
        """The merge with the side that the result is written on: ours if possible.

        The result is a delta if that side has all columns of the base that the result has, and its values need no
        conversion.
        """
        needed = {c.id for c in merge.merged.stored_columns} & (_stored(merge.base.table) if merge.base else set())
        sides = (merge.ours, merge.theirs)
        complete = [side for side in sides if needed <= _stored(side.table)]
        for side in complete:
            if not merge.is_whole and self._is_read_as(side, merge.merged) and not _restored(side, merge.merged):
                return replace(merge, foundation=side.name)
        side = next(iter(complete), merge.ours)
        restored = _restored(side, merge.merged) | (needed - _stored(side.table))
        return replace(merge, foundation=side.name, converts=True, restored=restored)

    def _is_read_as(self, side: Side, merged: Table) -> bool:
        """Whether a side's files, read under the merged definition, give its rows.

        They do not if they still hold values of a dropped column that came back.
        """
        assert side.version_id
        back = _stored(merged) - _stored(side.table)
        dropped = self.call.contents.stored_column_ids(side.version_id) if back else set()
        own = {c.id: c.type for c in side.table.stored_columns}
        fits = all(widens(own.get(c.id, c.type), c.type) for c in merged.stored_columns)
        return (
            side.rows is None
            and fits
            and alike(side.table, merged)
            and _same_fills(side.table, merged)
            and not side.aliases
            and not back & dropped
        )


def _merged_id(side: Side, column: Column) -> int:
    return {own: merged for merged, own in side.aliases.items()}.get(column.id, column.id)


def _stored(table: Table) -> set[int]:
    return {column.id for column in table.stored_columns}


def _restored(side: Side, merged: Table) -> frozenset[int]:
    """The columns that a side lacks and whose default its rows get."""
    own = {side.aliases.get(c.id, c.id): c for c in merged.stored_columns}
    return frozenset(c.id for i, c in own.items() if i not in _stored(side.table) and lacks_filling(c))


def _same_fills(side: Table, merged: Table) -> bool:
    """Whether rows that are older than a column have the same value in it under both definitions."""
    fills = {column.id: column.fill for column in merged.stored_columns}
    return all(column.fill == fills.get(column.id, column.fill) for column in side.stored_columns)
