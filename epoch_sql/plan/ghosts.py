"""Tables that DuckDB counts as children of another table under a name that they no longer have.

After the rename of a table with a foreign key, its parent keeps the old name, and cannot be dropped any more, even
after the child is dropped. Creating and dropping a table of that name with the same foreign key frees the parent. Only
the refusal to drop the parent gives the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import duckdb

from epoch_sql.errors import EpochTableError
from epoch_sql.model.schema import Constraint, ObjectName, Table
from epoch_sql.worktree import ddl

_REFUSAL = re.compile(r'main key table of the table "(.*)"$', re.MULTILINE)


@dataclass(frozen=True)
class Ghost:
    """A name under which DuckDB remembers a child of a table."""

    parent: Table
    child: ObjectName


class HeldByGhost(Exception):
    """DuckDB refuses to drop a table because of a child."""

    def __init__(self, ghost: Ghost) -> None:
        super().__init__(f"{ghost.parent.name} has the child {ghost.child}")
        self.ghost = ghost


def ghost_of(table: Table, error: duckdb.CatalogException) -> Ghost | None:
    """The child because of which DuckDB refused to drop a table. None if there was another reason."""
    found = _REFUSAL.search(str(error))
    return Ghost(table, ObjectName(table.name.schema, found[1])) if found else None


def lay(cursor: duckdb.DuckDBPyConnection, ghost: Ghost) -> None:
    """Make DuckDB forget a child that does not exist. Raises EpochTableError if it exists."""
    key = next(c for c in ghost.parent.constraints if c.kind in ("PRIMARY KEY", "UNIQUE"))
    columns = tuple(
        replace(ghost.parent.column(name), default=None, comment=None, nullable=True) for name in key.columns
    )
    reference = Constraint("FOREIGN KEY", key.columns, None, ghost.parent.name.name, key.columns)
    try:
        for statement in ddl.create_table(Table(ghost.child, columns, (reference,))):
            cursor.execute(statement)
    except duckdb.CatalogException as error:
        raise still_held(ghost) from error
    cursor.execute(ddl.drop_table(ghost.child))


def still_held(ghost: Ghost) -> EpochTableError:
    """The error for a child that exists and blocks the drop."""
    return EpochTableError(
        f"table {ghost.parent.name} cannot be dropped, since {ghost.child} refers to it and stays",
        f"drop {ghost.child}, or version it",
        table=str(ghost.parent.name),
    )
