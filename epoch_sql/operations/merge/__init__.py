"""Merging: of trees, tables, rows and constraints; and merges in progress."""
