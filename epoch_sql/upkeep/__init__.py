"""Upkeep: removes unreferenced data, checks stored data, and rewrites tables that are slow to read."""
