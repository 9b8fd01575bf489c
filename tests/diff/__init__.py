"""Differences of rows and of definitions."""
