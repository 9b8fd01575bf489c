"""Proves files of a store: their columns, and the effect of their rows on the levels below.

Each query reads many files, because a clone has thousands of small ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.model.commit import DataFile, RowCounts
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import storage_type
from epoch_sql.storage.key_ranges import key_bounds, stored_key
from epoch_sql.storage.shape import Shape, aliased, columns, shape_of
from epoch_sql.storage.writing import ObjectStore, count_terms, row_digest

Columns = tuple[tuple[str, str], ...]
"""Names and types."""


@dataclass(frozen=True)
class Footer:
    """The footer of a Parquet file. ``columns`` is one text, equal for files with the same columns."""

    rows: int
    columns: str


@dataclass(frozen=True)
class Step:
    """A delta (its file), the base level below it (its name; None: no rows), and the deltas between them, the lowest
    first (their files). ``base_files`` are those of the base level that may hold keys of the delta."""

    base: str | None
    base_files: tuple[str, ...]
    below: tuple[str, ...]
    file_id: str


@dataclass(frozen=True)
class Shift:
    """The effect of a delta on the rows below it.

    ``rows`` and ``keys`` are counted in the file. ``wrong`` is the number of rows that are not changes, or that state a
    wrong old row. ``minus`` and ``plus`` are sums of hashes of rows.
    """

    rows: int
    keys: int
    wrong: int
    counts: RowCounts
    minus: int
    plus: int


@dataclass(frozen=True)
class Effect:
    """The effect of a delta, as its own rows tell it: how many rows more there are, and the sums of the hashes of rows
    that it takes away and of those that it adds."""

    grown: int = 0
    minus: int = 0
    plus: int = 0


class Prover:
    """Queries the files of a store, on one cursor."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, store: ObjectStore) -> None:
        self.cursor = cursor
        self.store = store

    def footers(self, file_ids: Sequence[str]) -> dict[str, Footer]:
        """The footers of some files."""
        rows = self.cursor.execute(render.render("row_proof.footers", paths=self._paths(file_ids))).fetchall()
        return {file_id: Footer(count, told) for file_id, count, told in rows}

    def columns(self, file_id: str) -> Columns:
        """The columns of a file."""
        rows = render.fill(
            Sql("SELECT * FROM read_parquet({{p}}, hive_partitioning = false)"), p=self._paths([file_id])
        )
        return self._described(rows)

    def wrong_ranges(self, files: Iterable[DataFile], tables: Mapping[str, Table]) -> Iterator[DataFile]:
        """The files, with columns alike, whose rows have another least or greatest key than they are said to have."""
        groups: dict[tuple[str, str | None], dict[str, DataFile]] = {}
        for file in files:
            groups.setdefault((file.schema_id, file.old_schema_id), {})[file.file_id] = file
        for (new, old), group in groups.items():
            key = stored_key(tables[new], tables[old] if old else None)
            name = _file_name(tables[new])
            statement = render.render(
                "row_proof.ranges",
                bounds=key_bounds(key),
                file=render.column(name),
                name=render.literal(name),
                paths=self._paths([*group]),
            )
            found = self.cursor.execute(statement).fetchall() if key else [(i, None, None) for i in group]
            for file_id, *bounds in found:
                if bounds != [group[file_id].least_key, group[file_id].greatest_key]:
                    yield group[file_id]

    def expected(self, outputs: Iterable[tuple[str, Column]]) -> Columns:
        """Columns of these names, with the storage types of these columns."""
        typed = [
            aliased(render.fill(Sql("CAST(NULL AS {{t}})"), t=storage_type(column.type)), name)
            for name, column in outputs
        ]
        return self._described(render.fill(Sql("SELECT {{outputs}}"), outputs=typed))

    def bases(self, files: Mapping[Table, Sequence[str]], table: Table) -> dict[str, tuple[int, int, int]]:
        """For each base file (by its definition): the number of rows and of keys, and the sum of hashes."""
        key = columns("c", table.key)
        told = {}
        for rows in self._base_rows(files, table):
            statement = render.render(
                "row_proof.bases",
                rows=rows,
                digest=row_digest(columns("c", table.stored_columns)),
                key=key or Sql("0 AS c0"),
                keys=_distinct(key),
            )
            for file_id, count, keys, lower, upper in self.cursor.execute(statement).fetchall():
                told[file_id] = (int(count), int(keys) if key else int(count), int(lower) + (int(upper) << 64))
        return told

    def shifts(self, steps: Sequence[Step], files: Mapping[Table, Sequence[str]], table: Table) -> dict[int, Shift]:
        """The effect of each step. ``files`` are those of the base levels, by the definitions that they were written
        with."""
        shape = shape_of(None, table)
        self._read_deltas({i for step in steps for i in (*step.below, step.file_id)}, shape, table)
        run = self.cursor.execute
        run(
            render.load("row_proof.steps"),
            [list(range(len(steps))), [s.base for s in steps], [s.file_id for s in steps]],
        )
        bases = sorted({(s.base, file_id) for s in steps if s.base for file_id in s.base_files})
        run(render.load("row_proof.bases_of_steps"), [[base for base, _ in bases], [file_id for _, file_id in bases]])
        below = [(n, file_id, height) for n, s in enumerate(steps) for height, file_id in enumerate(s.below)]
        run(render.load("row_proof.earlier"), [[row[part] for row in below] for part in range(3)])
        rows = [*self._base_rows(files, table)] or [_no_rows(table)]
        run(
            render.render(
                "row_proof.touched",
                rows=render.joined(rows, "\nUNION ALL\n"),
                digest=row_digest(columns("c", table.stored_columns, "base")),
                keys=shape.keys(),
                same_key=shape.same_key("base", "touched", "c", "k"),
            )
        )
        _, kinds = count_terms(shape)
        told = run(render.render("row_proof.shifts", well_formed=_well_formed(shape), **kinds)).fetchall()
        found = {}
        for node, count, keys, wrong, added, modified, removed, *sums in told:
            counts = RowCounts(int(added), int(modified), int(removed))
            minus, plus = int(sums[0]) + (int(sums[1]) << 64), int(sums[2]) + (int(sums[3]) << 64)
            found[node] = Shift(count, keys, wrong, counts, minus, plus)
        return found

    def effects(self, file_ids: Sequence[str], old: Table, new: Table) -> dict[str, Effect]:
        """The effects of deltas that were written between two definitions with the same values. Those without rows
        have none."""
        shape = shape_of(old, new)
        counts, kinds = count_terms(shape)
        statement = render.render(
            "row_proof.sums",
            # DuckDB 1.x would read a file twice that two levels share.
            paths=self._paths([*dict.fromkeys(file_ids)]),
            old_digest=_digest(shape, old, "o"),
            new_digest=_digest(shape, new, "n"),
            **counts,
            **kinds,
        )
        found = {}
        for file_id, *sums in self.cursor.execute(statement).fetchall():
            added, removed, *halves = (int(one) for one in sums)
            found[file_id] = Effect(added - removed, halves[0] + (halves[1] << 64), halves[2] + (halves[3] << 64))
        return found

    def changes_alone(self, file_id: str, shape: Shape) -> tuple[bool, RowCounts]:
        """Whether the rows of a delta are changes, one for each key, whatever is below, and the number of each kind."""
        counts, kinds = count_terms(shape)
        statement = render.render(
            "row_proof.delta",
            paths=self._paths([file_id]),
            distinct=render.fill(Sql("count(DISTINCT {{key}})"), key=row_digest(shape.keys())),
            keys=shape.keys(),
            well_formed=_well_formed(shape),
            **counts,
            **kinds,
        )
        row = self.cursor.execute(statement).fetchone()
        assert row
        rows, keys, wrong, *told = (int(n) for n in row)
        return rows == keys and not wrong, RowCounts(*told)

    def false_old_values(self, changes: Sql, before: Sql, shape: Shape, old: Table) -> int:
        """The number of changes (see ``Shape``) whose old row is not the row before them."""
        if shape.keyless:
            wrong = Sql("coalesce(b.c0, 0) <> d.o0")
        else:
            keys = {column.id for column in shape.key}
            values = [c for c in old.stored_columns if c.id not in keys]
            differ = [
                render.fill(
                    Sql("{{o}} IS DISTINCT FROM {{c}}"),
                    o=render.column(f"o{c.id}", "d"),
                    c=render.column(f"c{c.id}", "b"),
                )
                for c in values
            ]
            wrong = render.fill(
                Sql("(d.op = 'added') = (b.present IS NOT NULL) OR (d.op <> 'added' AND ({{differ}}))"),
                differ=render.joined(differ or [Sql("false")], " OR "),
            )
        statement = render.render(
            "row_proof.old_values",
            changes=changes,
            before=before,
            same_key=shape.same_key("b", "d", "c", "k"),
            wrong=wrong,
        )
        return _number(self.cursor.execute(statement).fetchone())

    def repeated_keys(self, rows: Sql, table: Table) -> int:
        """The number of rows (``c<id>``) minus the number of keys."""
        if not table.key:
            return 0
        key = columns("c", table.key)
        statement = render.fill(
            Sql("SELECT count(*) - {{keys}} FROM ({{rows}}) AS state"), keys=_distinct(key), rows=rows
        )
        return _number(self.cursor.execute(statement).fetchone())

    def _read_deltas(self, file_ids: set[str], shape: Shape, table: Table) -> None:
        counts, _ = count_terms(shape)
        self.cursor.execute(
            render.render(
                "row_proof.deltas",
                paths=self._paths(sorted(file_ids)),
                keys=shape.keys(),
                key=row_digest(shape.keys()),
                old_digest=_digest(shape, table, "o"),
                new_digest=_digest(shape, table, "n"),
                **counts,
            )
        )

    def _base_rows(self, files: Mapping[Table, Sequence[str]], table: Table) -> Iterator[Sql]:
        """The rows of base files: file_id, c<id>."""
        for written, file_ids in files.items():
            name = _file_name(written)
            sources = [(written.column_by_id(column.id), f"c{column.id}") for column in table.stored_columns]
            yield render.render(
                "row_proof.base_rows",
                file=render.column(name),
                outputs=[aliased(render.column(source.name), alias) for source, alias in sources if source],
                paths=self._paths(file_ids),
                name=render.literal(name),
            )

    def _described(self, rows: Sql) -> Columns:
        found = self.cursor.execute(render.fill(Sql("DESCRIBE {{rows}}"), rows=rows)).fetchall()
        return tuple((row[0], row[1]) for row in found)

    def _paths(self, file_ids: Sequence[str]) -> Sql:
        return render.strings([str(self.store.path(file_id)) for file_id in file_ids])


