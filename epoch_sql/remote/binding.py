"""Binding the definitions of tables that a fetch read, in the engine that reaches nothing.

What cannot be made is refused by name, before anything is kept.

A definition is bound once, among the types, sequences and macros of a tree that it is in, and the tables that it refers
to. What names something that is not there is no lie: it may be of an extension, of a newer DuckDB, or only data here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.catalog.content import object_of_row
from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.names import quoted, shown
from epoch_sql.model.schema import ObjectName, SchemaObject, Table, definition_id
from epoch_sql.proof.engine import shut_in
from epoch_sql.remote.reference_proof import Trees
from epoch_sql.remote.sending import KIND, VERSION
from epoch_sql.render import Sql
from epoch_sql.worktree.ddl import create_object, create_table, lacking

_MADE_FIRST = ("schema", "type", "sequence", "macro")
_LIES = (
    duckdb.BinderException,
    duckdb.ConversionException,
    duckdb.InterruptException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
)
_DATABASE = "memory"


@dataclass
class _Pending:
    """A definition, and what of it is still to be made."""

    definition: Table | SchemaObject
    statements: list[Sql]
    error: duckdb.Error | None = None

    def advance(self, engine: duckdb.DuckDBPyConnection) -> bool:
        """Make what can be made by now; whether that was something."""
        before = len(self.statements)
        while self.statements:
            try:
                engine.execute(self.statements[0])
            except duckdb.Error as error:
                self.error = error
                break
            del self.statements[0]
        return len(self.statements) < before


def bind_tables(
    where: str, trees: Trees, table_of: Callable[[str], Table | None], new: Collection[str], withheld: Collection[str]
) -> None:
    """Bind the tables whose contents are ``new``, without definitions that are ``withheld``, which are only data.

    Raises EpochRemoteError, naming the first that cannot be made.
    """
    bound: set[str] = set()
    for rows in trees.received(new):
        tables = {(row[2].lower(), row[3].lower()): row for row in rows if row[KIND] == "table"}
        fresh = {}
        for row in tables.values():
            table = table_of(str(row[VERSION])) if row[VERSION] in new else None
            if table and table.content_digest not in bound and table.content_digest not in withheld:
                fresh[table.name] = table
        if not fresh:
            continue
        pending = list(fresh.values())
        while pending:
            child = pending.pop()
            for key in child.foreign_keys:
                parent = tables.get((child.name.schema.lower(), (key.referenced or "").lower()))
                found = table_of(str(parent[VERSION])) if parent else None
                if found and found.name not in fresh and found.content_digest not in withheld:
                    fresh[found.name] = found
                    pending.append(found)
        others = (row for row in rows if row[KIND] in _MADE_FIRST)
        objects = [object_of_row(row[KIND], ObjectName(row[2], row[3]), *row[5:9]) for row in others]
        _bind(where, [o for o in objects if definition_id(o) not in withheld], fresh.values())
        bound |= {table.content_digest for table in fresh.values()}


def _bind(where: str, objects: Iterable[SchemaObject], tables: Iterable[Table]) -> None:
    token = render.DATABASE.set(_DATABASE)
    try:
        waiting = [*_statements(objects, tables)]
        with shut_in() as engine:
            while sum(one.advance(engine) for one in waiting):
                waiting = [one for one in waiting if one.statements]
    finally:
        render.DATABASE.reset(token)
    for one in waiting:
        if isinstance(one.definition, Table) and isinstance(one.error, _LIES):
            raise EpochRemoteError(
                f"{where} has a table {quoted(str(one.definition.name))} that cannot be made, "
                f"{quoted(shown(str(one.error).splitlines()[0], 400))}; nothing was changed",
                "who may write to that remote? restore it from a backup",
            ) from one.error


def _statements(objects: Iterable[SchemaObject], tables: Iterable[Table]) -> Iterator[_Pending]:
    for made in sorted(objects, key=lambda found: _MADE_FIRST.index(found.kind)):
        if not lacking(made):
            yield _Pending(made, create_object(made))
    for table in tables:
        if not lacking(table):
            # Types of indexes are those of extensions.
            own = replace(table, indexes=tuple(index for index in table.indexes if index.method is None))
            yield _Pending(table, create_table(own))
