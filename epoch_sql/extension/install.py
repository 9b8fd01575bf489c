"""``install`` and ``connect``: putting the SQL surface on a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import duckdb

from epoch_sql import config, render
from epoch_sql.call import Call, Memory, open_database
from epoch_sql.catalog.relation import CATALOG_VERSION, catalog_version, upgrade
from epoch_sql.errors import EpochError, EpochRepositoryError
from epoch_sql.extension.failing import Watch
from epoch_sql.extension.index import ACTING, MACROS, MADE_IN, OWN_MACROS
from epoch_sql.extension.registration import (
    REGISTERED,
    Function,
    functions_of,
    macros_digest,
    register_first,
    register_functions,
)
from epoch_sql.extension.session import Session
from epoch_sql.progress import Progress

_sessions: dict[str, Session] = {}
_functions: dict[Session, tuple[Function, ...]] = {}
_installed: WeakKeyDictionary[duckdb.DuckDBPyConnection, Session] = WeakKeyDictionary()
_numbers = count()
_lock = Lock()


def connect(
    database: str | Path,
    read_only: bool = False,
    *,
    ref: str | None = None,
    storage_version: str | None = None,
    author: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection to a database file with Epoch's functions installed; see ``install``.

    ``options`` go to ``duckdb.connect``. Raises what that raises, for example duckdb.IOException for a file that
    another process has locked. ``storage_version`` (``v1.0.0``) is the oldest DuckDB that reads a file that this
    creates.

    With ``ref``, it is a read-only connection to the state of that reference alone, which holds no lock on the
    database. It has the tables, views, macros and types under their own names, and ``epoch_at`` in plain SQL. Warns,
    with ``EpochWarning``, of what it leaves out.
    """
    if ref is not None:
        return _connect_at(Path(database), ref, options)
    create(Path(database), storage_version)
    connection = duckdb.connect(str(database), read_only=read_only, **options)
    try:
        session = installed(connection, {"read_only": read_only, **options})
    except BaseException:
        connection.close()
        raise
    session.author = author or session.author
    session.progress = progress or session.progress
    return connection


def create(database: Path, storage_version: str | None) -> None:
    """Create a database of a storage version, unless none is asked for or there is one already."""
    if storage_version is not None and not database.exists():
        from epoch_sql.publish.writing import create_database

        create_database(database, storage_version)


