"""The base class of the catalog's tables (bulk inserts, typed reads), the cache of immutable rows, and the creation
of the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import lru_cache
from typing import Any, ClassVar

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochRepositoryError
from epoch_sql.model.commit import Commit, DataFile, Level, Tree, Version
from epoch_sql.model.schema import Table

MOST = 10_000
Mark = Mapping[str, tuple[dict[Any, Any], int]]
"""The dictionary of each kind of rows, and its length at that moment. The rows up to there are older."""


@dataclass
class RowCache:
    """Rows whose ids are hashes of their content, by id. A process reads each of them once.

    It has to be cleared when such rows may have been removed or replaced (see ``Memory.written``). After a rollback,
    rows that were added since the transaction began have to be dropped. Another thread may do so at any time. So code
    that uses a dictionary more than once holds on to it, and clearing replaces the dictionary instead of emptying it.
    """

    commits: dict[str, Commit] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    files: dict[str, DataFile] = field(default_factory=dict)
    edges: dict[tuple[int, str], list[Level]] = field(default_factory=dict)
    """The deltas between versions of a table, by the number of levels at that time and the table's identity."""

    def forget(self) -> None:
        """Clear everything, so that it is read again."""
        for kind in fields(self):
            setattr(self, kind.name, {})

    def mark(self) -> Mark:
        """The present state of the cache, for ``back_to``."""
        return {kind.name: (rows := getattr(self, kind.name), len(rows)) for kind in fields(self)}

    def back_to(self, mark: Mark) -> None:
        """Drop rows that were added since the mark. If a kind was cleared meanwhile, drop all of its rows."""
        for kind, (rows, count) in mark.items():
            kept = list(rows.items())[:count] if getattr(self, kind) is rows else []
            setattr(self, kind, dict(kept))

    def trim(self) -> None:
        """Keep the memory of the cache within bounds."""
        kinds = (self.commits, self.trees, self.versions, self.levels, self.tables, self.files)
        if any(len(rows) > MOST for rows in kinds) or sum(map(len, list(self.edges.values()))) > MOST:
            self.forget()


_ONE = "CAST(? AS {{type}})"
_MANY = "unnest(CAST(? AS {{type}}[]))"


_FEW = 8


def among(column: str, ids: Sequence[str]) -> tuple[str, list[Any]]:
    """The condition that a column is one of these ids, and its parameters. DuckDB plans few ids faster one by one than
    as a list."""
    if len(ids) > _FEW:
        return f"{column} IN (SELECT unnest(?))", [list(ids)]
    return f"{column} IN ({', '.join('?' * len(ids))})", list(ids)


