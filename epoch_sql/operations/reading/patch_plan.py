"""What a patch does to each definition, and in which order: the statements before the rows change.

DuckDB cannot take a foreign key, unique constraint or check away from a table, and turns updates of indexed and of
nested columns into a deletion and an insertion, which it refuses for rows that others refer to. Such tables are dropped
and built again, with all of their rows, and so are the tables that refer to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochError, EpochTableError
from epoch_sql.model.schema import Constraint, ObjectName, SchemaObject, Table
from epoch_sql.model.sql_text import mentioned, split_statements, tokens, top_level
from epoch_sql.model.widening import widens
from epoch_sql.operations.reading.query import query
from epoch_sql.operations.reading.sides import Difference, Side, changes_between, differences, side_of
from epoch_sql.operations.repository import Repository
from epoch_sql.render import Sql
from epoch_sql.storage.shape import Shape, keyed_alike
from epoch_sql.storage.types import parse_type
from epoch_sql.worktree import ddl

Folded = tuple[str, str]


@dataclass(frozen=True)
class TablePlan:
    """A table that both sides or the newer one has: how its definition changes, and whether it is built anew."""

    difference: Difference
    alters: tuple[Sql, ...] = ()
    rebuilt: bool = False

    @property
    def before(self) -> Table | None:
        """The definition that the statements start from; None for a table that is built."""
        return self.difference.before.table if self.difference.before and not self.rebuilt else None

    @property
    def after(self) -> Table:
        """The definition that the table is to have."""
        assert self.difference.after
        return self.difference.after.table


@dataclass
class Plan:
    """Statements that change definitions, each with the name of what it changes, and the tables whose rows change.

    ``referenced`` are the tables that foreign keys refer to, on either side.
    """

    statements: list[tuple[str, Sql]] = field(default_factory=list)
    tables: list[TablePlan] = field(default_factory=list)
    referenced: frozenset[Folded] = frozenset()


def plan(repository: Repository, from_ref: str, to_ref: str, table_name: str | None = None) -> Plan:
    """How to get from one reference to another, for all tables and objects or for one table."""
    before, after = side_of(repository, from_ref), side_of(repository, to_ref)
    found = differences(before, after, table_name)
    return _Planner(repository, before, after, found, to_ref, table_name is not None).plan()


class _Planner:
    def __init__(
        self,
        repository: Repository,
        before: Side,
        after: Side,
        found: list[Difference],
        to_ref: str,
        one_table: bool,
    ) -> None:
        self.repository = repository
        self.before = before
        self.after = after
        self.to_ref = to_ref
        self.one_table = one_table
        self.found = found
        self.gone = [d.before.table for d in found if d.before and not d.after]
        self.references = [
            (table, key)
            for side in (before, after)
            for table in (s.table for s in side.tables.values())
            for key in table.foreign_keys
        ]
        self.outdated, self.missing = self._objects()

    def plan(self) -> Plan:
        plans = {folded(p.after.name): p for d in self.found if d.after for p in [self._table(d)]}
        self._with_dependents(plans)
        stale = [] if self.one_table else self._stale_views(plans)
        self.outdated = ddl.object_order([*self.outdated, *stale])
        self.missing = ddl.object_order([*self.missing, *stale])
        referenced = frozenset((t.name.schema.lower(), (key.referenced or "").lower()) for t, key in self.references)
        return Plan(list(self._statements(plans)), list(plans.values()), referenced)

    def _objects(self) -> tuple[list[SchemaObject], list[SchemaObject]]:
        """The objects that go or change, and those that come or change, in the order in which they can be created."""
        old = {(o.kind, o.name): o for o in self.before.objects}
        new = {(o.kind, o.name): o for o in self.after.objects}
        outdated = ddl.object_order([o for key, o in old.items() if new.get(key) != o])
        missing = ddl.object_order([o for key, o in new.items() if old.get(key) != o])
        if self.one_table:
            schemas = {d.after.table.name.schema for d in self.found if d.after}
            return [], [o for o in missing if o.kind == "schema" and o.name.name in schemas]
        return outdated, missing

    def _table(self, difference: Difference) -> TablePlan:
        if difference.before is None:
            return TablePlan(difference)
        assert difference.after
        old, new = difference.before.table, difference.after.table
        others = any(_refers(key, table, old.name) and table.name != old.name for table, key in self.references)
        with _unqualified():
            alters = ddl.alter_table(old, new, others)
        if alters is None or not _rows_follow(old, new) or self._uses_outdated(old) or self._is_held_fast(difference):
            return TablePlan(difference, rebuilt=True)
        return TablePlan(difference, tuple(alters))

    def _uses_outdated(self, table: Table) -> bool:
        """Whether DuckDB may hold that the table depends on a type or sequence that goes or changes."""
        names = {name for c in table.columns if c.default is not None for name in mentioned(c.default)}
        for gone in self.outdated:
            if gone.kind == "sequence" and gone.name.name.lower() in names:
                return True
            if gone.kind == "type" and any(_meaning(gone) in c.type for c in table.columns):
                return True
        return False

    def _is_held_fast(self, difference: Difference) -> bool:
        """Whether rows change that others may refer to, in a way that DuckDB refuses then."""
        assert difference.before and difference.after
        table = difference.after.table
        references = [
            key
            for owner, key in self.references
            for name in (difference.before.table.name, table.name)
            if _refers(key, owner, name)
        ]
        if not references:
            return False
        changes, shape = changes_between(self.repository, difference)
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
        row = self.repository.cursor.execute(statement).fetchone()
        return bool(row and row[0])

    def _stale_views(self, plans: dict[Folded, TablePlan]) -> list[SchemaObject]:
        """The views to make anew because a table changes below them: DuckDB 1.x keeps their columns as they were.

        A view that cannot be read in the newer state stays as it is, since it could not be made.
        """
        changed = {table.name.name.lower() for table in self.gone}
        for found in plans.values():
            side = found.difference.before
            if found.alters or found.before is None:
                changed |= {found.after.name.name.lower(), *([side.table.name.name.lower()] if side else [])}
        kept = [o for o in self.after.objects if o.kind == "view" and o not in self.missing]
        stale: list[SchemaObject] = []
        while more := [o for o in kept if o not in stale and mentioned(o.definition) & changed - {o.name.name.lower()}]:
            stale += more
            changed |= {o.name.name.lower() for o in more}
        return [o for o in stale if self._is_readable(o)]

    def _is_readable(self, view: SchemaObject) -> bool:
        """Whether the query of a view can be bound in the newer state."""
        with _unqualified():
            rows = render.fill(Sql("FROM {{view}}"), view=render.table(view.name))
        try:
            bound = query(self.repository, self.to_ref, rows)
            self.repository.cursor.execute(render.fill(Sql("DESCRIBE {{bound}}"), bound=bound))
        except (duckdb.BinderException, duckdb.CatalogException, EpochError):
            return False
        return True

    def _with_dependents(self, plans: dict[Folded, TablePlan]) -> None:
        """Builds further tables anew: those whose name is taken, and those that refer to a table that is dropped."""
        pairs = {folded(d.before.table.name): d for d in self._pairs() if d.before}
        for key, found in list(plans.items()):
            holder = pairs.get(folded(found.after.name))
            if found.before and holder and holder.after and holder.after.table.name != found.after.name:
                plans[key] = TablePlan(found.difference, rebuilt=True)
        while True:
            dropped = {folded(t.name) for t in self.gone} | {
                folded(p.difference.before.table.name) for p in plans.values() if p.rebuilt and p.difference.before
            }
            more = [
                d
                for d in pairs.values()
                if d.before and d.after
                if not ((known := plans.get(folded(d.after.table.name))) and known.rebuilt)
                if any(_refers_to_any(key, d.before.table, dropped) for key in d.before.table.foreign_keys)
            ]
            if not more:
                return
            for d in more:
                assert d.after and d.before
                if self.one_table and d not in self.found:
                    raise EpochTableError(
                        f"the table has to be built anew, and {d.before.table.name} refers to it",
                        "leave table_name out: FROM epoch_patch(from_ref, to_ref)",
                    )
                plans[folded(d.after.table.name)] = TablePlan(d, rebuilt=True)

    def _pairs(self) -> list[Difference]:
        """The tables of both sides, also those that do not differ."""
        known = {id(d.after.table) for d in self.found if d.after}
        same = [
            Difference(self.before.tables[i], side)
            for i, side in self.after.tables.items()
            if i in self.before.tables and id(side.table) not in known
        ]
        return [*self.found, *same]

    def _statements(self, plans: dict[Folded, TablePlan]) -> Iterator[tuple[str, Sql]]:
        """The statements in order: dependents away, tables away, names, columns, tables and the rest anew."""
        with _unqualified():
            outdated = list(reversed(self.outdated))
            yield from (s for o in outdated if o.kind in ("view", "macro") for s in _dropped(o))
            rebuilt = [p.difference.before.table for p in plans.values() if p.rebuilt and p.difference.before]
            for table in reversed(ddl.creation_order([*self.gone, *rebuilt])):
                yield str(table.name), ddl.drop_table(table.name)
            yield from (s for o in outdated if o.kind in ("sequence", "type") for s in _dropped(o))
            first = [o for o in self.missing if o.kind in ("schema", "type", "sequence")]
            yield from ((_name(o), s) for o in first for s in ddl.create_object(o))
            yield from ((str(p.after.name), s) for p in plans.values() for s in p.alters if p.before)
            built = [p.after for p in plans.values() if p.before is None]
            for made in ddl.definition_order(built, [o for o in self.missing if o not in first]):
                if isinstance(made, Table):
                    yield from ((str(made.name), s) for s in ddl.create_table(made))
                else:
                    yield from ((_name(made), s) for s in ddl.create_object(made))
            yield from (s for o in outdated if o.kind == "schema" for s in _dropped(o))


@contextmanager
def _unqualified() -> Iterator[None]:
    """Names without a database meanwhile: the statements are for any."""
    token = render.DATABASE.set(None)
    try:
        yield
    finally:
        render.DATABASE.reset(token)


def folded(name: ObjectName) -> Folded:
    """A name as SQL compares it."""
    return name.schema.lower(), name.name.lower()


def refers_to_itself(table: Table) -> bool:
    """Whether the table has a foreign key to itself."""
    return any(_refers(key, table, table.name) for key in table.foreign_keys)


def _rows_follow(old: Table, new: Table) -> bool:
    """Whether the rows that are there after the definition was altered can be changed one by one."""
    types = {c.id: c.type for c in old.stored_columns}
    widened = all(widens(types[c.id], c.type) for c in new.stored_columns if c.id in types)
    return widened and (keyed_alike(old, new) or not _has_primary_key(old, new))


def _has_primary_key(*tables: Table) -> bool:
    return any(c.kind == "PRIMARY KEY" for table in tables for c in table.constraints)


def _fast_columns(table: Table, shape: Shape) -> Sql | None:
    """The condition that a column changed whose update DuckDB makes a deletion and an insertion."""
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


def _refers(key: Constraint, owner: Table, name: ObjectName) -> bool:
    return (owner.name.schema.lower(), (key.referenced or "").lower()) == folded(name)


def _refers_to_any(key: Constraint, owner: Table, names: Iterable[Folded]) -> bool:
    target = owner.name.schema.lower(), (key.referenced or "").lower()
    return target != folded(owner.name) and target in names


def _meaning(made: SchemaObject) -> str:
    """The type that a user's type stands for."""
    start = next(word.end for word in top_level(made.definition) if word.is_word("AS"))
    return made.definition[next(tokens(made.definition, start)).start :].rstrip("; ")


def _dropped(o: SchemaObject) -> Iterator[tuple[str, Sql]]:
    for statement in split_statements(ddl.drop_object(o)):
        yield _name(o), render.verbatim(statement)


def _name(o: SchemaObject) -> str:
    return o.name.name if o.kind == "schema" else str(o.name)