def connected_at(session: Session, ref: str, options: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the state of a reference alone."""
    from epoch_sql.publish.connecting import connect_to

    with session.cursor() as cursor:
        return connect_to(session.call(cursor), ref, options)


def _connect_at(database: Path, ref: str, options: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    try:
        connection = connect(database, read_only=True)
    except duckdb.ConnectionException:
        # This process has it open to write.
        session = _session_at(database)
        if session is None:
            raise
        return connected_at(session, ref, options)
    with connection:
        return connected_at(_installed[connection], ref, options)


def _session_at(database: Path) -> Session | None:
    """The session of a database that this process has had open."""
    return next((s for path, s in _sessions.items() if Path(path).resolve() == database.resolve()), None)


def install(connection: duckdb.DuckDBPyConnection, *, author: str | None = None) -> duckdb.DuckDBPyConnection:
    """Install Epoch's functions on a connection, and so for every connection of its database in this process.

    ``author`` (``Name <mail>``) is who acts through them, unless a call says otherwise; by default, EPOCH_AUTHOR or the
    configuration tells. The macros over the functions are kept in the database; they are made when it has none, or
    those of another version, unless it is read-only. Returns the connection.
    """
    session = installed(connection, None)
    session.author = author or session.author
    return connection


@contextmanager
def raising(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within it, what Epoch refuses on a connection that it is installed on, or on its cursors, is raised as the
    ``EpochError`` that it is, with its facts as attributes, and not as the ``duckdb.Error`` with its text.
    """
    with watched(connection) as watch, watch.raising():
        yield


def watched(connection: duckdb.DuckDBPyConnection) -> AbstractContextManager[Watch]:
    """The errors that Epoch's functions raise meanwhile in the database of a connection that it is installed on."""
    return _installed[connection].failures.watched()


def installed(
    connection: duckdb.DuckDBPyConnection, options: Mapping[str, Any] | None, follows: bool = True
) -> Session:
    """The session of a connection's database, made ready; ``options`` of ``duckdb.connect``, None if not known.

    A database that ``follows`` takes in what other worktrees did.
    """
    with connection.cursor() as cursor:
        with _lock:
            opened = open_database(cursor)
            key = opened.path or f":memory:{next(_numbers)}"
            is_new = register_first(cursor, key)
            if not is_new:
                key = str(_answer(cursor, REGISTERED))
            session = _session_of(cursor, key, opened.path, is_new)
            if is_new:
                _add_worker(cursor)
        if opened.path:
            session.memory.opened = opened
        session.add(connection, {"read_only": opened.read_only} if options is None else options)
        _installed[connection] = session
        if not opened.read_only:
            if _answer(cursor, MACROS) != macros_digest():
                _create_macros(cursor, session)
            _upgrade(cursor, opened.name)
        if session.mark is None:
            session.mark = _answer(cursor, MADE_IN)
        if not opened.read_only and is_new and follows and opened.path:
            _follow(session, Path(opened.path))
    return session


def _follow(session: Session, database: Path) -> None:
    """Take in what other worktrees did, and tell them what a process did that was killed before it could.

    If that is refused, each call that acts says so.
    """
    with suppress(EpochError):
        folder = config.repository_folder(database)
        if (folder / "exchange").is_dir() or config.link_of(folder):
            from epoch_sql.linked.syncing import bring_in, gave_out

            with session.turn, session.cursor() as cursor:
                call = session.call(cursor)
                bring_in(call)
                gave_out(call)


@contextmanager
def _beside(database: Path) -> Iterator[Call]:
    """The repository of another database, opened for a call, which alone works on it meanwhile."""
    session = _session_at(database)
    if session and session.is_open():
        raise EpochRepositoryError(
            f"{database} is open in this program", "close it first, then retry", database=str(database)
        )
    with duckdb.connect(str(database)) as connection:
        session = installed(connection, {}, follows=False)
        with session.cursor() as cursor:
            yield session.call(cursor)


def has_repository(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the database of a connection has a repository, whatever its version."""
    with connection.cursor() as cursor, render.for_database(open_database(cursor).name):
        return catalog_version(cursor) is not None


def _answer(cursor: duckdb.DuckDBPyConnection, function: str) -> object:
    """What a function without parameters returns; None if there is none: DuckDB takes long to list its functions."""
    try:
        row = cursor.execute(render.fill("SELECT {{function}}()", function=render.identifier(function))).fetchone()
    except duckdb.CatalogException:
        return None
    assert row
    return row[0]


def _session_of(cursor: duckdb.DuckDBPyConnection, key: str, path: str | None, is_new: bool) -> Session:
    """The session of a database, with its functions registered; ``is_new`` says that its instance has none yet.

    A database instance does not keep the Python functions alive that are registered with it, the connection does; since
    others may outlive that connection, the functions are kept here, for each database that the process has opened.
    """
    session = _sessions.setdefault(key, Session(_new_memory(), path))
    if is_new:
        # The database was opened again: another process may have written meanwhile.
        session.memory, session.author, session.progress, session.mark = _new_memory(), None, Progress(), None
        functions = _functions.setdefault(session, functions_of(session))
        register_functions(cursor, functions)
    return session


def _new_memory() -> Memory:
    return Memory(OWN_MACROS, ACTING, beside=_beside)


def _add_worker(cursor: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB have a worker for each of its threads, besides the thread that calls it.

    A procedure runs on any of them, as it comes. Where that is a worker it waits for queries of its own, which without
    this would have one thread less: of two threads, one. What the user has set stays.
    """
    settings = ("threads", "external_threads", "lock_configuration")
    row = cursor.execute("SELECT current_setting(?), current_setting(?), current_setting(?)", settings).fetchone()
    assert row
    threads, external, locked = row
    if threads > 1 and external == 1 and not locked:
        cursor.execute("SET external_threads = 0")


def _create_macros(cursor: duckdb.DuckDBPyConnection, session: Session) -> None:
    from epoch_sql.extension.macros import macro_statements

    session.creating_macros = True
    cursor.execute("BEGIN TRANSACTION")
    try:
        session.mark = uuid4().hex
        for statement in macro_statements(session.mark):
            cursor.execute(statement)
    finally:
        session.creating_macros = False
    made = "CREATE OR REPLACE MACRO {{name}}() AS {{text}}"
    for name, text in ((MACROS, macros_digest()), (MADE_IN, session.mark)):
        cursor.execute(render.fill(made, name=render.identifier(name), text=render.literal(text)))
    cursor.execute("COMMIT")


def _upgrade(cursor: duckdb.DuckDBPyConnection, database: str) -> None:
    """Bring the catalog of a repository that an older Epoch made up to date."""
    with render.for_database(database):
        found = catalog_version(cursor)
        if found is not None and found < CATALOG_VERSION:
            cursor.execute("BEGIN TRANSACTION")
            upgrade(cursor, found)
            cursor.execute("COMMIT")
