"""What the DuckDB that runs has, and older ones have not."""

from __future__ import annotations

import duckdb

_MAJOR = int(duckdb.__version__.split(".")[0])

NESTED_SCHEMAS = _MAJOR >= 2
"""Schemas within schemas."""
TRIGGERS = _MAJOR >= 2
"""CREATE TRIGGER, and ``duckdb_triggers()``."""
COMMENTS_BY_ALIAS = _MAJOR >= 2
"""Whether COMMENT ON COLUMN calls the columns of a view as its column list does, not as its query does."""
REPLAYS_EXPRESSIONS = _MAJOR >= 2
"""Whether a write-ahead log can be replayed that alters a table whose columns call functions."""
