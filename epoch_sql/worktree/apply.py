"""Bringing the working database to another state, by differences where DuckDB allows it.

Rows are deleted, updated and inserted where they differ. A table is rebuilt from its target version where DuckDB cannot
alter it in place, and on a second attempt after a constraint refused the differences: DuckDB checks indexes statement
by statement, so that it refuses, for example, to delete a child and then its parent in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.catalog.local import DeclaredKeys
from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import Column, ObjectName, SchemaObject, Table
from epoch_sql.model.version import RowCounts
from epoch_sql.model.widening import widens
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents, arrange, compare
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, keyed_alike, shape_of
from epoch_sql.worktree import ddl
from epoch_sql.worktree.filling import fill_table
from epoch_sql.worktree.rows import working_rows
from epoch_sql.worktree.scan import Working, WorkingTable

_VIEWS_KEEP_COLUMNS = duckdb.__version__.startswith("1.4.")


@dataclass(frozen=True)
class Applied:
    """What happened to one table.

    ``changes`` names a temporary table with the changes of its rows, when rows were changed one by one; ``counts`` is
    None where the table was rebuilt.
    """

    table_id: str
    before: Table | None
    after: Table
    version_id: str
    changes: ObjectName | None
    counts: RowCounts | None


@dataclass(frozen=True)
class _Change:
    """A table that has to change: what it is now, what it is to be, and how its definition gets there."""

    table_id: str
    working: WorkingTable | None
    target: Table
    version_id: str
    alters: tuple[Sql, ...]
    rebuild: bool

    @property
    def fresh(self) -> bool:
        return self.working is None or self.rebuild


class Applier:
    """Applies a target tree to the working database, on a cursor that is in a transaction."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, contents: Contents) -> None:
        self.cursor = cursor
        self.contents = contents

    def apply(self, working: Working, target: Tree, rebuild: bool = False) -> list[Applied]:
        """Make the working database equal to the target tree.

        ``rebuild`` builds every table that differs anew. Raises duckdb.ConstraintException or DependencyException when
        differences are refused that a rebuild would bring about.
        """
        self.contents.load(entry.version_id for entry in target.tables.values())
        gone = [w for w in working.tables if w.table_id not in target.tables]
        old, new = {_object_key(o): o for o in working.objects}, {_object_key(o): o for o in target.objects}
        outdated = [o for key, o in old.items() if new.get(key) != o]
        missing = [o for key, o in new.items() if old.get(key) != o]
        changes = self._changes(working, target, rebuild, [o for o in outdated if o.kind == "sequence"])
        outdated = ddl.object_order(outdated)
        self._run(ddl.drop_object(o) for o in reversed(outdated) if o.kind in ("view", "macro"))
        self._drop_tables([*(w.table for w in gone), *(c.working.table for c in changes if c.rebuild and c.working)])
        self._run(ddl.drop_object(o) for o in reversed(outdated) if o.kind in ("sequence", "type"))
        first = [o for o in missing if o.kind in ("schema", "type", "sequence")]
        self._run(s for o in ddl.object_order(first) for s in ddl.create_object(o))
        self._run(statement for change in changes if not change.fresh for statement in change.alters)
        built = [change.target for change in changes if change.fresh]
        for definition in ddl.definition_order(built, [o for o in missing if o not in first]):
            self._run(ddl.create_table(definition) if isinstance(definition, Table) else ddl.create_object(definition))
        if _VIEWS_KEEP_COLUMNS and (changes or outdated):
            self._rebind_views([o for key, o in new.items() if o.kind == "view" and old.get(key) == o])
        applied = self._rows(changes)
        self._run(ddl.drop_object(o) for o in reversed(outdated) if o.kind == "schema")
        DeclaredKeys(self.cursor).replace(
            {e.name: self.contents.table(e.version_id).declared_key for e in target.tables.values()}
        )
        return applied

    def _rebind_views(self, views: Sequence[SchemaObject]) -> None:
        """Make those views anew that cannot be read any more: DuckDB 1.4 keeps the columns that they had when made."""
        for view in ddl.object_order(views):
            try:
                self.cursor.execute(render.fill(Sql("DESCRIBE FROM {{view}}"), view=render.table(view.name)))
            except (duckdb.BinderException, duckdb.CatalogException):
                create, *comments = ddl.create_object(view)
                # A view of what is not there in either state stays, unreadable as it was.
                with suppress(duckdb.BinderException, duckdb.CatalogException):
                    self._run([Sql(create.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)), *comments])

    def _changes(
        self, working: Working, target: Tree, rebuild: bool, sequences: Sequence[SchemaObject]
    ) -> list[_Change]:
        current = {w.table_id: w for w in working.tables}
        referenced = {
            (w.table.name.schema.lower(), (key.referenced or "").lower())
            for w in working.tables
            for key in w.table.foreign_keys
            if (key.referenced or "").lower() != w.table.name.name.lower()
        }
        changes = []
        for table_id, entry in target.tables.items():
            now = current.get(table_id)
            same = now and now.entry and not now.differs and now.entry.version_id == entry.version_id
            used = now is not None and _uses(now.table, sequences)
            if same and now and now.entry and now.entry.name == entry.name and not used:
                continue
            definition = self.contents.table(entry.version_id)
            alters = ddl.alter_table(now.table, definition, _folded(now.table.name) in referenced) if now else []
            again = now is not None and (rebuild or used or alters is None or not _rows_follow(now.table, definition))
            changes.append(_Change(table_id, now, definition, entry.version_id, tuple(alters or ()), again))
        return self._with_dependents(changes, current, target)

    def _with_dependents(self, changes: list[_Change], current: dict[str, WorkingTable], target: Tree) -> list[_Change]:
        """Further rebuilds: of tables whose name is taken until another is dropped, and of what refers to a rebuilt
        table.
        """
        by_id = {change.table_id: change for change in changes}
        names = {_folded(w.table.name): w.table_id for w in current.values()}
        for change in changes:
            holder = names.get(_folded(change.target.name))
            if change.working and holder not in (None, change.table_id):
                by_id[change.table_id] = replace(change, rebuild=True)
        while True:
            dropped = {
                _folded(w.table.name) for w in current.values() if w.table_id not in target.tables or _rebuilt(by_id, w)
            }
            more = [
                w
                for w in current.values()
                if w.table_id in target.tables and not _rebuilt(by_id, w) and _refers_to(w.table, dropped)
            ]
            if not more:
                return list(by_id.values())
            for w in more:
                entry = target.tables[w.table_id]
                definition = self.contents.table(entry.version_id)
                by_id[w.table_id] = _Change(w.table_id, w, definition, entry.version_id, (), True)

    def _rows(self, changes: Sequence[_Change]) -> list[Applied]:
        by_name = {change.target.name: change for change in changes}
        order = [by_name[t.name] for t in ddl.creation_order([c.target for c in changes])]
        relations = {c.table_id: self._difference(n, c) for n, c in enumerate(order) if not c.fresh and c.working}
        for change in reversed(order):
            if change.table_id in relations:
                self._delete(change, *relations[change.table_id])
        for change in order:
            if change.table_id in relations:
                self._update(change, *relations[change.table_id])
        applied = []
        for change in order:
            before = change.working.table if change.working else None
            if change.table_id in relations:
                name, shape, counts = relations[change.table_id]
                self._insert(change, name, shape, counts)
                applied.append(Applied(change.table_id, before, change.target, change.version_id, name, counts))
            else:
                self.contents.require_sound(self.contents.levels(change.version_id))
                fill_table(self.cursor, change.target, self.contents.state(change.version_id))
                applied.append(Applied(change.table_id, before, change.target, change.version_id, None, None))
        return applied

    def _difference(self, number: int, change: _Change) -> tuple[ObjectName, Shape, RowCounts]:
        """The changes of a table's rows, as a temporary table."""
        working = change.working
        assert working
        if working.entry and not working.differs:
            shape = shape_of(working.table, change.target)
            rows = self.contents.changes(working.entry.version_id, change.version_id)
        else:
            shape = shape_of(None, change.target)
            rows = compare(
                shape,
                arrange(working_rows(change.target), shape, change.target),
                arrange(self.contents.state(change.version_id), shape, change.target),
            )
        name = ObjectName("main", f"epoch_changes_{number}")
        self.cursor.execute(
            render.fill(
                Sql("CREATE OR REPLACE TEMP TABLE {{name}} AS {{rows}}"), name=render.identifier(name.name), rows=rows
            )
        )
        row = self.cursor.execute(
            render.render(
                "count_bag_changes" if shape.keyless else "count_changes",
                changes=render.fill(Sql("FROM {{name}}"), name=render.identifier(name.name)),
            )
        ).fetchone()
        assert row
        return name, shape, RowCounts(*(int(n) for n in row))

    def _delete(self, change: _Change, name: ObjectName, shape: Shape, counts: RowCounts) -> None:
        if not counts.removed:
            return
        self.cursor.execute(
            render.render(
                "delete_copies" if shape.keyless else "delete_rows",
                table=render.table(change.target.name),
                changes=render.identifier(name.name),
                same_key=_same_key(shape, change.target),
                keys=[render.column(f"k{c.id}", "changes") for c in shape.key],
            )
        )

    def _update(self, change: _Change, name: ObjectName, shape: Shape, counts: RowCounts) -> None:
        if not counts.modified or shape.keyless:
            return
        columns = self._differing(name, change.target, shape)
        if not columns:
            return
        self.cursor.execute(
            render.render(
                "update_rows",
                table=render.table(change.target.name),
                changes=render.identifier(name.name),
                assignments=[
                    render.fill(
                        Sql("{{c}} = {{v}}"),
                        c=render.identifier(c.name),
                        v=decode(render.column(f"n{c.id}", "changes"), c.type),
                    )
                    for c in columns
                ],
                same_key=_same_key(shape, change.target),
            )
        )

    def _differing(self, name: ObjectName, table: Table, shape: Shape) -> list[Column]:
        """The columns that some modified row changes: others need no update, and their indexes no maintenance."""
        candidates = [c for c in shape.values if table.column_by_id(c.id)]
        tests = [
            render.fill(
                Sql("coalesce(bool_or({{n}} IS DISTINCT FROM {{o}}), false)"),
                n=render.column(f"n{c.id}"),
                o=render.column(f"o{c.id}"),
            )
            for c in candidates
        ]
        row = self.cursor.execute(
            render.fill(
                Sql("SELECT {{tests}} FROM {{changes}} WHERE op = 'modified'"),
                tests=tests,
                changes=render.identifier(name.name),
            )
        ).fetchone()
        assert row
        return [table.column(c.name) for c, differs in zip(candidates, row, strict=True) if differs]

    def _insert(self, change: _Change, name: ObjectName, shape: Shape, counts: RowCounts) -> None:
        if not counts.added:
            return
        keys = {column.id for column in shape.key}
        columns = change.target.stored_columns
        self.cursor.execute(
            render.render(
                "insert_copies" if shape.keyless else "insert_rows",
                table=render.table(change.target.name),
                columns=[render.identifier(c.name) for c in columns],
                values=[decode(render.column(f"{'k' if c.id in keys else 'n'}{c.id}"), c.type) for c in columns],
                changes=render.identifier(name.name),
            )
        )

    def _drop_tables(self, tables: Sequence[Table]) -> None:
        self._run(ddl.drop_table(table.name) for table in reversed(ddl.creation_order(tables)))

    def _run(self, statements: Iterable[Sql]) -> None:
        for statement in statements:
            self.cursor.execute(statement)


