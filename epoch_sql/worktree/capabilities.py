"""What the installed DuckDB has and older ones lack."""

from __future__ import annotations

import duckdb

_MAJOR = int(duckdb.__version__.split(".")[0])

NESTED_SCHEMAS = _MAJOR >= 2
"""Schemas within schemas."""
TRIGGERS = _MAJOR >= 2
"""CREATE TRIGGER, and ``duckdb_triggers()``."""
COMMENTS_BY_ALIAS = _MAJOR >= 2
"""Whether COMMENT ON COLUMN uses the names of a view's column list, and not those of its query."""
REPLAYS_EXPRESSIONS = _MAJOR >= 2
"""Whether DuckDB can replay a write-ahead log that alters a table whose columns call functions."""
