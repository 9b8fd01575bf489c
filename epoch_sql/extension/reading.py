"""Reading without the functions of SQL: to register them takes longer than most of what is read.

This is for a program that has the connection to itself, such as a command: it has no open transaction to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from epoch_sql import config, render
from epoch_sql.call import Memory, open_database
from epoch_sql.catalog.relation import CATALOG_VERSION, catalog_version
from epoch_sql.extension.failing import as_epoch_error
from epoch_sql.extension.index import ACTING, OWN_MACROS, verb_named
from epoch_sql.extension.session import Session
from epoch_sql.verb import Query, rows_of


def session_to_read(connection: duckdb.DuckDBPyConnection, options: Mapping[str, Any]) -> Session | None:
    """A session of a database that nobody else in this process works on; ``options`` are those of ``duckdb.connect``.

    None where the database has to be made ready first, by ``install``: its catalog is of an older version, or other
    worktrees may have told what they did.
    """
    with connection.cursor() as cursor:
        opened = open_database(cursor)
        with render.for_database(opened.name):
            version = catalog_version(cursor)
    assert opened.path
    folder = config.repository_folder(Path(opened.path))
    if version not in (None, CATALOG_VERSION) or config.link_of(folder) or (folder / "exchange").is_dir():
        return None
    session = Session(Memory(OWN_MACROS, ACTING, opened), opened.path)
    session.add(connection, options)
    return session


def read(session: Session, name: str, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one of the ``PLAIN`` verbs, as SQL gives them. It is given arguments by their names in SQL.

    Raises EpochError, as the library does.
    """
    verb = verb_named(name)
    given = {parameter.python: named[parameter.name] for parameter in verb.parameters if parameter.name in named}
    try:
        with session.cursor() as cursor:
            found = verb.function(session.call(cursor), **given)
            if not isinstance(verb, Query):
                return rows_of(found)
            rows = cursor.execute(found).fetchall()
            return [dict(zip([column.name for column in verb.columns], row, strict=True)) for row in rows]
    except (duckdb.Error, OSError) as error:
        raise as_epoch_error(error) from error
