"""Queries, and views, as of a reference."""
