"""Versions of tables: made from working tables, or folded from levels that are there."""
