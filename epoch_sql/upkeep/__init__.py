"""Upkeep: removing what nothing refers to, checking what is stored, rewriting what is slow to read."""
