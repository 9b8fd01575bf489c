"""The versions of the catalog: each is made from the one before by a numbered script in ``sql/catalog``."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import run

UPGRADES = ("catalog/upgrade_1",)
CATALOG_VERSION = len(UPGRADES)
Written = tuple[str | None, int | None]
"""The repository, and how often rows of its catalog were replaced or removed."""


def upgrade(cursor: duckdb.DuckDBPyConnection, found: int) -> None:
    """Bring a catalog from the version found (0: there is none) to this one, within the caller's transaction."""
    for number, script in enumerate(UPGRADES[found:], found + 1):
        for statement in cursor.extract_statements(render.render(script)):
            cursor.execute(statement)
        run(cursor, "UPDATE {{epoch}}.state SET catalog_version = ?", [number])


def catalog_version(cursor: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the catalog of the database that SQL is rendered for; None if it has none."""
    return found_catalog(cursor).version


@dataclass(frozen=True)
class FoundCatalog:
    """A catalog as it is found: its version (None: there is none), and the default collation of strings.

    ``written`` is another one whenever rows that are remembered by their ids may have been replaced or removed.
    """

    version: int | None
    collation: str
    written: Written | None = None


def found_catalog(cursor: duckdb.DuckDBPyConnection) -> FoundCatalog:
    """What is to be known before a catalog is used, by one query."""
    collation = "current_setting('default_collation')"
    try:
        found = run(cursor, f"SELECT catalog_version, {collation}, repository_id, rewrites FROM {{{{epoch}}}}.state")
    except duckdb.CatalogException:
        found = run(cursor, f"SELECT NULL, {collation}, NULL, NULL")
    row = found.fetchone()
    assert row
    return FoundCatalog(row[0], row[1], (row[2], row[3]))
