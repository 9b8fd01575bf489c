"""Carries out a plan: brings the working database to another state, by differences where DuckDB allows it.

Deletes, updates and inserts the rows that differ. If DuckDB cannot alter a table in place, the table is rebuilt from
its target version. So it is on a second attempt, after a constraint refused the differences: DuckDB checks indexes
statement by statement, and refuses, for example, to delete a child and then its parent in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.catalog.local import DeclaredKeys
from epoch_sql.errors import EpochTableError
from epoch_sql.model.commit import RowCounts, TableEntry, Tree
from epoch_sql.model.schema import Column, ObjectName, SchemaObject, Table, widens
from epoch_sql.plan.making import (
    MAY_BE_UNMADE,
    REFUSALS,
    Ghost,
    HeldByGhost,
    cannot_be_made,
    creation,
    fill_table,
    ghost_of,
    lay,
    making,
    missing_of_view,
)
from epoch_sql.plan.planner import (
    Alter,
    Create,
    DefinitionStep,
    Dependents,
    Drop,
    Fill,
    Limits,
    Plan,
    Rebuild,
    Refresh,
    TableChange,
    make_plan,
    statements,
)
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, arrange, compare, keyed_alike, shape_of
from epoch_sql.worktree import ddl
from epoch_sql.worktree.rows import Working, WorkingTable, working_rows

ObjectKey = tuple[str, ObjectName]
"""The kind and the name of an object."""

Unmade = tuple[SchemaObject, str]
"""An object that could not be created, and the reason."""


_VIEWS_KEEP_COLUMNS = duckdb.__version__.startswith("1.4.")
"""Whether a view keeps the columns that it was created with, and cannot be read after these have changed."""

Attempt = Literal["first", "dependents", "differing", "all"]
"""What each attempt adds to the differences. The second drops and creates the views and macros that depend on
changes. The next rebuilds all tables that differ, and the last one all tables."""


@dataclass(frozen=True)
class Applied:
    """What happened to one table.

    ``changes`` names a temporary table with the changes of its rows, if they were changed one by one. ``counts`` is
    None if the table was rebuilt.
    """

    table_id: str
    before: Table | None
    after: Table
    version_id: str
    changes: ObjectName | None
    counts: RowCounts | None


@dataclass(frozen=True)
class Outcome:
    """What happened to tables, parents first, and the objects that could not be created."""

    tables: list[Applied]
    unmade: list[Unmade]


def working_plan(
    contents: Contents,
    working: Working,
    target: Tree,
    attempt: Attempt = "first",
    left_out: Collection[ObjectKey] = (),
    pinned: Sequence[WorkingTable] = (),
) -> Plan:
    """The plan that makes the working database equal to a tree, except for objects that are ``left_out``.

    ``pinned`` are other tables of the working database, which must not change.
    """
    contents.load(entry.version_id for entry in target.tables.values())
    current = {w.table_id: w for w in working.tables}
    ids = [*target.tables, *(i for i in current if i not in target.tables)]
    changes = [_change(contents, i, current.get(i), target.tables.get(i), working.unmade) for i in ids]
    changes += [TableChange(w.table_id, w.table, w.table, differs=False, pinned=True) for w in pinned]
    wanted = [o for o in target.objects if (o.kind, o.name) not in left_out]
    plan = make_plan(changes, working.made, wanted, _limits(attempt))
    tried = (step for step in plan.triggers if ("trigger", step.what.name) not in left_out)
    return replace(plan, triggers=tuple(tried))


def _change(
    contents: Contents,
    table_id: str,
    now: WorkingTable | None,
    entry: TableEntry | None,
    unmade: Sequence[SchemaObject],
) -> TableChange:
    before = _as_made(now.table, unmade) if now else None
    if entry is None:
        return TableChange(table_id, before, None)
    same = now and now.entry and not now.differs and now.entry.version_id == entry.version_id
    if now and now.entry and same and now.entry.name == entry.name:
        return TableChange(table_id, before, before, differs=False)
    return TableChange(table_id, before, contents.table(entry.version_id))


def _as_made(table: Table, unmade: Sequence[SchemaObject]) -> Table:
    """A working table without the triggers that could not be created."""
    if not unmade or not table.triggers:
        return table
    made = tuple(t for t in table.triggers if ddl.trigger_object(table.name, t) not in unmade)
    return replace(table, triggers=made)


def _limits(attempt: Attempt) -> Limits:
    dependents: Dependents = "go"
    if attempt == "first":
        dependents = "refresh" if _VIEWS_KEEP_COLUMNS else "stay"
    rebuild: Rebuild = attempt if attempt == "differing" or attempt == "all" else "needed"
    return Limits(_rows_follow, rebuild=rebuild, dependents=dependents)


class StillUsed(Exception):
    """DuckDB does not drop or alter something, because something else depends on it."""

    def __init__(self, what: Table | SchemaObject) -> None:
        super().__init__(str(what.name))
        self.what = what

    def error(self) -> EpochTableError:
        """The error if even dropping all versioned dependents did not help."""
        kind = "table" if isinstance(self.what, Table) else self.what.kind
        name = self.what.name.name if kind == "schema" else str(self.what.name)
        return EpochTableError(
            f"{kind} {name} cannot be dropped or altered, since something that is not versioned depends on it",
            ("drop what depends on it; ", Suggestion("ignored"), " lists what is not versioned"),
            table=name,
        )


class Executor:
    """Carries out plans on the working database, on a cursor within a transaction. Removes ``ghosts`` first."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, contents: Contents, ghosts: Iterable[Ghost] = ()) -> None:
        self.cursor = cursor
        self.contents = contents
        self.ghosts = list(ghosts)

    def run(self, plan: Plan, working: Working, target: Tree) -> Outcome:
        """Carry out a plan that leads to the target.

        Raises duckdb.ConstraintException or StillUsed if DuckDB refuses differences, and rebuilding tables would help.
        Raises CannotMake for an object that has to be left out, HeldByGhost for a ghost that has to be removed, and
        EpochTableError for a table that cannot be created.
        """
        unmade = [refused for step in plan.definitions for refused in self._define(step)]
        applied = _Rows(self.cursor, self.contents, working, target).run(plan)
        unmade += [refused for step in plan.triggers for refused in self._define(step)]
        DeclaredKeys(self.cursor).replace(
            {e.name: self.contents.table(e.version_id).declared_key for e in target.tables.values()}
        )
        return Outcome(applied, unmade)

    def _define(self, step: DefinitionStep) -> list[Unmade]:
        try:
            return self._carry_out(step)
        except duckdb.DependencyException as error:
            raise StillUsed(step.before if isinstance(step, Alter) else step.what) from error

    def _carry_out(self, step: DefinitionStep) -> list[Unmade]:
        """Change a definition. Gives the object with the reason if DuckDB would refuse to create it."""
        if isinstance(step, Refresh):
            self._refresh(step)
            return []
        made = step.what if isinstance(step, Create) else None
        if made and (reason := ddl.lacking(made)):
            if isinstance(made, Table) or made.kind not in MAY_BE_UNMADE:
                raise cannot_be_made(made, reason)
            return [(made, reason)]
        if isinstance(made, SchemaObject) and made.kind == "view" and (reason := missing_of_view(self.cursor, made)):
            return [(made, reason)]
        if isinstance(step, Drop):
            self._drop(step)
            return []
        with making(made) if made else nullcontext():
            for statement in creation(self.cursor, made) if made else statements(step):
                self.cursor.execute(statement)
        return []

    def _drop(self, step: Drop) -> None:
        what = step.what
        for ghost in self.ghosts:
            if isinstance(what, Table) and ghost.parent.name == what.name:
                lay(self.cursor, ghost)
        try:
            for statement in statements(step):
                self.cursor.execute(statement)
        except duckdb.CatalogException as error:
            held = ghost_of(what, error) if isinstance(what, Table) else None
            if held is None:
                raise
            raise HeldByGhost(held) from error

    def _refresh(self, step: Refresh) -> None:
        """Create a view again that cannot be read any more. A view over objects of neither state stays as it is,
        unreadable.

        Only on DuckDB 1.4, whose transactions survive an error.
        """
        try:
            self.cursor.execute(render.fill(Sql("DESCRIBE FROM {{view}}"), view=render.table(step.what.name)))
        except REFUSALS:
            with suppress(*REFUSALS):
                for statement in statements(step):
                    self.cursor.execute(statement)


