"""What is versioned, and by which key: ``epoch_key`` and ``epoch_ignore``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epoch_sql.catalog.local import DeclaredKeys, Ignore
from epoch_sql.errors import ColumnNotFound, EpochTableError, Suggestion, TableNotFound, did_you_mean
from epoch_sql.model.names import name_meant
from epoch_sql.model.refnames import quoted, suggest
from epoch_sql.model.schema import Table
from epoch_sql.operations.repository import Call


@dataclass(frozen=True)
class Keyed:
    """A table and the columns that identify its rows."""

    table_name: str
    key_columns: list[str]


def declare_key(call: Call, table_name: str, columns: Sequence[str]) -> Keyed:
    """Declare which columns identify the rows of a working table without a primary key; none withdraws that.

    Raises EpochTableError for a table or column that does not exist, and for a table with a primary key.
    """
    with call.moving():
        table = working_table(call, table_name)
        if any(constraint.kind == "PRIMARY KEY" for constraint in table.constraints):
            raise EpochTableError(
                f"table {table.name} has a primary key ({', '.join(table.key_names)}), which identifies its rows",
                "no key needs to be declared",
                table=str(table.name),
            )
        names = tuple(_column(table, name) for name in columns)
        if len(set(names)) != len(names):
            message = f"a column is named twice in the key of {table.name}"
            raise EpochTableError(message, "name each column once", table=str(table.name))
        DeclaredKeys(call.cursor).put(table.name, names)
    return Keyed(str(table.name), list(names))


def ignore(call: Call, pattern: str, remove: bool = False) -> str:
    """Leave tables and objects whose name matches a pattern (``*``, ``?``, ``[…]``) out of versioning.

    What is committed under such a name stays as it is committed. With ``remove`` the pattern is forgotten;
    EpochTableError if there is none.
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
    return pattern


def working_table(call: Call, name: str) -> Table:
    """The working table of that name; EpochTableError that suggests others if there is none."""
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
