"""Versions as relations: the SQL text whose rows are a version's state, or the difference between two versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import chain, count
from pathlib import Path
from typing import Protocol

from epoch_sql import render
from epoch_sql.catalog.relation import RowCache
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import DataFile, Level, TableEntry, Version
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.conversion import converted
from epoch_sql.storage.shape import (
    MULTIPLICITY,
    Condition,
    Shape,
    aliased,
    applied,
    arrange,
    columns,
    compare,
    filling,
    has_floats,
    matching,
    no_changes,
    of_step,
    shape_of,
    stored_as,
)
from epoch_sql.storage.skipping import comparable, differing

Step = tuple[Level, bool]


class Files(Protocol):
    """The Parquet files of versions, wherever they are."""

    def path(self, file_id: str) -> Path | str:
        """The path of the file of that id, for DuckDB or another engine."""

    def problem(self, files: Sequence[DataFile], whole: bool = False) -> tuple[DataFile, str] | None:
        """The first file that cannot be read, and why. ``whole``: every byte of it matters."""


class Descriptions(Protocol):
    """Versions, levels and definitions by id. ``Contents`` remembers them."""

    def versions(self, ids: Iterable[str]) -> Mapping[str, Version]:
        """The versions of these ids."""

    def levels(self, ids: Iterable[str]) -> Mapping[str, Level]:
        """The levels of these ids."""

    def tables(self, ids: Iterable[str]) -> Mapping[str, Table]:
        """The definitions of these ids."""

    def edges(self, table_id: str) -> list[Level]:
        """The known deltas between two versions of a table, with their ends. There may be others among them."""

    def add(self, tables: Sequence[Table], levels: Sequence[Level], versions: Sequence[Version]) -> None:
        """Remember new descriptions, for good if that is how they are kept."""

    def broken(self, file_id: str, problem: str) -> EpochStorageError:
        """The error for a file with a problem."""


class Contents:
    """Reads versions: their descriptions from a catalog or a store, their rows as SQL over Parquet files."""

    def __init__(self, descriptions: Descriptions, files: Files, cache: RowCache) -> None:
        self.descriptions = descriptions
        self.files = files
        self._versions = cache.versions
        self._levels = cache.levels
        self._tables = cache.tables

    def load(self, version_ids: Iterable[str]) -> None:
        """Read the descriptions of many versions at once, before they are used."""
        missing = [i for i in set(version_ids) if i not in self._versions]
        if missing:
            self._versions.update(self.descriptions.versions(missing))
            self._load_tables({self._versions[i].schema_id for i in missing})

    def store_descriptions(
        self, tables: Sequence[Table], levels: Sequence[Level], versions: Sequence[Version] = ()
    ) -> None:
        """Store new descriptions, and add them to the cache."""
        self.descriptions.add(tables, levels, versions)
        self._tables.update((table.digest, table) for table in tables)
        self._levels.update((level.level_id, level) for level in levels)
        self._versions.update((version.version_id, version) for version in versions)

    def edges(self, table_id: str) -> list[Level]:
        """The known deltas between two versions of a table."""
        return self.descriptions.edges(table_id)

    def version(self, version_id: str) -> Version:
        """The description of a version."""
        self.load([version_id])
        return self._versions[version_id]

    def fingerprint(self, entry: TableEntry | None) -> str | None:
        """The fingerprint of the rows of a table in a tree."""
        return self.version(entry.version_id).fingerprint if entry else None

    def table(self, version_id: str) -> Table:
        """The definition of the version."""
        return self.schema(self.version(version_id).schema_id)

    def schema(self, schema_id: str) -> Table:
        """The definition of that id."""
        self._load_tables([schema_id])
        return self._tables[schema_id]

    def levels(self, version_id: str) -> list[Level]:
        """The version's levels, base first."""
        ids = self.version(version_id).level_ids
        missing = [i for i in ids if i not in self._levels]
        if missing:
            self._levels.update(self.descriptions.levels(missing))
        return [self._levels[i] for i in ids]

    def stored_column_ids(self, version_id: str) -> set[int]:
        """The columns that the version's files hold, dropped ones too."""
        files = [file for level in self.levels(version_id) for file in level.files]
        schemas = {schema_id for file in files for schema_id in (file.schema_id, file.old_schema_id) if schema_id}
        self._load_tables(schemas)
        return {column.id for schema_id in schemas for column in self._tables[schema_id].stored_columns}

    def state(self, version_id: str, where: Condition | None = None) -> Sql:
        """All rows of the version: ``c<id>`` for each stored column, as storage values."""
        return self.state_of(self.table(version_id), self.levels(version_id), where)

    def state_of(self, table: Table, levels: Sequence[Level], where: Condition | None = None) -> Sql:
        """The rows of levels (base first), under a definition. Only those whose keys meet a condition, if there is one:
        it is tested while files are read."""
        shape = shape_of(None, table)
        base = (self._base_rows(levels[0].files, table) if levels else None) or render.no_rows(
            (f"c{c.id}", stored_as(c)) for c in table.stored_columns
        )
        base = matching(base, where, "c")
        deltas = [level for level in levels[1:] if level.files]
        if not deltas:
            return base
        steps = self._steps(deltas, shape)
        keys = render.fill("SELECT {{keys}} FROM ({{steps}}) AS steps", keys=shape.keys(), steps=steps)
        latest = steps if len(deltas) == 1 else _latest(steps, shape)
        return applied(table, base, matching(keys, where, "k"), matching(latest, where, "k"))

    def changes(self, before: str | None, after: str | None) -> Sql:
        """The difference between two versions of a table (None: no table), with one row for each key. See ``Shape``."""
        old = self.table(before) if before else None
        new = self.table(after) if after else None
        shape = shape_of(old, new)
        if before == after:
            return no_changes(shape)
        # No delta has a key of two types.
        path = self.path(before, after) if before and after and not shape.twice else None
        if path is None:
            sides = [self.levels(version_id) if version_id else [] for version_id in (before, after)]
            if old and old == new and all(sides) and comparable(self.schema, chain(*sides), old):
                sides = [*differing(*sides)]
            return compare(
                shape,
                arrange(self.state_of(old, sides[0]), shape, old, old=True) if before and old else None,
                arrange(self.state_of(new, sides[1]), shape, new) if after and new else None,
            )
        return self.compose(path, shape)

    def rows_of_delta(self, level: Level, table: Table) -> Sql:
        """The rows of a delta under a definition: op, the key ``k<id>``, new values ``n<id>``, old values ``o<id>``."""
        return render.fill(
            "SELECT * EXCLUDE (step) FROM ({{rows}}) AS rows", rows=self._steps([level], shape_of(None, table))
        )

    def numbered_rows(self, file: DataFile, table: Table) -> Sql:
        """The rows of a base file under a definition (``c<id>``), with their numbers in the file (``pos``)."""
        written = self.schema(file.schema_id)
        cells = [aliased(_read_base(column, written), f"c{column.id}") for column in table.stored_columns]
        return self._scan([Sql("file_row_number AS pos"), *cells], [file], numbered=True)

    def path(self, before: str, after: str) -> list[Step] | None:
        """The deltas that lead from one version to another at the least cost, and whether each is read forwards.

        None if comparing the two states is cheaper than every path. Dijkstra's algorithm over the deltas as edges, with
        the number of rows as their length.
        """
        limit = self.version(before).row_count + self.version(after).row_count
        neighbours: dict[str, list[tuple[str, Step]]] = {}
        for level in self.edges(self.version(after).table_id):
            assert level.from_version and level.to_version
            neighbours.setdefault(level.from_version, []).append((level.to_version, (level, True)))
            neighbours.setdefault(level.to_version, []).append((level.from_version, (level, False)))
        order = count()
        queue: list[tuple[int, int, str, list[Step]]] = [(0, next(order), before, [])]
        done: set[str] = set()
        while queue:
            cost, _, version_id, steps = heappop(queue)
            if version_id == after:
                return [step for step in steps if step[0].files] if self._whole(steps, before, after) else None
            if version_id in done:
                continue
            done.add(version_id)
            for neighbour, step in neighbours.get(version_id, []):
                total = cost + step[0].row_count + 1
                if neighbour not in done and total <= limit + 1000:
                    heappush(queue, (total, next(order), neighbour, [*steps, step]))
        return None

    def _whole(self, steps: Sequence[Step], before: str, after: str) -> bool:
        """Whether the deltas of a path carry every value of both ends.

        They do not if a column of one end is dropped on the way: no delta has its values in rows that change after the
        drop or not at all. They do not either if both ends have a column that was added with different values for old
        rows.
        """
        fills = [{c.id: c.fill for c in self.table(end).stored_columns} for end in (before, after)]
        old, new = (set(end) for end in fills)
        if any(fills[0][i] != fills[1][i] for i in old & new):
            return False
        here, dropped = old, set[int]()
        for level, forward in steps:
            there = _stored_ids(self.table((level.to_version if forward else level.from_version) or before))
            if dropped and level.files:
                return False
            if forward:
                dropped |= (here - there) & (old | new)
            elif (there - here) & (old | new):
                return False
            here = there
        return not dropped & new

    def compose(self, steps: Sequence[Step], shape: Shape) -> Sql:
        """The net change of deltas read one after the other."""
        if not steps:
            return no_changes(shape)
        rows = [self._delta_rows(level, forward, shape, number) for number, (level, forward) in enumerate(steps)]
        outputs: list[render.Sql] = [*shape.keys(), *columns("n", shape.values), *columns("o", shape.values)]
        if len(rows) == 1:
            changed = render.fill(Sql("op <> 'modified' OR {{d}}"), d=shape.differs((None, "n"), (None, "o")))
            return render.fill(
                Sql("SELECT op, {{outputs}} FROM ({{rows}}) AS step WHERE {{changed}}"),
                outputs=outputs,
                rows=rows[0],
                changed=changed,
            )
        aggregates = [
            aliased(of_step(c, render.column(f"{prefix}{c.id}"), newest=prefix == "n"), f"{prefix}{c.id}")
            for prefix, group in (("n", shape.values), ("o", shape.old_values))
            for c in group
        ]
        return render.render(
            "levels.compose",
            outputs=outputs,
            keys=shape.keys(),
            aggregates=aggregates,
            steps=render.joined(rows, "\nUNION ALL\n"),
            differs=shape.differs((None, "n"), (None, "o")),
        )

    def _steps(self, deltas: Sequence[Level], shape: Shape) -> Sql:
        rows = [self._delta_rows(level, True, shape, number) for number, level in enumerate(deltas)]
        return render.joined(rows, "\nUNION ALL\n")

    def _delta_rows(self, level: Level, forward: bool, shape: Shape, step: int) -> Sql:
        """The rows of a delta in the given shape. Read backwards, old and new values are swapped."""
        groups: dict[tuple[str, str | None], list[DataFile]] = {}
        for file in level.files:
            groups.setdefault((file.schema_id, file.old_schema_id), []).append(file)
        selects = []
        for (new_schema, old_schema), files in groups.items():
            new, old = self.schema(new_schema), self.schema(old_schema or new_schema)
            ends = (("n", new, "n"), ("o", old, "o")) if forward else (("n", old, "o"), ("o", new, "n"))
            values = [
                aliased(_read(column, f"{physical}{column.id}", table), f"{prefix}{column.id}")
                for prefix, table, physical in ends
                for column in (shape.values if prefix == "n" else shape.old_values)
            ]
            keys = [aliased(_read(column, f"k{column.id}", new), f"k{column.id}") for column in shape.key]
            op = (
                Sql("op")
                if forward
                else Sql("CASE op WHEN 'added' THEN 'removed' WHEN 'removed' THEN 'added' ELSE op END AS op")
            )
            number = aliased(render.literal(step), "step")
            selects.append(self._scan([op, *keys, *values, number], files))
        return render.joined(selects, "\nUNION ALL\n")

    def _base_rows(self, files: Sequence[DataFile], table: Table) -> Sql | None:
        groups: dict[str, list[DataFile]] = {}
        for file in files:
            groups.setdefault(file.schema_id, []).append(file)
        selects = [
            self._scan(
                [aliased(_read_base(c, self.schema(schema_id)), f"c{c.id}") for c in table.stored_columns], group
            )
            for schema_id, group in groups.items()
        ]
        return render.joined(selects, "\nUNION ALL\n") if selects else None

    def _scan(self, outputs: Sequence[Sql], files: Sequence[DataFile], numbered: bool = False) -> Sql:
        paths = render.strings([*self.paths(files)])
        # A folder may be called like a column of a partition: id=5.
        scan = "SELECT {{outputs}} FROM read_parquet({{paths}}, hive_partitioning = false{{numbered}})"
        number = Sql(", file_row_number = true" if numbered else "")
        return render.fill(Sql(scan), outputs=outputs, paths=paths, numbered=number)

    def paths(self, files: Sequence[DataFile], whole: bool = False) -> dict[str, str]:
        """The paths of files, with their ids. Raises EpochStorageError if a file is damaged: a large one is read to
        find out only if it matters as a ``whole``, for instance before it is copied."""
        found = self.files.problem(files, whole)
        if found:
            raise self.descriptions.broken(found[0].file_id, found[1])
        return {str(self.files.path(file.file_id)): file.file_id for file in files}

    def require_sound(self, levels: Iterable[Level]) -> None:
        """Raises EpochStorageError if a file of the levels, however large, has changed. Called before the file is
        copied."""
        self.paths([file for level in levels for file in level.files], whole=True)

    def _load_tables(self, schema_ids: Iterable[str]) -> None:
        missing = [i for i in set(schema_ids) if i not in self._tables]
        if missing:
            self._tables.update(self.descriptions.tables(missing))


def _latest(steps: Sql, shape: Shape) -> Sql:
    """The last row of each key in several deltas."""
    if not any(has_floats(column) for column in (*shape.key, *shape.values)):
        return render.render("levels.latest", steps=steps, keys=shape.keys())
    same_key = shape.same_key("steps", "latest", "k", "k")
    return render.render("levels.latest_floats", steps=steps, keys=shape.keys(), same_key=same_key)


def _stored_ids(table: Table) -> set[int]:
    return {column.id for column in table.stored_columns}


def _read_base(column: Column, written: Table) -> Sql:
    source = written.column_by_id(column.id)
    return _typed(render.column(source.name), source, column) if source and source.stored else filling(column)


def _read(column: Column, physical: str, written: Table) -> Sql:
    """A value of a delta file, or the fill value if the file is older than the column."""
    if column.id == MULTIPLICITY.id:
        return Sql(physical)
    source = written.column_by_id(column.id)
    return _typed(render.column(physical), source, column) if source and source.stored else filling(column)


def _typed(value: Sql, source: Column, wanted: Column) -> Sql:
    return value if source.type == wanted.type else converted(value, source, wanted)
