"""Epoch: Git-like versioning for the tables of a DuckDB database, as SQL.

``connect(path)`` opens a database with the functions installed, ``install(con)`` puts them on an open connection. What
fails raises duckdb.Error with a text that starts with the kind of failure; in Python the same failures are subclasses
of ``EpochError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epoch_sql.errors import EpochError

if TYPE_CHECKING:
    from epoch_sql.extension.install import connect, install

__all__ = ["EpochError", "connect", "install"]


def __getattr__(name: str) -> Any:
    """Import DuckDB only when it is needed: ``epoch --version`` is faster without."""
    if name in ("connect", "install"):
        from epoch_sql.extension import install as module

        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
