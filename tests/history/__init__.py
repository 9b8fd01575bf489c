"""Versions of rows, and the changelog."""
