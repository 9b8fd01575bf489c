"""``epoch_key`` and ``epoch_ignore``: which tables are versioned, and what identifies their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.catalog.local import DeclaredKeys, Ignore
from epoch_sql.errors import ColumnNotFound, EpochTableError, Suggestion, TableNotFound, did_you_mean
from epoch_sql.model.names import name_meant
from epoch_sql.model.refnames import quoted, suggest
from epoch_sql.model.schema import Table
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql
from epoch_sql.verb import procedure, query


@dataclass(frozen=True)
class KeyResult:
    """A table and the columns that identify its rows."""

    table: str
    key_columns: list[str]


@dataclass(frozen=True)
class IgnoredPattern:
    """A shell pattern of names that are not versioned."""

    pattern: str


@procedure("epoch_key")
def declare_key(call: Call, table: str, columns: Sequence[str]) -> KeyResult:
    """Declares the key of a table without a primary key.

    No column withdraws it. Raises EpochTableError for a table or column that does not exist, and for a table with a
    primary key.

    Args:
        table: the table
        columns: the columns that identify a row
    """
    with call.moving():
        found = working_table(call, table)
        if any(constraint.kind == "PRIMARY KEY" for constraint in found.constraints):
            raise EpochTableError(
                f"table {found.name} has a primary key ({', '.join(found.key_names)}), which identifies its rows",
                "no key needs to be declared",
                table=str(found.name),
            )
        names = tuple(_column(found, name) for name in columns)
        if len(set(names)) != len(names):
            message = f"a column is named twice in the key of {found.name}"
            raise EpochTableError(message, "name each column once", table=str(found.name))
        DeclaredKeys(call.cursor).put(found.name, names)
    return KeyResult(str(found.name), list(names))


@procedure("epoch_ignore")
def ignore(call: Call, pattern: str, *, remove: bool = False) -> IgnoredPattern:
    """Leaves tables whose names match a pattern out of versioning. Committed tables stay as they are committed.

    Raises EpochTableError where ``remove`` finds no such pattern.

    Args:
        pattern: a shell pattern of table names: `scratch_*`
        remove: no longer ignore this pattern
    """
    if not pattern.strip():
        raise EpochTableError("a pattern is empty", Suggestion("ignore", "scratch_*"))
    with call.moving():
        table = Ignore(call.cursor)
        known = table.patterns()
        if remove and pattern not in known:
            near = suggest(pattern, known)
            raise EpochTableError(f"{quoted(pattern)} is not ignored", did_you_mean(near) or Suggestion("ignored"))
        if remove:
            table.remove(pattern)
        elif pattern not in known:
            table.insert([(pattern,)])
    return IgnoredPattern(pattern)


@query("epoch_ignored", IgnoredPattern)
def ignored(call: Call) -> Sql:
    """The patterns of `epoch_ignore`: tables whose names match are not versioned."""
    return render.render("ignored")


def working_table(call: Call, name: str) -> Table:
    """The working table of that name. Raises EpochTableError with suggestions if there is none."""
    tables = call.scanner.schema().tables
    meant = name_meant(name, (table.name for table in tables))
    for table in tables:
        if table.name == meant:
            return table
    raise no_table(name, [str(table.name) for table in tables], "the working database")


def no_table(name: str, others: Sequence[str], where: str) -> TableNotFound:
    """The error for a table that does not exist."""
    near = suggest(name, others)
    advice = did_you_mean(near) or Suggestion("tables")
    return TableNotFound(f"there is no table {name} in {where}", advice, table=name, suggestions=tuple(near))


def _column(table: Table, name: str) -> str:
    try:
        column = table.column(name)
    except KeyError as error:
        near = suggest(name, [c.name for c in table.stored_columns])
        raise ColumnNotFound(
            f"there is no column {name} in table {table.name}",
            did_you_mean(near) or f"columns: {', '.join(c.name for c in table.columns)}",
            table=str(table.name),
            column=name,
            suggestions=tuple(near),
        ) from error
    if not column.stored:
        message = f"column {column.name} of table {table.name} is generated"
        raise EpochTableError(message, "name a column with values", table=str(table.name), column=column.name)
    return column.name
