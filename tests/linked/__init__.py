"""Worktrees: databases that share objects and history."""
