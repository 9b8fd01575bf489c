"""Patches: statements for databases without Epoch."""
