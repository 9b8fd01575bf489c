"""The only engine that parses or binds text of somebody else. It reaches nothing outside of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import duckdb

SECONDS = 60.0
"""The time limit of one proof. A text that takes longer was written to."""

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
"""The newest storage version, because a plan that DuckDB serializes for an older one lacks newer types."""


@contextmanager
def shut_in() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in memory, without files, network, extensions and environment variables.

    Interrupts statements that run too long, so they fail.
    """
    with duckdb.connect(":memory:", config=_SETTINGS) as engine:
        timer = Timer(SECONDS, engine.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield engine
        finally:
            timer.cancel()