def _digest(shape: Shape, table: Table, prefix: str) -> Sql:
    """The hash of a row before (``o``) or after (``n``) a row of a delta."""
    keys = {column.id for column in shape.key}
    return row_digest([render.column(f"{'k' if c.id in keys else prefix}{c.id}") for c in table.stored_columns])


def _file_name(table: Table) -> str:
    """The name of a column for the path of the file, beside the columns of a table."""
    name = "file"
    while any(column.name.lower() == name for column in table.columns):
        name += "_"
    return name


def _well_formed(shape: Shape) -> Sql:
    """The condition that a row of a delta is a change."""
    if shape.keyless:
        return Sql("old_count >= 0 AND new_count >= 0")
    return Sql("(op = 'added') = (old_count = 0) AND (op = 'removed') = (new_count = 0)")


def _distinct(key: Sequence[render.Sql]) -> Sql:
    """The number of keys without a NULL, each counted once."""
    if not key:
        return Sql("0")
    if len(key) == 1:
        return render.fill(Sql("count(DISTINCT {{k}})"), k=key[0])
    whole = render.joined([render.fill(Sql("{{k}} IS NOT NULL"), k=part) for part in key], " AND ")
    return render.fill(Sql("count(DISTINCT {{k}}) FILTER ({{whole}})"), k=row_digest(key), whole=whole)


def _no_rows(table: Table) -> Sql:
    values = [(f"c{c.id}", storage_type(c.type)) for c in table.stored_columns]
    return render.no_rows([("file_id", Sql("VARCHAR")), *values])


def _number(row: tuple[int, ...] | None) -> int:
    assert row
    return int(row[0])
