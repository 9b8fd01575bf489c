"""Linked worktrees: other databases that share objects and history with this one."""
