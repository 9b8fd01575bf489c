"""Proves with DuckDB what SQL text of somebody else is and does, before any of it runs."""
