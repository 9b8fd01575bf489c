"""Epoch: Git-like versioning for the tables of a DuckDB database, as SQL.

``connect(path)`` opens a database with the functions installed, ``install(con)`` puts them on an open connection. What
fails raises duckdb.Error with a text that starts with the kind of failure; within ``raising(con)`` it raises that kind,
a subclass of ``EpochError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from epoch_sql.extension.install import connect, install, raising

__all__ = ["EpochError", "connect", "install", "raising"]


def __getattr__(name: str) -> Any:
    """Import DuckDB only when it is needed: ``epoch --version`` is faster without."""
    if name in ("connect", "install", "raising"):
        from epoch_sql.extension import install as module

        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
