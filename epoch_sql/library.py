"""Epoch in Python: ``open``, ``init`` and ``clone`` give a ``Repository``, whose methods are the verbs.

A verb works as its function in SQL does: in a transaction of its own, on what is committed in the database, and
refused while the repository's connection has uncommitted changes open. It raises an ``EpochError`` with its facts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochRepositoryError, EpochWarning, RepositoryNotFound
from epoch_sql.extension.caller import look_query
from epoch_sql.extension.failing import as_epoch_error
from epoch_sql.extension.install import connected_at, create, has_repository, installed
from epoch_sql.extension.performing import perform
from epoch_sql.extension.session import Session
from epoch_sql.extension.surface import Verbs
from epoch_sql.files import importing
from epoch_sql.history.tables import TableInfo
from epoch_sql.progress import Progress
from epoch_sql.verb import P, Procedure, Query, R, Reading, Relation, Verb, record_of

if TYPE_CHECKING:
    import pyarrow


class Repository(Verbs):
    """A DuckDB database and its history.

    ``connection`` is the DuckDB connection that it works with; it is yours, too. Use the repository in a ``with``
    statement, or ``close`` it.
    """

    import_arrow = importing.import_arrow

    def __init__(self, connection: duckdb.DuckDBPyConnection, session: Session, author: str | None) -> None:
        self.connection = connection
        self._session = session
        self._author = author
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, and so the database, unless others are open."""
        self._closed = True
        self.connection.close()

    @overload
    def at(self, ref: str) -> State: ...
    @overload
    def at(self, ref: str, table: str) -> duckdb.DuckDBPyRelation: ...
    def at(self, ref: str, table: str | None = None) -> State | duckdb.DuckDBPyRelation:
        """A table or a view as of a reference, as a relation; without a table, the whole state.

        Args:
            ref: a reference, or WORKING
            table: `orders` or `schema.orders`
        """
        return State(self, ref) if table is None else self._at(ref, table)

    def arrow(self, ref: str, table: str, *, rows_per_batch: int = 100_000) -> pyarrow.RecordBatchReader:
        """A table or a view as of a reference, as Arrow record batches, which DuckDB computes as they are read.

        It has the columns of the table; their Arrow types are those that DuckDB gives
        (`SET arrow_lossless_conversion = true` keeps HUGEINT and others exact). Raises TableNotFound and
        EpochReferenceError as `at` does.

        Args:
            ref: a reference, or WORKING
            table: `orders` or `schema.orders`
            rows_per_batch: the most rows of a batch
        """
        try:
            # On a cursor of its own: a connection takes no other statement while it has rows to give.
            cursor = self.connection.cursor()
            rows = self._relation(type(self)._at, {"ref": ref, "table": table}, cursor)
            # DuckDB 1.x has the older name only.
            read = getattr(rows, "to_arrow_reader", None) or rows.fetch_record_batch
            return read(rows_per_batch)
        except duckdb.Error as error:
            raise as_epoch_error(error) from error

    def connected(self, ref: str, options: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        """A read-only connection to the state of a reference alone; see ``State.connect``."""
        try:
            return connected_at(self._session, ref, options)
        except (duckdb.Error, OSError) as error:
            raise as_epoch_error(error) from error

    def perform(self, verb: Verb[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a verb. Its methods call this."""
        try:
            result: R = self._result(verb, verb.signature.bind(*args, **kwargs).arguments)
        except (duckdb.Error, OSError) as error:
            raise as_epoch_error(error) from error
        return result

    def _result(self, verb: Verb[..., Any], given: Mapping[str, Any]) -> Any:
        if self._closed:
            raise EpochRepositoryError("the repository is closed", "open it again")
        if isinstance(verb, Relation):
            return self._relation(verb, given, self.connection)
        with self._session.cursor() as cursor:
            if isinstance(verb, Procedure):
                seen = self._seen(cursor, verb) if verb.looks else None
                return perform(self._session, cursor, verb, seen, given, self._author)
            call = self._session.call(cursor, self._author)
            if isinstance(verb, Query):
                rows = cursor.execute(verb(call, **given)).fetchall()
                return [record_of(verb.record, row) for row in rows if verb.record]
            assert isinstance(verb, Reading)
            return verb(call, **given)

    def _seen(self, cursor: duckdb.DuckDBPyConnection, verb: Procedure[..., Any]) -> list[dict[str, Any]]:
        """The working tables as the repository's connection sees them, within its transaction."""
        seen = self.connection.sql(look_query(self._session, cursor, verb, query_id=0))
        return [dict(zip(seen.columns, row, strict=True)) for row in seen.fetchall()]

    def _relation(
        self, verb: Relation[..., Any], given: Mapping[str, Any], connection: duckdb.DuckDBPyConnection
    ) -> duckdb.DuckDBPyRelation:
        """The rows of the function in SQL, which bind again whenever they are read."""
        arguments = [
            render.fill(
                "{{value}}" if parameter.default is None else "{{name}} := {{value}}",
                name=render.identifier(parameter.name),
                value=render.literal(given[parameter.python]),
            )
            for parameter in verb.parameters
            if parameter.python in given
        ]
        opened = self._session.memory.opened
        assert opened
        where = render.joined([render.identifier(n) for n in (opened.name, "main", verb.name)], ".")
        with self._session.failures.watched() as watch, watch.raising():
            return connection.sql(render.fill("FROM {{f}}({{arguments}})", f=where, arguments=arguments))


class State:
    """A state of the database: that of a commit, or ``WORKING``. It is read as the relations of it are."""

    def __init__(self, repository: Repository, ref: str) -> None:
        self.ref = ref
        self._repository = repository

    def __getitem__(self, table: str) -> duckdb.DuckDBPyRelation:
        return self.table(table)

    def table(self, name: str) -> duckdb.DuckDBPyRelation:
        """A table or a view."""
        return self._repository.at(self.ref, name)

    def query(self, sql: str) -> duckdb.DuckDBPyRelation:
        """The result of a query."""
        return self._repository.query(self.ref, sql)

    def connect(self, **options: Any) -> duckdb.DuckDBPyConnection:
        """A read-only connection to the state alone, which holds no lock on the database.

        It has the tables, views, macros and types under their own names, and `epoch_at` in plain SQL. Warns, with
        ``EpochWarning``, of what it leaves out. ``options`` are for `duckdb.connect`.
        """
        return self._repository.connected(self.ref, options)

    def tables(self) -> list[TableInfo]:
        """The tables and views."""
        return self._repository.tables(self.ref)


def open(
    database: str | Path,
    *,
    read_only: bool = False,
    author: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Repository:
    """The repository of a database file.

    Raises RepositoryNotFound where there is no file, and where the file has no repository: see ``init`` and ``clone``.
    Nothing is written then.

    Args:
        database: the file
        read_only: open the database to read; what changes it is refused
        author: the author, `Name <mail>`; default: EPOCH_AUTHOR, the configuration, the OS user
        progress: told how far transfers are
        options: for `duckdb.connect`
    """
    path = Path(database)
    if not path.is_file():
        raise RepositoryNotFound(f"there is no database {path}", f"epoch_sql.init({str(path)!r})", database=str(path))
    return _opened(path, {"read_only": read_only, **options}, author, progress)


def init(
    database: str | Path,
    *,
    branch: str = "main",
    author: str | None = None,
    storage_version: str | None = None,
    **options: Any,
) -> Repository:
    """Make a repository of a database, with a first commit of what it holds, and open it; the file may be new.

    Raises EpochRepositoryError where there is one already. What cannot be versioned is an ``EpochWarning``.

    Args:
        database: the file
        branch: the first branch
        author: the author, now and later; see `open`
        storage_version: the oldest DuckDB that reads a new file: `v1.0.0`; default: that of the installed DuckDB
        options: for `duckdb.connect`
    """
    path = Path(database)
    return _made(path, options, author, None, storage_version, lambda repository: repository._init(branch).warnings)


def clone(
    url: str,
    database: str | Path,
    *,
    remote: str = "origin",
    trust: bool = False,
    bare: bool = False,
    author: str | None = None,
    progress: Progress | None = None,
    storage_version: str | None = None,
    **options: Any,
) -> Repository:
    """Create a new database from a remote, check out its default branch, and open it.

    Raises EpochRepositoryError if the database is not empty, and EpochRemoteError if the remote cannot be used. Warns,
    with ``EpochWarning``, of what it leaves out.

    Args:
        url: a folder, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`; no credentials
        database: the file
        remote: the local name of the remote
        trust: trust its definitions, even those that read files or reach outside the database
        bare: make no working tables, fetch no files, and read rows where they lie, at the remote
        author: the author, now and later; see `open`
        progress: told how far it is
        storage_version: as for `init`
        options: for `duckdb.connect`
    """

    def cloned(repository: Repository) -> list[str]:
        return repository._clone(url, remote, trust=trust, bare=bare).warnings

    return _made(Path(database), options, author, progress, storage_version, cloned)


def _opened(
    path: Path, options: Mapping[str, Any], author: str | None, progress: Progress | None, new: bool = False
) -> Repository:
    """A repository, which must be there unless it is ``new``; the macros are made only where one is, or will be."""
    try:
        connection = duckdb.connect(str(path), **options)
    except (duckdb.Error, OSError) as error:
        raise as_epoch_error(error) from error
    try:
        if not new and not has_repository(connection):
            message, advice = f"{path} has no Epoch repository", f"epoch_sql.init({str(path)!r})"
            raise RepositoryNotFound(message, advice, database=str(path))
        session = installed(connection, options)
        session.progress = progress or session.progress
        return Repository(connection, session, author)
    except BaseException as error:
        connection.close()
        if isinstance(error, duckdb.Error | OSError):
            raise as_epoch_error(error) from error
        raise


def _made(
    path: Path,
    options: Mapping[str, Any],
    author: str | None,
    progress: Progress | None,
    storage_version: str | None,
    make: Callable[[Repository], list[str]],
) -> Repository:
    """A repository that ``make`` makes, which returns warnings; a new file goes again where it fails."""
    existed = path.exists()
    try:
        create(path, storage_version)
        repository = _opened(path, options, author, progress, new=True)
        try:
            found = make(repository)
        except BaseException:
            repository.close()
            raise
    except BaseException:
        if not existed:
            path.unlink(missing_ok=True)
        raise
    for text in found:
        warnings.warn(text, EpochWarning, stacklevel=3)
    return repository
