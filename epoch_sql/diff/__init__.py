"""Differences of two states, row by row and definition by definition, as relations that DuckDB binds."""
