"""The plan of a patch. It differs from that of a checkout in what it can do.

Each statement is a transaction of its own, on any database. DuckDB cannot remove a foreign key, unique constraint or
check from a table. It turns updates of indexed and of nested columns into a deletion and an insertion, and refuses
these for rows that others refer to. Such tables are rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.call import Call, require_trusted
from epoch_sql.errors import EpochQueryError, EpochTableError, EpochTrustError
from epoch_sql.model.names import path_text
from epoch_sql.model.schema import Constraint, ObjectName, SchemaObject, Table, widens
from epoch_sql.model.sql_text import mentioned
from epoch_sql.plan.making import REFUSALS, Folded, folded
from epoch_sql.plan.planner import (
    Alter,
    Create,
    DefinitionStep,
    Drop,
    Limits,
    Plan,
    TableChange,
    make_plan,
    statements,
)
from epoch_sql.query.query import query
from epoch_sql.render import Sql
from epoch_sql.storage.shape import Shape, keyed_alike
from epoch_sql.storage.types import parse_type
from epoch_sql.versions.differences import Difference, changes_between, differences
from epoch_sql.versions.sides import Side, side_of
from epoch_sql.worktree.ddl import table_of


@dataclass(frozen=True)
class PatchPlan:
    """The steps of a patch, and the rows of its tables, by the ids of the tables in the steps.

    ``referenced`` are the tables that foreign keys refer to, on either side.
    """

    plan: Plan
    sources: Mapping[str, Difference]
    referenced: frozenset[Folded]
    limits: _Limits

    def definitions(self, steps: Sequence[DefinitionStep]) -> list[tuple[str, Sql]]:
        """The statements of steps that change definitions, each with the name of its object.

        For a view that DuckDB could not create there is a statement that does nothing but name it. A view that may be
        missing for that reason is dropped with IF EXISTS.
        """
        found = [(_called(step), self._statements(step)) for step in steps]
        return [(name, statement) for name, listed in found for statement in listed]

    def _statements(self, step: DefinitionStep) -> list[Sql]:
        made = None if isinstance(step, Alter) else step.what
        view = made if isinstance(made, SchemaObject) and made.kind == "view" else None
        if view and isinstance(step, Create) and not self.limits.can_be_made(view, newer=True):
            text = render.literal(f"view {view.name} is left out: DuckDB could not make it")
            return [render.fill(Sql("SELECT {{text}}"), text=text)]
        with unqualified():
            if view and isinstance(step, Drop) and not self.limits.can_be_made(view, newer=False):
                return [render.fill(Sql("DROP VIEW IF EXISTS {{view}}"), view=render.table(view.name))]
            return statements(step)


def plan_patch(call: Call, from_ref: str | None, to_ref: str, table_name: str | None = None) -> PatchPlan:
    """The plan from one reference to another, for all tables and objects or for one table. None is an empty state.

    Raises EpochTableError for an unknown table, and for one that has to be rebuilt while others refer to it. Raises
    EpochTrustError for a definition of an untrusted remote.
    """
    before, after = Side({}, ()) if from_ref is None else side_of(call, from_ref), side_of(call, to_ref)
    sources = {str(number): pair for number, pair in enumerate(_pairs(before, after))}
    found = {_name(pair) for pair in differences(before, after, table_name)}
    tables = [_change(number, pair, _name(pair) in found) for number, pair in sources.items()]
    limits = _Limits(call, before, after, (from_ref or to_ref, to_ref), sources)
    old, new = before.objects, after.objects
    if table_name is not None:
        paths = {change.after.name.schema_path for change in tables if change.after and change.differs}
        schemas = {path_text(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}
        old, new = (), tuple(o for o in new if o.kind == "schema" and o.name.as_schema in schemas and o not in old)
        tables = [change for change in tables if change.differs or (change.before and change.after)]
    # Users run a patch, so it contains no definition that is only data.
    require_trusted(call, *(change.after for change in tables if change.after and change.after != change.before))
    require_trusted(call, *(found for found in new if found not in old))
    plan = make_plan(tables, old, new, Limits(_rows_follow, limits.holds, limits.is_readable))
    if table_name is not None:
        _require_alone(plan, tables)
    return PatchPlan(plan, sources, frozenset(limits.references), limits)


class _Limits:
    """What a patch cannot do with some rows and views."""

    def __init__(
        self,
        call: Call,
        before: Side,
        after: Side,
        refs: tuple[str, str],
        sources: Mapping[str, Difference],
    ) -> None:
        self.call = call
        self.from_ref, self.to_ref = refs
        self.sources = sources
        self.references: dict[Folded, list[Constraint]] = {}
        for side in (before, after):
            for table in (found.table for found in side.tables.values()):
                for key in table.foreign_keys:
                    parent = folded(ObjectName(table.name.schema, key.referenced or ""))
                    self.references.setdefault(parent, []).append(key)

    def holds(self, change: TableChange) -> bool:
        """Whether DuckDB refuses the change of rows because others may refer to them."""
        assert change.before and change.after
        table = change.after
        names = {folded(change.before.name), folded(table.name)}
        references = [key for name in names for key in self.references.get(name, ())]
        if not references:
            return False
        changes, shape = changes_between(self.call, self.sources[change.table_id])
        conditions = [Sql("(op = 'modified' AND {{c}})")] if (fast := _fast_columns(table, shape)) else []
        by_key = {name.lower() for name in table.key_names}
        if shape.keyless:
            conditions = [Sql("o0 > n0")]
        elif any({name.lower() for name in key.referenced_columns} != by_key for key in references):
            conditions.append(Sql("op = 'removed'"))
        if not conditions:
            return False
        condition = render.fill(render.joined(conditions, " OR "), c=fast or Sql("false"))
        statement = render.fill(
            Sql("SELECT count(*) FROM ({{changes}}) AS changes WHERE {{condition}}"),
            changes=changes,
            condition=condition,
        )
        row = self.call.cursor.execute(statement).fetchone()
        return bool(row and row[0])

    def is_readable(self, view: SchemaObject) -> bool:
        """Whether the query of a view binds in the newer state."""
        try:
            return self._binds(view, self.to_ref)
        except EpochQueryError:
            return False

    def can_be_made(self, view: SchemaObject, newer: bool) -> bool:
        """Whether DuckDB creates a view in the newer or in the older state, as far as can be known."""
        try:
            return self._binds(view, self.to_ref if newer else self.from_ref)
        except EpochQueryError:
            return True

    def _binds(self, view: SchemaObject, ref: str) -> bool:
        """Whether a view binds as of a reference. Raises EpochQueryError if it cannot be read there in any case."""
        with unqualified():
            rows = render.fill(Sql("FROM {{view}}"), view=render.table(view.name))
        try:
            bound = query(self.call, ref, rows).bare
            self.call.cursor.execute(render.fill(Sql("DESCRIBE {{bound}}"), bound=bound))
        except (*REFUSALS, EpochTableError, EpochTrustError):
            return False
        return True


@contextmanager
def unqualified() -> Iterator[None]:
    """Renders names without a database meanwhile, because the statements are for any database."""
    token = render.DATABASE.set(None)
    try:
        yield
    finally:
        render.DATABASE.reset(token)


def _called(step: DefinitionStep) -> str:
    made = step.after if isinstance(step, Alter) else step.what
    if isinstance(made, SchemaObject):
        return str(table_of(made)) if made.kind == "trigger" else made.label
    return str(made.name)


def _change(number: str, pair: Difference, differs: bool) -> TableChange:
    old, new = (side.table if side else None for side in (pair.before, pair.after))
    return TableChange(number, old, new, differs)


def _name(pair: Difference) -> ObjectName:
    return pair.table.name


def _pairs(before: Side, after: Side) -> list[Difference]:
    """The tables of both sides, including equal ones."""
    found = differences(before, after)
    ends = {id(side.table) for pair in found for side in (pair.before, pair.after) if side}
    same = [
        Difference(before.tables[i], side)
        for i, side in after.tables.items()
        if i in before.tables and id(side.table) not in ends
    ]
    return [*found, *same]


def _require_alone(plan: Plan, tables: Sequence[TableChange]) -> None:
    """Raises EpochTableError if a patch of one table would change another one that refers to it."""
    other = next((c.before for c in tables if c.before and c.table_id in plan.built and not c.differs), None)
    if other:
        raise EpochTableError(
            f"the table has to be rebuilt, and {other.name} refers to it",
            "ask for the patch of all tables",
            table=str(other.name),
        )


def _rows_follow(old: Table, new: Table) -> bool:
    """Whether existing rows can be changed one by one after the definition was altered."""
    types = {c.id: c.type for c in old.stored_columns}
    widened = all(widens(types[c.id], c.type) for c in new.stored_columns if c.id in types)
    return widened and (keyed_alike(old, new) or not _has_primary_key(old, new))


def _has_primary_key(*tables: Table) -> bool:
    return any(c.kind == "PRIMARY KEY" for table in tables for c in table.constraints)


def _fast_columns(table: Table, shape: Shape) -> Sql | None:
    """The condition that a column changed whose updates DuckDB turns into a deletion and an insertion."""
    indexed = {name.lower() for c in table.constraints if c.kind != "CHECK" for name in c.columns}
    indexed |= {name for index in table.indexes for text in index.expressions for name in mentioned(text)}
    terms = [
        shape.value_differs(c, render.column(f"n{c.id}"), render.column(f"o{c.id}"))
        for c in shape.compared
        if not shape.keyless and (c.name.lower() in indexed or not _updated_in_place(c.type))
    ]
    return render.fill(Sql("({{terms}})"), terms=render.joined(terms, " OR ")) if terms else None


def _updated_in_place(type: str) -> bool:
    parsed = parse_type(type)
    return not parsed.fields and parsed.name not in ("STRUCT", "GEOMETRY")
