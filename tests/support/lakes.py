"""Reads what was exported to Iceberg with pyiceberg, and compares it with the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.table import Table

from tests.conftest import Repo


def catalog(lake: Path) -> Catalog:
    return load_catalog("epoch", type="sql", uri=f"sqlite:///{lake}/catalog.db")


def table(lake: Path, name: str, namespace: str = "main") -> Table:
    return catalog(lake).load_table((*namespace.split("."), name))


def tables(lake: Path) -> list[Table]:
    found = catalog(lake)
    spaces = found.list_namespaces()
    spaces += [inner for outer in spaces for inner in found.list_namespaces(outer)]
    return [found.load_table(name) for namespace in spaces for name in found.list_tables(namespace)]


def names(lake: Path) -> dict[str, list[str]]:
    """The tables of a lake, and the references of each."""
    return {".".join(one.name()): sorted(one.metadata.refs) for one in tables(lake)}


def rows(lake: Path, ref: str, name: str, namespace: str = "main") -> pyarrow.Table:
    found = table(lake, name, namespace)
    return found.scan(snapshot_id=found.metadata.refs[ref].snapshot_id).to_arrow()


def differences(repo: Repo, found: pyarrow.Table, truth: str) -> list[Any]:
    """The rows that only one of them has, as often as they are."""
    with repo.con.cursor() as cursor:
        cursor.register("found", found)
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in found.column_names)
        sides = f"SELECT {names} FROM found", f"SELECT {names} FROM ({truth})"
        queries = [f"({one}) EXCEPT ALL ({other})" for one, other in (sides, sides[::-1])]
        assert cursor.sql(truth).columns == found.column_names
        return [row for query in queries for row in cursor.execute(query).fetchall()]


def same(repo: Repo, lake: Path, ref: str, name: str, namespace: str = "main", truth: str | None = None) -> None:
    """A table has the rows of ``truth`` (default: of its own name) at a reference."""
    path = (truth or (name if namespace == "main" else f"{namespace}.{name}")).replace("'", "''")
    assert differences(repo, rows(lake, ref, name, namespace), f"FROM epoch_at('{ref}', '{path}')") == [], (ref, path)


def files(lake: Path) -> dict[str, int]:
    """Every file of a lake, with its size."""
    return {str(path): path.stat().st_size for path in sorted(lake.rglob("*")) if path.is_file()}
