"""Versions of tables: levels, folds and bases."""
