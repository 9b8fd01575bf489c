"""Merging: scenarios as data, verbs, resolution, graphs, and algebra."""
