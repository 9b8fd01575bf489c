"""The versions of the catalog: each is made from the one before by a numbered script in ``sql/catalog``."""

from __future__ import annotations

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import run

UPGRADES = ("catalog/upgrade_1",)
CATALOG_VERSION = len(UPGRADES)


def upgrade(cursor: duckdb.DuckDBPyConnection, found: int) -> None:
    """Bring a catalog from the version found (0: there is none) to this one, within the caller's transaction."""
    for number, script in enumerate(UPGRADES[found:], found + 1):
        for statement in cursor.extract_statements(render.render(script)):
            cursor.execute(statement)
        run(cursor, "UPDATE {{epoch}}.state SET catalog_version = ?", [number])


def catalog_version(cursor: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the catalog of the database that SQL is rendered for; None if it has none."""
    return version_and_collation(cursor)[0]


def version_and_collation(cursor: duckdb.DuckDBPyConnection) -> tuple[int | None, str]:
    """``catalog_version``, and the default collation of strings, by the same query."""
    try:
        found = run(cursor, "SELECT catalog_version, current_setting('default_collation') FROM {{epoch}}.state")
    except duckdb.CatalogException:
        found = run(cursor, "SELECT NULL, current_setting('default_collation')")
    row = found.fetchone()
    assert row
    return row[0], row[1]
