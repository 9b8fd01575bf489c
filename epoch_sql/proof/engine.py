"""The one engine in which text of somebody else is parsed or bound: it reaches nothing outside of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import duckdb

SECONDS = 60.0
"""How long one proof may take: what takes longer was made to."""

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "python_enable_replacements": False,
    "storage_compatibility_version": "latest",
    "threads": 1,
    "memory_limit": "512MB",
    "lock_configuration": True,
}
"""The newest storage version, because what DuckDB serializes for an older one lacks types of the newer."""


@contextmanager
def shut_in() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in memory, without files, network, extensions, and variables of this process.

    Statements that run for too long are interrupted, and fail.
    """
    with duckdb.connect(":memory:", config=_SETTINGS) as engine:
        timer = Timer(SECONDS, engine.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield engine
        finally:
            timer.cancel()
