"""The changes of commits to one table as a relation, in the columns that the table has in HEAD.

The columns are ``position`` (of the commit), ``op`` (``added``, ``modified``, ``removed``), ``copies`` (of a row
without a key, or else 1) and ``c<id>`` for each stored column of HEAD. The storage values are those of the new row, or
of the old one if it was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.history.lineage import Lineage, Step
from epoch_sql.model.commit import DataFile, Level
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.conversion import converted
from epoch_sql.storage.encoding import encode
from epoch_sql.storage.key_ranges import Range
from epoch_sql.storage.shape import Shape, aliased, columns, filling, shape_of, stored_as
from epoch_sql.storage.skipping import files_with
from epoch_sql.versions.sides import (
    as_stored,
    by_value,
    computed,
    crossing,
    storing,
)

_BACKWARDS = Sql("CASE delta.op WHEN 'added' THEN 'removed' WHEN 'removed' THEN 'added' ELSE delta.op END")
Group = tuple[str, str, bool]


@dataclass(frozen=True)
class WantedKey:
    """The key of one row of HEAD: a condition on ``c<id>``, and a range of keys to skip files with."""

    condition: Sql
    range: Range


class TableChanges:
    """Renders the changes of steps, of all rows or of one.

    One scan reads all deltas with equal columns, however many commits they belong to. Versions are compared only if no
    delta leads from one to the other.
    """

    def __init__(self, lineage: Lineage, wanted: WantedKey | None = None) -> None:
        self.lineage = lineage
        self.contents = lineage.call.contents
        self.head = lineage.table
        self.wanted = wanted
        self._edges: dict[tuple[str, str], Level] = {}
        for level in self.contents.edges(lineage.table_id):
            assert level.from_version and level.to_version
            self._edges[level.from_version, level.to_version] = level

    def relation(self, steps: Iterable[Step]) -> Sql:
        """The changes of these steps."""
        groups: dict[Group, list[tuple[DataFile, int]]] = {}
        selects = []
        for step in steps:
            found = self._edge(step)
            if found is None:
                selects.append(self._compared(step))
                continue
            level, forward = found
            for file in self._files(level.files):
                group = (file.schema_id, file.old_schema_id or file.schema_id, forward)
                groups.setdefault(group, []).append((file, step.position))
        selects += [self._scanned(group, files) for group, files in groups.items()]
        return render.joined(selects, "\nUNION ALL\n") if selects else self._nothing()

    def _files(self, files: Sequence[DataFile]) -> Sequence[DataFile]:
        return files_with(self.contents.schema, files, self.head, self.wanted.range) if self.wanted else files

    def _state(self, version_id: str) -> Sql:
        """The rows of a version, without files that cannot have the wanted key."""
        levels = [replace(level, files=tuple(self._files(level.files))) for level in self.contents.levels(version_id)]
        return self.contents.state_of(self.lineage.table_of(version_id), levels)

    def _edge(self, step: Step) -> tuple[Level, bool] | None:
        """The delta of the step, and whether it is read forwards. Read backwards, it would lack dropped columns."""
        if step.before is None or step.after is None:
            return None
        if crossing(self.lineage.table_of(step.before), self.lineage.table_of(step.after)):
            return None
        if (step.before, step.after) in self._edges:
            return self._edges[step.before, step.after], True
        ids = [{c.id for c in self.lineage.table_of(v).stored_columns} for v in (step.before, step.after)]
        if ids[0] == ids[1] and (step.after, step.before) in self._edges:
            return self._edges[step.after, step.before], False
        return None

    def _scanned(self, group: Group, files: Sequence[tuple[DataFile, int]]) -> Sql:
        """The rows of delta files of one shape, each with the position of its commit."""
        new_schema, old_schema, forward = group
        written, replaced = self.contents.schema(new_schema), self.contents.schema(old_schema)
        shape = shape_of(replaced, written)
        prefixes = ("n", "o") if forward else ("o", "n")
        ends = (written, replaced) if forward else (replaced, written)
        op = Sql("delta.op") if forward else _BACKWARDS
        paths = self.contents.paths([file for file, _ in files])

        def scan(outputs: Sequence[Sql]) -> Sql:
            return render.render(
                "history.delta_steps",
                outputs=outputs,
                paths=render.strings(list(paths)),
                files=render.strings([file.file_id for file, _ in files]),
                positions=_numbers([position for _, position in files]),
            )

        stored = storing(ends[0], self.lineage.crossing), storing(ends[1], self.lineage.crossing)
        if stored == ends:
            return self._only(scan(list(self._outputs(shape, ends, prefixes, op, "delta"))))
        keys, sides = {c.id for c in shape.key}, (("n", written), ("o", replaced))
        values = [f"{p}{c.id}" for p, table in sides for c in table.stored_columns if c.id not in keys]
        names = ["op", *(f"k{i}" for i in keys), *(["n0", "o0"] if shape.keyless else values)]
        changes = scan([render.column(name, "delta") for name in names])
        rows = self._with_computed(changes, shape, sides, ["position", *names])
        outputs = [render.column("position"), *self._outputs(shape, stored, prefixes, op, "delta")]
        return self._only(_select(outputs, rows, "delta"))

    def _with_computed(
        self, changes: Sql, shape: Shape, ends: Iterable[tuple[str, Table]], names: Sequence[str]
    ) -> Sql:
        """Changes with computed values of columns that are stored at another time. ``names`` are the other columns."""
        carried = list(names)
        for prefix, table in ends:
            changes = computed(table, shape, prefix, changes, carried)
            wanted = [c for c in table.columns if c.id in self.lineage.crossing and not c.stored]
            values = [aliased(encode(render.column(f"g{prefix}{c.id}"), c.type), f"{prefix}{c.id}") for c in wanted]
            outputs = [*(render.column(name) for name in carried), *values]
            changes = _select(outputs, changes, "computed")
            carried += [f"{prefix}{c.id}" for c in wanted]
        return changes

    def _compared(self, step: Step) -> Sql:
        """The step between versions without a delta. All rows, if the table was created or dropped."""
        if step.before is None or step.after is None:
            version_id = step.after or step.before
            assert version_id
            op = Sql("'added'" if step.after else "'removed'")
            made = self.lineage.table_of(version_id)
            table, rows = as_stored(made, self._state(version_id), self.lineage.crossing)
            outputs = [
                aliased(render.literal(step.position), "position"),
                aliased(op, "op"),
                aliased(Sql("CAST(1 AS BIGINT)"), "copies"),
                *(aliased(self._value(c, table, "c", "state"), f"c{c.id}") for c in self.head.stored_columns),
            ]
            return self._only(_select(outputs, rows, "state"))
        before, after = self.lineage.table_of(step.before), self.lineage.table_of(step.after)
        ids = self.lineage.crossing
        if storing(before, ids) == before and storing(after, ids) == after:
            shape, changes = shape_of(before, after), self.contents.changes(step.before, step.after)
        else:
            sides = [
                as_stored(self.lineage.table_of(v), self.contents.state(v), ids) for v in (step.before, step.after)
            ]
            (before, _), (after, _) = sides
            changes, shape = by_value(*sides[0], *sides[1])
        outputs = [
            aliased(render.literal(step.position), "position"),
            *self._outputs(shape, (after, before), ("n", "o"), Sql("delta.op"), "delta"),
        ]
        return self._only(_select(outputs, changes, "delta"))

    def _outputs(
        self, shape: Shape, ends: tuple[Table, Table], prefixes: tuple[str, str], op: Sql, relation: str
    ) -> Iterator[Sql]:
        """A change in the columns of HEAD. ``ends`` and ``prefixes`` are those of the new and of the old values."""
        if shape.keyless:
            more = render.fill(
                Sql("CAST({{new}} - {{old}} AS BIGINT)"),
                new=render.column(f"{prefixes[0]}0", relation),
                old=render.column(f"{prefixes[1]}0", relation),
            )
            op = render.fill(Sql("CASE WHEN {{more}} > 0 THEN 'added' ELSE 'removed' END"), more=more)
            yield aliased(op, "op")
            yield aliased(render.fill(Sql("abs({{more}})"), more=more), "copies")
        else:
            yield aliased(op, "op")
            yield aliased(Sql("CAST(1 AS BIGINT)"), "copies")
        sides = zip((False, True), ends, prefixes, strict=True)
        new, old = (list(self._side(shape, *side, relation)) for side in sides)
        removed = Sql("CASE WHEN {{op}} = 'removed' THEN {{old}} ELSE {{new}} END")
        for column, came, went in zip(self.head.stored_columns, new, old, strict=True):
            value = came if came == went else render.fill(removed, op=op, old=went, new=came)
            yield aliased(value, f"c{column.id}")

    def _side(self, shape: Shape, old: bool, table: Table, prefix: str, relation: str) -> Iterator[Sql]:
        """The values of HEAD's columns on the newer or the older side of a change."""
        found = {c.id: key for c in shape.key if c.id > 0 and (key := shape.key_of(c.id, old))}
        keys = Table(self.head.name, tuple(replace(key, id=i) for i, key in found.items()))
        for column in self.head.stored_columns:
            key = self._counterpart(column, keys)
            if key:
                yield _typed(f"k{found[key.id].id}", key, column, relation)
            else:
                yield self._value(column, table, prefix, relation)

    def _counterpart(self, column: Column, table: Table) -> Column | None:
        """The column of another definition for a column of HEAD: by identity, or else by a name whose column HEAD
        lacks.

        The latter are columns (or columns of tables) that were dropped and created again.
        """
        same = table.column_by_id(column.id)
        if same and same.stored:
            return same
        named = next((c for c in table.stored_columns if c.name.lower() == column.name.lower()), None)
        return named if named and self.head.column_by_id(named.id) is None else None

    def _value(self, column: Column, table: Table, prefix: str, relation: str) -> Sql:
        """A storage value of HEAD's column, converted from another definition, or filled if that lacks the column."""
        source = self._counterpart(column, table)
        return _typed(f"{prefix}{source.id}", source, column, relation) if source else filling(column)

    def _only(self, rows: Sql) -> Sql:
        if self.wanted is None:
            return rows
        return render.fill(
            Sql("SELECT * FROM ({{rows}}) AS changes WHERE {{condition}}"), rows=rows, condition=self.wanted.condition
        )

    def _nothing(self) -> Sql:
        """An empty relation of changes."""
        values = [(f"c{c.id}", stored_as(c)) for c in self.head.stored_columns]
        change = [("position", Sql("INTEGER")), ("op", Sql("VARCHAR")), ("copies", Sql("BIGINT"))]
        return render.no_rows([*change, *values])


