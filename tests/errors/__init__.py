"""Errors: their facts, their suggestions, and the way through DuckDB."""
