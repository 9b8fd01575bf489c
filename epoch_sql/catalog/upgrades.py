"""The versions of the catalog. A numbered script in ``sql/catalog`` makes each from the one before."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.catalog.relation import run

UPGRADES = ("catalog/upgrade_1",)
CATALOG_VERSION = len(UPGRADES)
Written = tuple[str | None, int | None]
"""The repository, and the number of times that rows of its catalog were replaced or removed."""


def upgrade(cursor: duckdb.DuckDBPyConnection, found: int) -> None:
    """Upgrade a catalog from the version ``found`` (0: no catalog) to this one, within the caller's transaction."""
    for number, script in enumerate(UPGRADES[found:], found + 1):
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
    """

    version: int | None
    collation: str
    written: Written | None = None


def found_catalog(cursor: duckdb.DuckDBPyConnection) -> FoundCatalog:
    """Reads, with one query, what has to be known before a catalog is used."""
    collation = "current_setting('default_collation')"
    try:
        found = run(cursor, f"SELECT catalog_version, {collation}, repository_id, rewrites FROM {{{{epoch}}}}.state")
    except duckdb.CatalogException:
        found = run(cursor, f"SELECT NULL, {collation}, NULL, NULL")
    row = found.fetchone()
    assert row
    return FoundCatalog(row[0], row[1], (row[2], row[3]))
