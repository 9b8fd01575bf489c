"""Checks constraints on what a merge touched. Each side was valid, but the merged rows may not be.

NOT NULL and CHECK are checked in the rows that the merge brings to ours. UNIQUE is checked between those rows and the
whole table. Foreign keys are checked from those rows to their parents, and from all children to removed parents. A
constraint that only one side had is checked in every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.catalog.merging import Violations
from epoch_sql.merge.definitions import Impossible, impossible, missing_of_parent
from epoch_sql.merge.merged import MergedEntry, MergedTree, changes_from_ours, merged_state, touched_rows
from epoch_sql.model.schema import Column, Constraint, Index, ObjectName, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import aliased, shape_of, struct
from epoch_sql.versions.sides import native_rows


def violation_rows(call: Call, merged: MergedTree) -> Sql:
    """Every violation in a merged tree, once: the columns of ``epoch_violations``."""
    checker = _Checker(call, merged)
    definitions = [_definition(found) for found in impossible(call, merged)]
    return render.joined([Violations.none(), *definitions, *checker.all()], "\nUNION\n")


def missed(call: Call, merged: MergedTree) -> list[tuple[str, str]]:
    """The tables and objects of the merged tree that need a missing object, and the name of that object."""
    names = [(found.name, name) for found in impossible(call, merged) for name in found.misses]
    tables = {_folded(entry.table.name) for entry in merged.tables}
    parents = [
        (str(e.table.name), ObjectName(e.table.name.schema, key.referenced or ""))
        for e in merged.tables
        for key in e.table.foreign_keys
    ]
    return names + [(child, str(parent)) for child, parent in parents if _folded(parent) not in tables]


def missed_names(call: Call, merged: MergedTree) -> list[str]:
    """The names of missing tables and objects that something in the merged tree needs."""
    return [name for _, name in missed(call, merged)]


def foreign_key_name(table: Table, constraint: Constraint) -> str:
    """The name that a foreign key has in violations."""
    return f"{table.name.name}_{'_'.join(constraint.columns)}_fkey"


def parent_of(tables: Iterable[MergedEntry], table: Table, constraint: Constraint) -> MergedEntry | None:
    """The table that a foreign key refers to."""
    name = _folded(ObjectName(table.name.schema, constraint.referenced or ""))
    return next((entry for entry in tables if _folded(entry.table.name) == name), None)


class _Checker:
    def __init__(self, call: Call, merged: MergedTree) -> None:
        self.contents = call.contents
        self.entries = {_folded(entry.table.name): entry for entry in merged.tables}
        self.changed = [entry for entry in merged.tables if entry.merge is not None or entry.entry != entry.ours]
        self.merged = merged

    def all(self) -> Iterator[Sql]:
        """A SELECT for each constraint to check. Unchanged tables are checked only if their parents changed."""
        for entry in self.changed:
            if entry.merge is not None:
                yield from self._not_null(entry)
            for constraint in entry.table.constraints:
                if constraint.kind == "CHECK" and entry.merge is not None:
                    yield self._check(entry, constraint)
                elif constraint.kind in ("UNIQUE", "PRIMARY KEY") and entry.merge is not None:
                    yield from self._unique(entry, constraint)
            for index in entry.table.indexes:
                if index.unique and entry.merge is not None:
                    yield self._unique_index(entry, index)
        for entry in self.entries.values():
            for constraint in entry.table.foreign_keys:
                yield from self._foreign_key(entry, constraint)

    def _not_null(self, entry: MergedEntry) -> Iterator[Sql]:
        for column in entry.table.stored_columns:
            if column.nullable or any(column.id == key.id for key in entry.table.key):
                continue
            rows = self._rows(entry, self._new_on_one_side(entry, column))
            yield self._violations(
                entry,
                f"{entry.table.name.name}_{column.name}_not_null",
                "not null",
                render.fill(
                    Sql("SELECT * FROM ({{r}}) AS rows WHERE {{c}} IS NULL"), r=rows, c=render.column(f"c{column.id}")
                ),
                f"column {column.name} is NULL",
            )

    def _check(self, entry: MergedEntry, constraint: Constraint) -> Sql:
        rows = self._rows(entry, not self._on_both_sides(entry, constraint))
        failing = render.fill(
            Sql("SELECT row.* FROM ({{rows}}) AS row WHERE (SELECT NOT ({{expression}}) FROM ({{native}}) AS native)"),
            rows=rows,
            native=native_rows(entry.table, _this_row(entry.table)),
            expression=render.verbatim(constraint.expression or "true"),
        )
        name = f"{entry.table.name.name}_check"
        return self._violations(entry, name, "check", failing, f"CHECK ({constraint.expression}) does not hold")

    def _unique(self, entry: MergedEntry, constraint: Constraint) -> Iterator[Sql]:
        columns = [entry.table.column(name) for name in constraint.columns]
        if {c.id for c in columns} == {c.id for c in entry.table.key}:
            return
        everywhere = not self._on_both_sides(entry, constraint)
        values = [render.column(f"c{c.id}") for c in columns]
        duplicated = render.render(
            "constraints.duplicates",
            state=merged_state(self.contents, entry),
            values=values,
            rows=merged_state(self.contents, entry) if everywhere else self._rows(entry, False),
        )
        names = ", ".join(constraint.columns)
        name = f"{entry.table.name.name}_{'_'.join(constraint.columns)}_key"
        yield self._violations(entry, name, "unique", duplicated, f"another row has the same ({names})")

    def _unique_index(self, entry: MergedEntry, index: Index) -> Sql:
        """Rows that have the same expressions in a unique index as another row. NULL equals no other value."""
        assert entry.merge
        sides = (entry.merge.ours.table, entry.merge.theirs.table)
        everywhere = not all(any(i.name == index.name and i.unique for i in side.indexes) for side in sides)
        native = native_rows(entry.table, _this_row(entry.table))
        values = [
            render.fill(
                Sql("(SELECT {{e}} FROM ({{native}}) AS native) AS {{v}}"),
                e=render.verbatim(expression),
                native=native,
                v=render.identifier(f"v{number}"),
            )
            for number, expression in enumerate(index.expressions)
        ]
        names = [render.column(f"v{number}") for number in range(len(values))]
        duplicated = render.render(
            "constraints.index_duplicates",
            values=values,
            names=names,
            state=merged_state(self.contents, entry),
            rows=self._rows(entry, everywhere),
        )
        detail = f"another row has the same {', '.join(index.expressions)}"
        return self._violations(entry, index.name, "unique", duplicated, detail)

    def _foreign_key(self, entry: MergedEntry, constraint: Constraint) -> Iterator[Sql]:
        parent = self.entries.get(_folded(ObjectName(entry.table.name.schema, constraint.referenced or "")))
        name = foreign_key_name(entry.table, constraint)
        missing = missing_of_parent(entry.table, constraint, parent.table if parent else None)
        if parent is None or missing:
            yield _about(entry.table.name, name, "foreign key", f"{missing}, which it refers to, does not exist")
            return
        if entry not in self.changed and parent not in self.changed:
            return
        children = [entry.table.column(column) for column in constraint.columns]
        parents = [parent.table.column(column) for column in constraint.referenced_columns]
        detail = f"no row of {parent.table.name} has its ({', '.join(constraint.columns)})"
        for rows in self._children(entry, parent, constraint, children, parents):
            orphans = render.render(
                "constraints.orphans",
                rows=rows,
                parents=merged_state(self.contents, parent),
                same=_pairs(children, parents),
                given=_given(children),
            )
            yield self._violations(entry, name, "foreign key", orphans, detail)

    def _children(
        self,
        entry: MergedEntry,
        parent: MergedEntry,
        constraint: Constraint,
        children: list[Column],
        parents: list[Column],
    ) -> Iterator[Sql]:
        """The child rows to check: changed rows, and rows whose parent may have been removed."""
        if entry in self.changed:
            whole = entry.merge is not None and not self._on_both_sides(entry, constraint)
            yield merged_state(self.contents, entry) if whole else touched_rows(self.contents, entry)
        if parent not in self.changed or parent.ours is None:
            return
        changes, shape = changes_from_ours(self.contents, parent)
        key = {column.id for column in shape.key}
        if shape.keyless:
            yield merged_state(self.contents, entry)
            return
        earlier = [aliased(render.column(f"{'k' if c.id in key else 'o'}{c.id}"), f"c{c.id}") for c in parents]
        yield render.render(
            "constraints.children_of_changed",
            state=merged_state(self.contents, entry),
            earlier=earlier,
            changes=changes,
            same=_pairs(children, parents),
        )

    def _rows(self, entry: MergedEntry, everywhere: bool) -> Sql:
        return merged_state(self.contents, entry) if everywhere else touched_rows(self.contents, entry)

    def _on_both_sides(self, entry: MergedEntry, constraint: Constraint) -> bool:
        assert entry.merge
        tables = (entry.merge.ours.table, entry.merge.theirs.table)
        return all(_shape_of(constraint, entry.table) in [_shape_of(c, t) for c in t.constraints] for t in tables)

    def _new_on_one_side(self, entry: MergedEntry, column: Column) -> bool:
        assert entry.merge
        sides = [
            (side, side.table.column_by_id(side.aliases.get(column.id, column.id)))
            for side in (entry.merge.ours, entry.merge.theirs)
        ]
        return any(found is None or found.nullable for _, found in sides)

    def _violations(self, entry: MergedEntry, name: str, kind: str, rows: Sql, detail: str) -> Sql:
        columns = shape_of(None, entry.table).key
        fields = [(c.name, decode(render.column(f"c{c.id}"), c.type)) for c in columns]
        return render.render(
            "merge.violated_rows",
            table_name=render.literal(str(entry.table.name)),
            constraint_name=render.literal(name),
            kind=render.literal(kind),
            key=render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields)),
            detail=render.literal(detail),
            rows=rows,
        )


def _definition(impossible: Impossible) -> Sql:
    return _about(impossible.name, None, impossible.kind, impossible.detail)


def _about(name: ObjectName | str, constraint: str | None, kind: str, detail: str) -> Sql:
    """A violation of a whole table or object."""
    values = (str(name), constraint, kind, None, detail)
    return render.fill(Sql("SELECT {{values}}"), values=[render.literal(value) for value in values])


def _this_row(table: Table) -> Sql:
    """The row of an outer query, as a relation of one row."""
    return render.fill(
        Sql("SELECT {{columns}}"),
        columns=[aliased(render.column(f"c{c.id}", "row"), f"c{c.id}") for c in table.stored_columns],
    )


def _shape_of(constraint: Constraint, table: Table) -> tuple[object, ...]:
    """A constraint by the ids of its columns, so that a renamed column does not change it."""
    ids = tuple(table.column(name).id for name in constraint.columns) if constraint.kind != "CHECK" else ()
    return constraint.kind, ids, constraint.expression, constraint.referenced, constraint.referenced_columns


def _pairs(children: list[Column], parents: list[Column]) -> Sql:
    pair = Sql("{{c}} = {{p}}")
    terms = [
        render.fill(
            pair,
            c=decode(render.column(f"c{child.id}", "child"), child.type),
            p=decode(render.column(f"c{parent.id}", "parent"), parent.type),
        )
        for child, parent in zip(children, parents, strict=True)
    ]
    return render.joined(terms, " AND ")


def _given(columns: list[Column]) -> Sql:
    terms = [render.fill(Sql("{{c}} IS NOT NULL"), c=render.column(f"c{c.id}", "child")) for c in columns]
    return render.joined(terms, " AND ")


def _folded(name: ObjectName) -> tuple[str, str]:
    return name.schema.lower(), name.name.lower()
