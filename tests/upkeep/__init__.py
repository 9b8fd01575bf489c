"""Collecting, checking and compacting."""