def _rows_follow(now: Table, target: Table) -> bool:
    """Whether rows can be changed one by one after the definition was altered.

    They can when they are told apart in the same way, and no column's values have to be converted with loss. Copies of
    a row are told apart by ``rowid``, which a column of that name would hide.
    """
    if not target.key and any(column.name.lower() == "rowid" for column in target.columns):
        return False
    types = {column.id: column.type for column in now.stored_columns}
    return keyed_alike(now, target) and all(widens(types[c.id], c.type) for c in target.stored_columns if c.id in types)


def _same_key(shape: Shape, table: Table) -> Sql:
    comparison = Sql("{{t}} IS NOT DISTINCT FROM {{k}}" if shape.keyless else "{{t}} = {{k}}")
    terms = [
        render.fill(
            comparison,
            t=encode(render.column(table.column(c.name).name, "target"), c.type),
            k=render.column(f"k{c.id}", "changes"),
        )
        for c in shape.key
    ]
    return render.joined(terms, " AND ")


def _uses(table: Table, sequences: Sequence[SchemaObject]) -> bool:
    """Whether a default may depend on one of the sequences: DuckDB does not drop those."""
    return bool(sequences) and any("nextval" in (column.default or "").lower() for column in table.columns)


def _refers_to(table: Table, names: set[tuple[str, str]]) -> bool:
    return any(
        (table.name.schema.lower(), (key.referenced or "").lower()) in names
        and (key.referenced or "").lower() != table.name.name.lower()
        for key in table.foreign_keys
    )


def _rebuilt(by_id: dict[str, _Change], working: WorkingTable) -> bool:
    change = by_id.get(working.table_id)
    return bool(change and change.rebuild)


def _folded(name: ObjectName) -> tuple[str, str]:
    return name.schema.lower(), name.name.lower()


def _object_key(o: SchemaObject) -> tuple[str, ObjectName]:
    return o.kind, o.name
