"""The levels of a version as Iceberg has them: which files lie as they are, and the SQL of those that are written.

The base level is data files. Each delta is a data file with the rows that it leaves, and position deletes of the rows
that it replaces in the files before. So a file follows from its level and from what is before, and every snapshot,
branch and tag with that level shares it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.iceberg.types import held_value, lies_as_held, readable_as, signature
from epoch_sql.model.commit import DataFile, Level
from epoch_sql.model.schema import Table, canonical_json
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.shape import Shape, aliased, has_floats, shape_of
from epoch_sql.storage.skipping import reaching

FORM = 1
"""Changes when the same level is written in another form."""


@dataclass(frozen=True)
class BaseFile:
    """A file of a base level, and where it lies (None: it has to be written for Iceberg)."""

    file: DataFile
    path: str | None


@dataclass(frozen=True)
class Delta:
    """A delta that comes after a base level: its level, and the definition that its rows are written under."""

    level: Level
    written: Table


@dataclass(frozen=True)
class Before:
    """A data file that a delta may replace rows of: its path, its base file or its delta, and how many deltas come
    before it."""

    path: str
    source: DataFile | Delta
    place: int


class Levels:
    """The levels of one version, under its definition. ``place`` says where a base file lies for readers."""

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        contents: Contents,
        table: Table,
        levels: Sequence[Level],
        place: Callable[[DataFile], str | None],
    ) -> None:
        self._cursor = cursor
        self._contents = contents
        self._table = table
        self._base = levels[0] if levels else None
        self._shape = shape_of(None, table)
        self.deltas = [Delta(level, self._definition(level.files)) for level in levels[1:] if level.files]
        self._place = place

    def base(self) -> list[BaseFile]:
        """The files of the base level."""
        return [BaseFile(file, self._lying(file)) for file in (self._base.files if self._base else ())]

    def base_key(self, files: Sequence[BaseFile]) -> str:
        """What tells whether base files were exported before."""
        return key_of("base", [found.path or [found.file.file_id, self._signature(found.file)] for found in files])

    def rows_key(self, delta: Delta) -> str:
        """What tells whether the rows of a delta were written before."""
        return key_of("rows", delta.level.level_id, signature(delta.written))

    def deletes_key(self, delta: Delta, before: Sequence[Before]) -> str:
        """What tells whether the positions that a delta replaces were written before."""
        keys = sorted(column.id for column in self._shape.key)
        return key_of("deletes", delta.level.level_id, keys, [(found.path, found.place) for found in before])

    def copy(self, file: DataFile) -> tuple[Sql, Table]:
        """The rows of a base file that does not lie as it is, and the definition that they have."""
        table = self._definition([file])
        rows = self._contents.numbered_rows(file, table)
        return render.render("iceberg.copy", rows=rows, outputs=_outputs(table, lambda _: "c")), table

    def rows(self, delta: Delta) -> Sql:
        """The rows that a delta leaves."""
        shape = shape_of(None, delta.written)
        keys = {column.id for column in shape.key}
        return render.render(
            "iceberg.rows",
            outputs=_outputs(delta.written, lambda number: "k" if number in keys else "n"),
            present=self._present(delta, shape),
            order=_order(shape),
        )

    def leaves_rows(self, delta: Delta) -> bool:
        """Whether a delta leaves any rows."""
        return self._any(delta, "n0 > 0" if self._shape.keyless else "op <> 'removed'")

    def replaces_rows(self, delta: Delta) -> bool:
        """Whether a delta removes or replaces any rows."""
        return self._any(delta, self._existed)

    def deletes(self, delta: Delta, before: Sequence[Before]) -> Sql:
        """The positions of the rows that a delta replaces, in data files before it."""
        return render.render(
            "iceberg.deletes", positions=render.joined([self._positions(delta, f) for f in before], "\nUNION ALL\n")
        )

    def may_hold(self, file: DataFile, delta: Delta) -> bool:
        """Whether a base file may hold rows that a delta replaces, by the range of its keys."""
        assert self._base
        found = [reaching(self._contents.schema, [self._base], self._table, one)[0].files for one in delta.level.files]
        return any(file in files for files in found)

    def _positions(self, delta: Delta, before: Before) -> Sql:
        if isinstance(before.source, DataFile):
            rows = self._contents.numbered_rows(before.source, self._table)
        else:
            shape = shape_of(None, before.source.written)
            rows = render.render(
                "iceberg.numbered",
                keys=[aliased(render.column(f"k{c.id}"), f"c{c.id}") for c in shape.key],
                order=_order(shape),
                present=self._present(before.source, shape),
            )
        between = self.deltas[before.place : self.deltas.index(delta)]
        return render.render(
            "iceberg.positions",
            path=render.literal(before.path),
            rows=rows,
            replaced=self._replaced(delta, between),
            same_key=self._shape.same_key("rows", "replaced", "c", "k"),
        )

    def _replaced(self, delta: Delta, between: Sequence[Delta]) -> Sql:
        """The keys of rows that a delta replaces and that no delta ``between`` has: those are replaced already."""
        later = [
            render.fill("SELECT {{keys}} FROM ({{rows}}) AS rows", keys=self._shape.keys(), rows=self._changed(other))
            for other in between
        ]
        return render.render(
            "iceberg.replaced",
            keys=self._shape.keys("changed"),
            changed=self._changed(delta),
            existed=Sql(self._existed),
            between=bool(later),
            later=render.joined(later, "\nUNION ALL\n"),
            same_key=self._shape.same_key("changed", "later", "k", "k"),
        )

    @property
    def _existed(self) -> str:
        return "o0 > 0" if self._shape.keyless else "op <> 'added'"

    def _any(self, delta: Delta, condition: str) -> bool:
        found = render.render("iceberg.has_rows", changed=self._changed(delta), condition=Sql(condition))
        return bool(self._cursor.execute(found).fetchall())

    def _changed(self, delta: Delta) -> Sql:
        return self._contents.rows_of_delta(delta.level, self._table)

    def _present(self, delta: Delta, shape: Shape) -> Sql:
        query = "iceberg.present_copies" if shape.keyless else "iceberg.present"
        return render.render(query, changed=self._contents.rows_of_delta(delta.level, delta.written))

    def _definition(self, files: Sequence[DataFile]) -> Table:
        """The definition that files are written under: their own if its files are read rightly, or else the
        version's."""
        own = {file.schema_id: self._contents.schema(file.schema_id) for file in files}
        first = next(iter(own.values()))
        return first if len(own) == 1 and readable_as(first, self._table) else self._table

    def _signature(self, file: DataFile) -> str:
        return signature(self._definition([file]))

    def _lying(self, file: DataFile) -> str | None:
        return self._place(file) if lies_as_held(self._contents.schema(file.schema_id), self._table) else None


def has_signs(table: Table) -> bool:
    """Whether rows have values whose sign older DuckDBs lose in dictionary pages."""
    return any(map(has_floats, table.stored_columns))


def key_of(*parts: object) -> str:
    """What names a part of a snapshot."""
    return hashlib.sha256(canonical_json([FORM, *parts]).encode()).hexdigest()[:32]


def _outputs(table: Table, prefix: Callable[[int], str]) -> list[Sql]:
    return [aliased(held_value(render.column(f"{prefix(c.id)}{c.id}"), c), c.name) for c in table.stored_columns]


def _order(shape: Shape) -> list[Sql]:
    """The order of a delta's rows in a file: by sort keys, under which no two keys are equal. The columns come in the
    order of their ids, which no change of a definition changes."""
    keys = sorted(shape.key, key=lambda column: column.id)
    values = [render.column(f"k{column.id}") for column in keys]
    return [render.fill("create_sort_key({{v}}, 'ASC NULLS LAST')", v=value) for value in values]