class _Rows:
    """Carries out the steps of a plan that change rows."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, contents: Contents, working: Working, target: Tree) -> None:
        self.cursor = cursor
        self.contents = contents
        self.current: Mapping[str, WorkingTable] = {w.table_id: w for w in working.tables}
        self.target = target
        self.differences: dict[str, tuple[ObjectName, Shape, RowCounts]] = {}

    def run(self, plan: Plan) -> list[Applied]:
        actions = {"delete": self._delete, "update": self._update, "insert": self._insert}
        applied = []
        for step in plan.rows:
            change = step.change
            assert change.after
            version_id = self.target.tables[change.table_id].version_id
            done = partial(Applied, change.table_id, change.before, change.after, version_id)
            if isinstance(step, Fill):
                self.contents.require_sound(self.contents.levels(version_id))
                fill_table(self.cursor, change.after, self.contents.state(version_id))
                applied.append(done(None, None))
                continue
            name, shape, counts = self._difference(change, change.after, version_id)
            actions[step.action](change.after, name, shape, counts)
            if step.action == "insert":
                applied.append(done(name, counts))
        return applied

    def _difference(self, change: TableChange, after: Table, version_id: str) -> tuple[ObjectName, Shape, RowCounts]:
        """The changes of a table's rows, read once into a temporary table, after the definition was altered."""
        if change.table_id not in self.differences:
            rows, shape = self._changes(self.current[change.table_id], after, version_id)
            name = ObjectName("main", f"epoch_changes_{len(self.differences)}")
            table = render.identifier(name.name)
            self.cursor.execute(
                render.fill(Sql("CREATE OR REPLACE TEMP TABLE {{name}} AS {{rows}}"), name=table, rows=rows)
            )
            counting = "plan.count_bag_changes" if shape.keyless else "plan.count_changes"
            changes = render.fill(Sql("FROM {{name}}"), name=table)
            row = self.cursor.execute(render.render(counting, changes=changes)).fetchone()
            assert row
            self.differences[change.table_id] = name, shape, RowCounts(*(int(n) for n in row))
        return self.differences[change.table_id]

    def _changes(self, working: WorkingTable, after: Table, version_id: str) -> tuple[Sql, Shape]:
        if working.entry and not working.differs:
            return self.contents.changes(working.entry.version_id, version_id), shape_of(working.table, after)
        shape = shape_of(None, after)
        sides = (working_rows(after), self.contents.state(version_id))
        return compare(shape, *(arrange(rows, shape, after) for rows in sides)), shape

    def _delete(self, table: Table, name: ObjectName, shape: Shape, counts: RowCounts) -> None:
        if not counts.removed:
            return
        self.cursor.execute(
            render.render(
                "plan.delete_copies" if shape.keyless else "plan.delete_rows",
                table=render.table(table.name),
                changes=render.identifier(name.name),
                same_key=_same_key(shape, table),
                keys=[render.column(f"k{c.id}", "changes") for c in shape.key],
            )
        )

    def _update(self, table: Table, name: ObjectName, shape: Shape, counts: RowCounts) -> None:
        if not counts.modified or shape.keyless:
            return
        columns = self._differing(name, table, shape)
        if not columns:
            return
        self.cursor.execute(
            render.render(
                "plan.update_rows",
                table=render.table(table.name),
                changes=render.identifier(name.name),
                assignments=[
                    render.fill(
                        Sql("{{c}} = {{v}}"),
                        c=render.identifier(c.name),
                        v=decode(render.column(f"n{c.id}", "changes"), c.type),
                    )
                    for c in columns
                ],
                same_key=_same_key(shape, table),
            )
        )

    def _differing(self, name: ObjectName, table: Table, shape: Shape) -> list[Column]:
        """The columns that some modified row changes. Other columns need no update, and their indexes no
        maintenance."""
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

    def _insert(self, table: Table, name: ObjectName, shape: Shape, counts: RowCounts) -> None:
        if not counts.added:
            return
        keys = {column.id for column in shape.key}
        columns = table.stored_columns
        self.cursor.execute(
            render.render(
                "plan.insert_copies" if shape.keyless else "plan.insert_rows",
                table=render.table(table.name),
                columns=[render.identifier(c.name) for c in columns],
                values=[decode(render.column(f"{'k' if c.id in keys else 'n'}{c.id}"), c.type) for c in columns],
                changes=render.identifier(name.name),
            )
        )


def _rows_follow(now: Table, target: Table) -> bool:
    """Whether rows can be changed one by one after the definition was altered.

    They can if the same columns identify them, and no conversion loses values. ``rowid`` distinguishes copies of a row,
    unless a column of that name hides it.
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
