"""Remotes: ``push``, ``fetch``, ``pull`` and ``clone``, and what they have in common."""