class MergedChanges:
    """The changes of merge commits: what their sides brought, and what they changed themselves."""

    def __init__(self, lineage: Lineage, changes: TableChanges) -> None:
        self.lineage = lineage
        self.changes = changes
        self.head = lineage.table
        self.identity = self.head.key or self.head.stored_columns

    def own(self) -> Sql | None:
        """The changes that merge commits made themselves. None if there are none."""
        merges = self.lineage.merges
        if not merges:
            return None
        return render.render(
            "history.merge_steps" if self.head.key else "history.merge_copies",
            merges=self.changes.relation(self.lineage.steps(list(merges))),
            changes=self.changes.relation(self._brought()),
            sides=self._sides(),
            keys=columns("c", self.identity),
            same_row=self._same_row("brought"),
            same_key=same_columns(self.identity, "brought", "merges"),
        )

    def sources(self) -> Sql:
        """The change on a side from which a merge commit took a row: keys, position of the merge, position of that
        change."""
        return render.render(
            "history.merge_sources",
            merge_keys=columns("c", self.identity, "merges"),
            merges=self.changes.relation(self.lineage.steps(list(self.lineage.merges))),
            changes=self.changes.relation(self._brought()),
            sides=self._sides(),
            keys=columns("c", self.identity),
            same_row=self._same_row("brought"),
        )

    def _brought(self) -> list[Step]:
        """The steps on the sides of all merge commits."""
        commits = {c: None for sides in self.lineage.merges.values() for side in sides for c in side}
        return [s for s in self.lineage.steps(list(commits)) if s.commit_id not in self.lineage.transparent]

    def _sides(self) -> Sql:
        """The commits of each side of a merge commit: merge, side, position."""
        positions = self.lineage.positions
        rows = [
            (positions[merge], number, positions[commit_id])
            for merge, sides in self.lineage.merges.items()
            for number, side in enumerate(sides)
            for commit_id in side
        ]
        names = ("merge", "side", "position")
        lists = [
            aliased(render.fill(Sql("unnest(CAST({{n}} AS INTEGER[]))"), n=_numbers([row[i] for row in rows])), name)
            for i, name in enumerate(names)
        ]
        return render.fill(Sql("SELECT {{lists}}"), lists=lists)

    def _same_row(self, other: str) -> Sql:
        """Whether a merge commit left a row as a side has it: with the same values, or removed."""
        keys = {column.id for column in self.identity}
        values = [c for c in self.head.stored_columns if c.id not in keys]
        removed = render.fill(Sql("(merges.op = 'removed') = ({{op}} = 'removed')"), op=render.column("op", other))
        parts = [same_columns(self.identity, other, "merges"), removed]
        if values:
            equal = same_columns(values, other, "merges")
            parts.append(render.fill(Sql("(merges.op = 'removed' OR ({{equal}}))"), equal=equal))
        return render.joined(parts, " AND ")


def same_columns(of: Sequence[Column], left: str, right: str) -> Sql:
    """The condition that two relations agree in ``c<id>`` of these columns."""
    terms = [
        render.fill(
            Sql("{{l}} IS NOT DISTINCT FROM {{r}}"),
            l=render.column(f"c{c.id}", left),
            r=render.column(f"c{c.id}", right),
        )
        for c in of
    ]
    return render.joined(terms, " AND ")


def _typed(name: str, source: Column, wanted: Column, relation: str) -> Sql:
    value = render.column(name, relation)
    return value if source.type == wanted.type else converted(value, source, wanted)


def _select(outputs: Sequence[Sql], rows: Sql, name: str) -> Sql:
    return render.fill(
        Sql("SELECT {{outputs}} FROM ({{rows}}) AS {{name}}"), outputs=outputs, rows=rows, name=render.identifier(name)
    )


def _numbers(values: Sequence[int]) -> Sql:
    """A list constant of numbers."""
    return Sql("[" + render.joined([render.literal(value) for value in values], ", ") + "]")
