"""The steps of a plan. They hold definitions only, and the executor knows where the rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.model.sql_text import split_statements
from epoch_sql.render import Sql, verbatim
from epoch_sql.worktree import ddl


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
        found = ddl.alter_table(step.before, step.after, step.referenced)
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
