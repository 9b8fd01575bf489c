"""Makes the plan that brings one state to another: a list of steps, for every executor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochDirtyError
from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.model.sql_text import split_statements
from epoch_sql.plan.making import MAY_BE_UNMADE, Folded, dependents, folded
from epoch_sql.render import Sql, verbatim
from epoch_sql.worktree import alter, ddl, ordering
from epoch_sql.worktree.ordering import FIRST, Definition, references


@dataclass(frozen=True)
class TableChange:
    """A table of one or both states, under its id.

    ``differs`` says whether its definition or rows may differ. A ``pinned`` table must stay as it is.
    """

    table_id: str
    before: Table | None
    after: Table | None
    differs: bool = True
    pinned: bool = False


@dataclass(frozen=True)
class Drop:
    """Drop a table or another object, for good or to create it again."""

    what: Table | SchemaObject


@dataclass(frozen=True)
class Alter:
    """Change the definition of a table in place. ``referenced`` says whether foreign keys of other tables refer to
    it."""

    before: Table
    after: Table
    referenced: bool


@dataclass(frozen=True)
class Create:
    """Create an empty table or another object."""

    what: Table | SchemaObject


@dataclass(frozen=True)
class Refresh:
    """Create a view again in place, because what it reads changed."""

    what: SchemaObject


@dataclass(frozen=True)
class ChangeRows:
    """Delete, update or insert rows of a table that stays."""

    action: Literal["delete", "update", "insert"]
    change: TableChange


@dataclass(frozen=True)
class Fill:
    """Insert all rows of a created table."""

    change: TableChange


DefinitionStep = Drop | Alter | Create | Refresh
Step = DefinitionStep | ChangeRows | Fill


@dataclass(frozen=True)
class Plan:
    """Steps in the order of their execution: definitions first, then rows.

    ``built`` are the ids of the created tables, and ``changed`` those of the other tables that may change. ``triggers``
    come after the rows, because they must not fire for them.
    """

    steps: tuple[Step, ...] = ()
    built: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    triggers: tuple[Create, ...] = ()

    @property
    def definitions(self) -> list[DefinitionStep]:
        """The steps that change definitions before rows change."""
        return [step for step in self.steps if isinstance(step, DefinitionStep)]

    @property
    def rows(self) -> list[ChangeRows | Fill]:
        """The steps that change rows."""
        return [step for step in self.steps if isinstance(step, ChangeRows | Fill)]


def describe(step: Step) -> str:
    """The action of a step, in one word."""
    if isinstance(step, ChangeRows):
        return step.action
    return "insert" if isinstance(step, Fill) else type(step).__name__.lower()


def statements(step: DefinitionStep) -> list[Sql]:
    """The SQL of a step that changes a definition."""
    if isinstance(step, Alter):
        found = alter.alter_table(step.before, step.after, step.referenced)
        assert found is not None
        return found
    if isinstance(step, Create):
        return ddl.create_table(step.what) if isinstance(step.what, Table) else ddl.create_object(step.what)
    if isinstance(step, Refresh):
        create, *comments = ddl.create_object(step.what)
        return [Sql(create.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)), *comments]
    if isinstance(step.what, Table):
        return [ddl.drop_table(step.what.name)]
    return [verbatim(statement) for statement in split_statements(ddl.drop_object(step.what))]


# An object that goes or changes is dropped after all of its dependents, and an object that comes is created before
# them. Tables that depend on it and stay are rebuilt with all of their rows. So are views and macros, if DuckDB holds
# on to what they depend on.

Rebuild = Literal["needed", "differing", "all"]
"""Which tables are rebuilt: those that cannot be changed in place, all that differ, or all."""

Dependents = Literal["stay", "refresh", "go"]
"""What happens to views and macros that depend on changes. They stay, because DuckDB binds them when they are used;
or the views are created again in place; or both are dropped before the change and created again."""


@dataclass(frozen=True)
class Limits:
    """What the executor of a plan cannot do.

    ``rows_follow`` says whether rows can be changed one by one after a definition was altered. ``held`` says whether a
    change of rows is refused for another reason. ``remakes`` says whether a view can be created again in the newer
    state.
    """

    rows_follow: Callable[[Table, Table], bool]
    held: Callable[[TableChange], bool] = lambda change: False
    remakes: Callable[[SchemaObject], bool] = lambda view: True
    rebuild: Rebuild = "needed"
    dependents: Dependents = "go"


def make_plan(
    tables: Sequence[TableChange],
    before: Sequence[SchemaObject],
    after: Sequence[SchemaObject],
    limits: Limits,
) -> Plan:
    """The steps from one state to the other. ``tables`` are the tables of both, and ``before`` and ``after`` the other
    objects.

    Raises EpochDirtyError if a pinned table would have to be rebuilt.
    """
    return _Planner(tables, before, after, limits).plan()


class _Planner:
    def __init__(
        self,
        tables: Sequence[TableChange],
        before: Sequence[SchemaObject],
        after: Sequence[SchemaObject],
        limits: Limits,
    ) -> None:
        self.tables = tables
        self.limits = limits
        old, new = ({(o.kind, o.name): o for o in objects} for objects in (before, after))
        self.outdated = [o for key, o in old.items() if new.get(key) != o]
        self.missing = [o for key, o in new.items() if old.get(key) != o]
        self.kept = [o for key, o in old.items() if new.get(key) == o]
        self.affected: list[SchemaObject] = []
        self.referenced = _referenced(c.before for c in tables if c.before)
        self.rebuilt: dict[str, TableChange] = {}
        self.altered: dict[str, Alter] = {}

    def plan(self) -> Plan:
        for change in self.tables:
            if change.before and change.after and (change.differs or self.limits.rebuild == "all"):
                self._plan_table(change)
        self._free_names()
        self._add_dependents()
        built = {c.table_id: c for c in self.tables if not c.before and c.after} | self.rebuilt
        changed = {c.table_id: c for c in self.tables if c.before and c.after and c.differs and c.table_id not in built}
        dropped, come = self._triggers({*built, *changed})
        drops = (*(Drop(trigger) for trigger in dropped), *self._drops())
        steps = (*drops, *self._creations(built.values()), *_row_steps(built, changed))
        return Plan(steps, frozenset(built), frozenset(changed), tuple(Create(trigger) for trigger in come))

    def _triggers(self, written: Collection[str]) -> tuple[list[SchemaObject], list[SchemaObject]]:
        """The triggers that are dropped first, because they would fire for written rows or block changes of
        definitions, and the triggers that are created at the end."""
        touched = [c for c in self.tables if c.table_id in written or not c.after]
        names = {table.name.name.lower() for c in touched for table in (c.before, c.after) if table}
        names |= {o.name.name.lower() for o in (*self.outdated, *self.missing)}
        tables = [c.before for c in self.tables if c.before]
        dropped = list(ddl.dependent_triggers(tables, [*self.kept, *self.outdated], names))
        come = []
        for change in self.tables:
            found = ddl.trigger_objects([change.after] if change.after else [])
            come += [t for t in found if change.table_id in written or t in dropped]
        return dropped, come

    def _plan_table(self, change: TableChange) -> None:
        """Alters or rebuilds a table that stays and differs."""
        assert change.before and change.after
        referenced = folded(change.before.name) in self.referenced
        alters = alter.alter_table(change.before, change.after, referenced)
        follows = alters is not None and self.limits.rows_follow(change.before, change.after)
        if self.limits.rebuild != "needed" or not follows or self.limits.held(change):
            self._build_anew(change)
        elif alters:
            self.altered[change.table_id] = Alter(change.before, change.after, referenced)

    def _build_anew(self, change: TableChange) -> None:
        if change.pinned:
            assert change.before
            raise EpochDirtyError(
                f"table {change.before.name} has uncommitted changes and would have to be rebuilt",
                (Suggestion("commit", "MESSAGE"), " or ", Suggestion("stash"), ", then again"),
                tables=(str(change.before.name),),
            )
        self.rebuilt[change.table_id] = change
        self.altered.pop(change.table_id, None)

    def _free_names(self) -> None:
        """Rebuilds tables whose new name belongs to another table until that is dropped or renamed."""
        holders = {folded(c.before.name): c.table_id for c in self.tables if c.before}
        for change in self.tables:
            after = change.after if change.before else None
            if after and holders.get(folded(after.name), change.table_id) != change.table_id:
                self._build_anew(change)

    def _add_dependents(self) -> None:
        """Adds dependents of changes, until there are no more."""
        while True:
            dropped = [c.before for c in self.tables if c.before and not c.after]
            dropped += [c.before for c in self.rebuilt.values() if c.before]
            changed: list[Definition] = [*self.outdated, *self.affected, *dropped]
            changed += [table for alter in self.altered.values() for table in {alter.before, alter.after}]
            if not changed:
                return
            staying = {
                folded(c.before.name): c for c in self.tables if c.before and c.after and c.table_id not in self.rebuilt
            }
            candidates: list[Definition] = [*self.kept, *(c.before for c in staying.values() if c.before)]
            found = dependents(candidates, changed, dropped)
            objects = [o for o in found if isinstance(o, SchemaObject)]
            more = [staying[folded(t.name)] for t in found if isinstance(t, Table)]
            if not objects and not more:
                return
            for change in more:
                self._build_anew(change)
            going = [o for o in objects if self._goes(o)]
            self.outdated += going
            self.missing += going
            self.affected += [o for o in objects if o not in going]
            self.kept = [o for o in self.kept if o not in objects]

    def _goes(self, obj: SchemaObject) -> bool:
        """Whether a dependent of a change is dropped. A view that cannot be created again stays."""
        if obj.kind not in MAY_BE_UNMADE:
            return True
        return self.limits.dependents == "go" and (obj.kind != "view" or self.limits.remakes(obj))

    def _drops(self) -> Iterator[DefinitionStep]:
        tables = [c.before for c in self.tables if c.before and not c.after]
        tables += [c.before for c in self.rebuilt.values() if c.before]
        order = ordering.definition_order(tables, self.outdated)[::-1]
        yield from (Drop(found) for found in order if not _is_schema(found))
        yield from (Drop(found) for found in order if _is_schema(found))

    def _creations(self, built: Iterable[TableChange]) -> Iterator[DefinitionStep]:
        """Creations in the order of dependencies. Alterations come before them, because they free names, and before
        the alterations come the objects that their expressions call."""
        alters = list(self.altered.values())
        tables = [c.after for c in built if c.after]
        order = ordering.definition_order([*tables, *(alter.after for alter in alters)], self.missing)
        altered = {id(alter.after) for alter in alters}
        order = [found for found in order if id(found) not in altered]
        first = {id(found) for found in _needed([alter.after for alter in alters], order)}
        yield from (Create(found) for found in order if id(found) in first)
        yield from alters
        yield from (Create(found) for found in order if id(found) not in first)
        if self.limits.dependents == "refresh":
            yield from (Refresh(o) for o in ordering.object_order(self.affected) if o.kind == "view")


def _is_schema(definition: Definition) -> bool:
    return isinstance(definition, SchemaObject) and definition.kind == "schema"


def _needed(altered: Sequence[Table], order: Sequence[Definition]) -> list[Definition]:
    """The definitions that altered tables need: schemas, types, sequences, and macros that are called."""
    objects = [found for found in order if isinstance(found, SchemaObject)]
    needed: list[Definition] = [found for found in objects if found.kind in FIRST]
    macros = [found for found in objects if found.kind == "macro"]
    pending: list[Definition] = list(altered) if macros else []
    while pending:
        more = [macros[n] for n in references(pending.pop(), macros) if macros[n] not in needed]
        pending += more
        needed += more
    return needed


def _referenced(tables: Iterable[Table]) -> set[Folded]:
    """The tables that foreign keys of other tables refer to."""
    found = ((t.name, ObjectName(t.name.schema, key.referenced or "")) for t in tables for key in t.foreign_keys)
    return {folded(parent) for child, parent in found if folded(child) != folded(parent)}


def _row_steps(built: dict[str, TableChange], changed: dict[str, TableChange]) -> Iterator[Step]:
    """Deletions, children before their parents, then updates, then insertions, parents first."""
    by_name = {c.after.name: c for c in (*built.values(), *changed.values()) if c.after}
    order = [by_name[table.name] for table in ordering.creation_order([c.after for c in by_name.values() if c.after])]
    staying = [change for change in order if change.table_id in changed]
    yield from (ChangeRows("delete", change) for change in reversed(staying))
    yield from (ChangeRows("update", change) for change in staying)
    for change in order:
        yield Fill(change) if change.table_id in built else ChangeRows("insert", change)