def run(
    cursor: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> duckdb.DuckDBPyConnection:
    """Execute a statement. ``{{epoch}}`` in it is the schema of the catalog."""
    given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    return cursor.execute(render.fill(statement), given)


class Relation:
    """A catalog table: its name and its columns with their types, declared once."""

    name: ClassVar[str]
    columns: ClassVar[dict[str, str]]

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor

    def insert(self, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows in one statement. Their values are in the order of ``columns``."""
        self._insert("relation.insert", [tuple(row) for row in rows])

    def insert_missing(self, rows: Iterable[Sequence[Any]]) -> None:
        """Insert the rows whose id (the first column) is not stored yet, as ``insert`` does."""
        self._insert("relation.insert_missing", [tuple(row) for row in rows])

    def append(self, values: Sequence[Any]) -> None:
        """Insert a row whose ``sequence`` follows the last one: ``values`` are those of the other columns, in order."""
        kinds = [kind for name, kind in self.columns.items() if name != "sequence"]
        self.cursor.execute(self._text("relation.append", _ONE), _parameters(kinds, values))

    def _insert(self, query: str, batch: list[tuple[Any, ...]]) -> None:
        if not batch:
            return
        kinds = [*self.columns.values()]
        rows = [_parameters(kinds, row) for row in batch]
        # A single row is the most frequent case, and takes half the time without unnest.
        form, parameters = (_ONE, rows[0]) if len(rows) == 1 else (_MANY, [*map(list, zip(*rows, strict=True))])
        self.cursor.execute(self._text(query, form), parameters)

    def select(self, condition: str = "", parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows, as tuples in the order of ``columns``. ``condition`` is the text after FROM."""
        statement = f"{self._text('relation.select')} {render.fill(condition)}"
        return self.cursor.execute(statement, list(parameters)).fetchall()

    def with_ids(self, ids: Iterable[str]) -> list[tuple[Any, ...]]:
        """The rows with these ids (in the first column), as ``select`` gives them."""
        wanted = sorted(set(ids))
        if not wanted:
            return []
        condition, parameters = among(next(iter(self.columns)), wanted)
        return self.select(f"WHERE {condition}", parameters)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        """Execute a statement. ``{{epoch}}`` in it is the schema of the catalog."""
        return run(self.cursor, statement, parameters)

    def _table(self) -> render.Fragment:
        return render.catalog_table(self.name)

    def _text(self, query: str, form: str = "") -> render.Sql:
        return _text(query, self.name, tuple(self.columns.items()), form, render.DATABASE.get())


@lru_cache(maxsize=512)
def _text(query: str, table: str, columns: tuple[tuple[str, str], ...], form: str, _database: str | None) -> render.Sql:
    """A query of ``relation.sql`` for a table, in the database that SQL is rendered for now."""
    given = [(name, kind) for name, kind in columns if query != "relation.append" or name != "sequence"]
    names = [render.column(name) for name, _ in given]
    values = [render.fill(form, type=render.verbatim(kind)) for _, kind in given]
    return render.render(query, table=render.catalog_table(table), columns=names, values=values, id=names[0])


def _parameters(kinds: Sequence[str], values: Sequence[Any]) -> list[Any]:
    """Values as parameters. DuckDB 1.4 reads large numbers as floating point, so they are passed as text."""
    return [
        str(value) if kind == "HUGEINT" and value is not None else value
        for kind, value in zip(kinds, values, strict=True)
    ]


UPGRADES = ("catalog.upgrade_1",)
CATALOG_VERSION = len(UPGRADES)
Written = tuple[str | None, int | None]
"""The repository, and the number of times that rows of its catalog were replaced or removed."""


def upgrade(cursor: duckdb.DuckDBPyConnection, version: int) -> None:
    """Upgrade a catalog from a ``version`` (0: no catalog) to this one, within the caller's transaction."""
    for number, script in enumerate(UPGRADES[version:], version + 1):
        for statement in cursor.extract_statements(render.render(script)):
            cursor.execute(statement)
        run(cursor, "UPDATE {{epoch}}.state SET catalog_version = ?", [number])


def catalog_version(cursor: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the catalog in the database that SQL is rendered for, or None without a catalog."""
    return found_catalog(cursor).version


@dataclass(frozen=True)
class FoundCatalog:
    """A catalog as it was found: its version (None: no catalog), and the default collation of strings.

    ``written`` changes whenever rows that processes remember by their ids may have been replaced or removed.
    ``promisor`` is the remote where the rows of a bare clone lie.
    """

    version: int | None
    collation: str
    written: Written | None = None
    promisor: str | None = None


def found_catalog(cursor: duckdb.DuckDBPyConnection) -> FoundCatalog:
    """Reads, with one query, what has to be known before a catalog is used."""
    collation = "current_setting('default_collation')"
    try:
        columns = f"catalog_version, {collation}, repository_id, rewrites, promisor"
        found = run(cursor, f"SELECT {columns} FROM {{{{epoch}}}}.state")
    except duckdb.CatalogException:
        found = run(cursor, f"SELECT NULL, {collation}, NULL, NULL, NULL")
    row = found.fetchone()
    assert row
    return FoundCatalog(row[0], row[1], (row[2], row[3]), row[4])


def interval(cursor: duckdb.DuckDBPyConnection, grace: str, advice: Suggestion) -> timedelta:
    """The length of a grace period. Raises EpochRepositoryError, with the ``advice``, for another text."""
    try:
        row = cursor.execute("SELECT epoch(CAST(? AS INTERVAL))", [grace]).fetchone()
    except duckdb.ConversionException as error:
        raise EpochRepositoryError(f"the grace period {grace!r} is not an interval", advice) from error
    assert row
    if row[0] < 0:
        raise EpochRepositoryError(f"the grace period {grace!r} is negative", advice)
    return timedelta(seconds=row[0])
