"""The rows of a large table in buckets whose hashes differ, read by as few columns as possible.

A few rows show which columns changed. The rest are compared by their key and enough of these columns to tell changed
rows, and only such rows are read in full. This guess is proved: the rows found must add up to the hashes of the whole
table. If they do not, all columns are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import encode, storage_type
from epoch_sql.storage.shape import Condition, Shape, arrange, columns, compare, has_floats
from epoch_sql.worktree.rows import (
    NEIGHBOUR_BITS,
    NEIGHBOURLY,
    WorkingTable,
    bucket,
    bucket_key,
    hash_shift,
    working_bucket,
    working_rows,
)

ROWS_WORTH_NARROWING = 4_000_000
"""In smaller tables, to compare all columns takes no longer than the statements that find out which to compare."""
_SAMPLE = 1_000
_LOOKED_UP = 2_000
"""So many keys DuckDB looks up in an index."""
_FEW = 10
"""Changes of more than one in so many rows are not put aside."""
_MOST_BLOCKS = 200_000
_MOST_RANGES = 16
_GAP = 1 << 17
_WIDE = ("VARCHAR", "BLOB")
_numbers = count(1)


class DirtyRows:
    """The rows of a working table, and of its committed version, in dirty buckets."""

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        contents: Contents,
        working: WorkingTable,
        shape: Shape,
        dirty: Collection[int],
    ) -> None:
        assert working.entry and working.committed and working.known
        self.cursor = cursor
        self.contents = contents
        self.table, self.committed = working.table, working.committed
        self.version_id, self.known, self.checksum = working.entry.version_id, working.known, working.checksum
        self.shape = shape
        self._worth_narrowing = (
            bool(dirty) and working.checksum is not None and working.row_count >= ROWS_WORTH_NARROWING
        )
        self._by = bucket_key(working.table, working.known.bucket_column)
        self._few = working.row_count // _FEW
        self._ranges: list[tuple[int | None, int | None]] = []
        self._dirty = dirty
        among = frozenset(dirty)
        self._bits = "".join("1" if number in among else "0" for number in range(self.known.buckets))

    def working(self) -> Sql:
        """The rows of the working table."""
        where = self._in_dirty(working_bucket(self.table, self.known))
        if self._ranges:
            where = render.joined([self._in_ranges(render.column(self._by[0].name)), where], " AND ")
        return working_rows(self.table, where=where)

    def compared(self) -> Sql:
        """The difference, by all columns."""
        return self._compared(self.shape)

    def narrowed(self) -> Sql | None:
        """The difference, from a temporary table. None if it is not known to be all that differs in the table."""
        if not self._worth_narrowing:
            return None
        self._ranges = self._key_ranges()
        if self.shape.keyless:
            return None
        patterns = self._patterns()
        lead = _covering(self.shape.values, patterns)
        narrow = replace(self.shape, values=lead, compared=lead)
        suspects = self._temporary("keys", self._compared(narrow), [Sql("op"), *narrow.keys()])
        [number] = self._row(render.fill("SELECT count(*) FROM {{t}}", t=suspects))
        if number > self._few:
            return None
        changed = {c.id for n, c in enumerate(self.shape.values) if any(pattern[n] for pattern in patterns)}
        found = self._temporary("changes", self._in_full(suspects, changed))
        changes = render.fill(Sql("FROM {{t}}"), t=found)
        return changes if self._add_up(changes) else None

    def _key_ranges(self) -> list[tuple[int | None, int | None]]:
        """A few ranges that hold the keys of all dirty buckets, for integers. None if they are all over the table.

        Neighbours share a bucket (``rows.bucket``), so what was added, or changed in one place, is in few ranges. The
        rest of table and files is skipped. Rows that were removed may lie beyond the keys of the working table.
        """
        key, reach = self._by, NEIGHBOUR_BITS + self.known.buckets.bit_length() - 1
        if len(key) > 1 or storage_type(key[0].type) not in NEIGHBOURLY:
            return []
        name = render.column(key[0].name)
        bounds = render.fill("SELECT min({{k}}), max({{k}}) FROM {{t}}", k=name, t=render.table(self.table.name))
        least, greatest = self._row(bounds)
        if least is None or max(-least, greatest) >= 1 << 62:
            return []
        parts = range(least >> reach, (greatest >> reach) + 1)
        if len(parts) * len(self._dirty) > _MOST_BLOCKS:
            return []
        starts = render.render(
            "worktree.bucket_of_each",
            bucket=bucket(key, self.known.buckets),
            key=render.column(f"c{key[0].id}"),
            type=storage_type(key[0].type),
            starts=[render.literal(part << reach) for part in parts],
        )
        [numbers] = self._row(starts)
        blocks = sorted(
            (part << reach) + ((number ^ start) << NEIGHBOUR_BITS)
            for part, start in zip(parts, numbers, strict=True)
            for number in self._dirty
        )
        found: list[tuple[int, int]] = []
        for block in blocks:
            if found and block - found[-1][1] <= _GAP:
                found[-1] = (found[-1][0], block + (1 << NEIGHBOUR_BITS) - 1)
            else:
                found.append((block, block + (1 << NEIGHBOUR_BITS) - 1))
        if len(found) > _MOST_RANGES or sum(end - start for start, end in found) * 2 > greatest - least:
            return []
        return [(None, least - 1), *found, (greatest + 1, None)]

    def _in_ranges(self, key: Sql) -> Sql:
        terms = []
        for start, end in self._ranges:
            bounds = [(">=", start), ("<=", end)]
            parts = [Sql(f"{{{{k}}}} {sign} {bound}") for sign, bound in bounds if bound is not None]
            terms.append(render.fill(render.joined(parts, " AND "), k=key))
        if self.shape.keyless:
            terms.append(render.fill("{{k}} IS NULL", k=key))
        return render.fill("({{terms}})", terms=render.joined(terms, " OR "))

    def _add_up(self, changes: Sql) -> bool:
        """Whether changes are all that differs in the table."""
        [shift] = self._row(hash_shift(self.committed, self.table, changes))
        return self.known.checksum + int(shift) == self.checksum

    def _patterns(self) -> list[list[bool]]:
        """Which values differ, in each of some rows that do."""
        keys = columns("c", self.shape.key)
        some = render.fill(
            "SELECT {{keys}} FROM ({{rows}}) AS rows LIMIT {{n}}",
            keys=keys,
            rows=self.working(),
            n=render.literal(_SAMPLE),
        )
        among = self._among(self._temporary("sample", some), "c")
        changes = compare(self.shape, self._before(self.shape, among), self._after(self.shape, among))
        differ = [
            self.shape.value_differs(c, render.column(f"n{c.id}"), render.column(f"o{c.id}")) for c in self.shape.values
        ]
        statement = render.render("worktree.patterns", differ=differ, changes=changes)
        return [pattern for (pattern,) in self.cursor.execute(statement).fetchall()]

    def _in_full(self, suspects: Sql, changed: Collection[int]) -> Sql:
        """The difference in the rows of some keys. Of rows on both sides, only ``changed`` columns are read twice.

        The hashes prove that the others are equal, except for 0.0 and -0.0.
        """
        among = self._among(suspects, "k")
        after = self._temporary("rows", self._after(self.shape, among))
        now = render.fill(Sql("FROM {{t}}"), t=after)
        ops = {op for (op,) in self.cursor.execute(render.fill("SELECT DISTINCT op FROM {{t}}", t=suspects)).fetchall()}
        if ops <= {"added"}:
            return compare(self.shape, None, now)
        before = self._before(self.shape, among)
        if ops <= {"added", "modified"}:
            read = {*(c.id for c in self.shape.key), *changed, *(c.id for c in self.shape.values if has_floats(c))}
            before = render.render(
                "worktree.filled_from_new",
                outputs=[render.column(f"c{c.id}", "b" if c.id in read else "a") for c in self.shape.rows],
                before=before,
                after=after,
                same_key=self.shape.same_key("b", "a"),
            )
        return compare(self.shape, before, now)

    def _compared(self, shape: Shape) -> Sql:
        key = self._by

        def in_dirty(prefix: str) -> Sql:
            where = self._in_dirty(bucket(key, self.known.buckets, prefix))
            if not self._ranges:
                return where
            return render.joined([self._in_ranges(render.column(f"{prefix}{key[0].id}")), where], " AND ")

        return compare(shape, self._before(shape, in_dirty), arrange(self.working(), shape, self.table))

    def _before(self, shape: Shape, where: Condition) -> Sql:
        return arrange(self.contents.state(self.version_id, where), shape, self.committed, old=True)

    def _after(self, shape: Shape, among: _Among) -> Sql:
        return arrange(working_rows(self.table, where=among.of_working()), shape, self.table)

    def _in_dirty(self, number: Sql) -> Sql:
        """The condition that a row is in a dirty bucket: a constant, not a join."""
        text = Sql("get_bit(CAST({{bits}} AS BIT), CAST({{number}} AS INTEGER)) = 1")
        return render.fill(text, bits=render.literal(self._bits), number=number)

    def _among(self, keys: Sql, prefix: str) -> _Among:
        names = columns(prefix, self.shape.key)
        listed = render.fill("SELECT {{c}} FROM {{t}}", c=names, t=keys)
        key = self.shape.key[0]
        if len(self.shape.key) > 1 or storage_type(key.type) not in NEIGHBOURLY:
            return _Among(self.table, listed)
        few = render.render("worktree.key_range", key=names[0], keys=keys, most=render.literal(_LOOKED_UP))
        return _Among(self.table, listed, *self._row(few))

    def _temporary(self, what: str, rows: Sql, outputs: Sequence[Sql] = (Sql("*"),)) -> Sql:
        """A new temporary table with rows."""
        name = render.identifier(f"epoch_dirty_{what}_{next(_numbers)}")
        text = "CREATE TEMP TABLE {{name}} AS SELECT {{outputs}} FROM ({{rows}}) AS rows"
        self.cursor.execute(render.fill(text, name=name, outputs=outputs, rows=rows))
        return name

    def _row(self, statement: Sql) -> tuple[Any, ...]:
        row = self.cursor.execute(statement).fetchone()
        assert row
        return row


@dataclass(frozen=True)
class _Among:
    """The condition that a row has one of some keys. For integers, with their range, which skips parts of files and
    tables, and the keys themselves if they are few: then DuckDB looks them up in the index of a table.
    """

    table: Table
    listed: Sql
    least: int | None = None
    greatest: int | None = None
    few: Sequence[int] | None = None

    def __call__(self, prefix: str) -> Sql:
        return self._holds([render.column(f"{prefix}{c.id}") for c in self._key])

    def of_working(self) -> Sql:
        """The same for rows of the working table."""
        if self.few:
            listed = [render.literal(value) for value in self.few]
            return render.fill("{{c}} IN ({{v}})", c=render.column(self._key[0].name), v=listed)
        return self._holds([encode(render.column(c.name), c.type) for c in self._key])

    @property
    def _key(self) -> tuple[Column, ...]:
        return tuple(c for c in self.table.stored_columns if c in self.table.key)

    def _holds(self, values: Sequence[Sql]) -> Sql:
        text = "{{values}} IN ({{keys}})" if len(values) == 1 else "({{values}}) IN ({{keys}})"
        if self.least is None:
            return render.fill(text, values=values, keys=self.listed)
        bounds = [render.literal(value) for value in (self.least, self.greatest)]
        text += " AND {{values}} BETWEEN {{least}} AND {{greatest}}"
        return render.fill(text, values=values, keys=self.listed, least=bounds[0], greatest=bounds[1])


def _covering(columns: Sequence[Column], patterns: Collection[Sequence[bool]]) -> tuple[Column, ...]:
    """The cheapest columns of which at least one differs in each pattern."""
    left, found = [*patterns], []
    for number in sorted(range(len(columns)), key=lambda n: _width(columns[n])):
        if any(pattern[number] for pattern in left):
            found.append(columns[number])
            left = [pattern for pattern in left if not pattern[number]]
    return tuple(found)


def _width(column: Column) -> int:
    storage = storage_type(column.type)
    return 1 + (storage.startswith(_WIDE) or storage.endswith(("]", ")")))
