"""Patches: SQL that turns one state into another, in any DuckDB database that holds the first."""
