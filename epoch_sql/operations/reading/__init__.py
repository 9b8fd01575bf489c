"""Queries: operations that return SQL for DuckDB to bind in the caller's own query."""
