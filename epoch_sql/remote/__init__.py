"""Remotes: ``push``, ``fetch``, ``pull`` and ``clone``, and their common parts."""
