"""The rows in which a working table differs from its committed version.

In a large table, only rows in buckets whose hashes differ are compared, and of these as few columns as possible (see
``narrowing``).
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.errors import KeyBroken
from epoch_sql.model.schema import Column
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.shape import Condition, Shape, arrange, compare, shape_of
from epoch_sql.worktree.narrowing import DirtyRows
from epoch_sql.worktree.rows import WorkingTable, bucket, bucket_key, bucketed, dirty_buckets, working_rows


class Comparison:
    """Compares working tables with their committed versions, on one cursor."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, contents: Contents) -> None:
        self.cursor = cursor
        self.contents = contents

    def changes(self, working: WorkingTable) -> tuple[Sql, Shape]:
        """The difference between the committed and the working rows of a table, and its shape.

        If the table's rows were read, the buckets that may have changed are found now. The query then gives the whole
        difference until the table changes again.
        """
        shape = shape_of(working.committed, working.table)
        if working.entry is None or working.committed is None:
            return compare(shape, None, arrange(working_rows(working.table), shape, working.table)), shape
        if not bucketed(working):
            return self._compared(shape, working, None), shape
        if working.row_count < 0:
            rows = self._compared(shape, working, lambda prefix: _in_listed(working, prefix))
            with_dirty = Sql("WITH dirty AS MATERIALIZED ({{dirty}}) {{rows}}")
            return render.fill(with_dirty, dirty=_dirty(working), rows=rows), shape
        dirty = DirtyRows(self.cursor, self.contents, working, shape, self._dirty_buckets(working))
        return dirty.narrowed() or dirty.compared(), shape

    def check_key(self, working: WorkingTable) -> None:
        """Raises EpochTableError, with examples, if a declared key has NULLs or duplicates."""
        key = working.table.key
        if not working.table.declared_key or working.table.key_names != working.table.declared_key:
            return
        rows = working_rows(working.table)
        if bucketed(working):
            shape = shape_of(working.committed, working.table)
            rows = DirtyRows(self.cursor, self.contents, working, shape, self._dirty_buckets(working)).working()
        statement = render.render(
            "worktree.broken_key",
            key_struct=_struct(key),
            missing=render.joined(
                [render.fill(Sql("{{c}} IS NULL"), c=render.column(f"c{c.id}")) for c in key], " OR "
            ),
            key_columns=[render.column(f"c{c.id}") for c in key],
            rows=rows,
        )
        broken = self.cursor.execute(statement).fetchall()
        if broken:
            names = ", ".join(c.name for c in key)
            values = ", ".join(row[0] for row in broken)
            raise KeyBroken(
                f"table {working.table.name} cannot be versioned by its key ({names}): NULL or duplicate in {values}",
                (
                    "correct the rows, or choose other columns: ",
                    Suggestion("key", str(working.table.name), ("COLUMN",)),
                ),
                table=str(working.table.name),
            )

    def _compared(self, shape: Shape, working: WorkingTable, where: Condition | None) -> Sql:
        """The difference in the rows that meet a condition."""
        assert working.entry and working.committed
        before = self.contents.state(working.entry.version_id, where)
        after = working_rows(working.table)
        if where is not None:
            after = render.fill(Sql("SELECT * FROM ({{r}}) AS rows WHERE {{w}}"), r=after, w=where("c"))
        return compare(shape, arrange(before, shape, working.committed, old=True), arrange(after, shape, working.table))

    def _dirty_buckets(self, working: WorkingTable) -> Collection[int]:
        if working.dirty is not None:
            return working.dirty
        return [number for (number,) in self.cursor.execute(_dirty(working)).fetchall()]


def _dirty(working: WorkingTable) -> Sql:
    assert working.known
    return dirty_buckets(working.table, working.known)


def _in_listed(working: WorkingTable, prefix: str) -> Sql:
    """The condition that a row's bucket is in the relation ``dirty``."""
    assert working.known
    known = working.known
    number = bucket(bucket_key(working.table, known.bucket_column), known.buckets, prefix)
    return render.fill(Sql("{{b}} IN (SELECT bucket FROM dirty)"), b=number)


def _struct(key: tuple[Column, ...]) -> Sql:
    """The key of a row as a struct with the columns' names."""
    fields = [render.fill(Sql("{{n}}: {{c}}"), n=render.literal(c.name), c=render.column(f"c{c.id}")) for c in key]
    return Sql("{" + render.joined(fields, ", ") + "}")
