"""The catalog tables of linked worktrees: the other databases with the same history, and their branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from epoch_sql.catalog.relation import Relation


@dataclass(frozen=True)
class Worktree:
    """Another worktree: its database, and whether its definitions may do whatever their SQL does."""

    worktree_id: str
    path: str
    trusted: bool = False


class Worktrees(Relation):
    """``epoch.worktrees``: the other databases that share objects and history with this one."""

    name = "worktrees"
    columns = {"worktree_id": "VARCHAR", "path": "VARCHAR", "trusted": "BOOLEAN"}

    def load(self) -> dict[str, Worktree]:
        """The worktrees by id."""
        return {row[0]: Worktree(*row) for row in self.select("ORDER BY path")}

    def at(self, path: str) -> Worktree | None:
        """The worktree whose database is there."""
        return next((found for found in self.load().values() if found.path == path), None)

    def put(self, worktree: Worktree) -> None:
        """Add or change a worktree."""
        self.remove(worktree.worktree_id)
        self.insert([tuple(vars(worktree).values())])

    def remove(self, worktree_id: str) -> None:
        """Forget a worktree."""
        self.run("DELETE FROM {{epoch}}.worktrees WHERE worktree_id = ?", [worktree_id])


@dataclass(frozen=True)
class Owner:
    """The worktree that a branch belongs to: its database, and whether the branch is checked out there."""

    worktree_id: str
    path: str
    checked_out: bool


class Elsewhere(Relation):
    """``epoch.elsewhere``: the branches that belong to another worktree. Only there can they move."""

    name = "elsewhere"
    columns = {"branch": "VARCHAR", "worktree_id": "VARCHAR", "checked_out": "BOOLEAN"}

    def load(self) -> dict[str, str]:
        """The worktree of each branch."""
        return {branch: worktree_id for branch, worktree_id, _ in self.select("ORDER BY branch")}

    def checked_out(self) -> dict[str, str]:
        """The branch that is checked out in each worktree with one."""
        return {worktree_id: branch for branch, worktree_id, checked_out in self.select() if checked_out}

    def owner(self, branch: str) -> Owner | None:
        """The worktree that a branch belongs to. None: this one."""
        rows = self.select("WHERE branch = ?", [branch])
        if not rows:
            return None
        [(_, worktree_id, checked_out)] = rows
        found = Worktrees(self.cursor).load().get(worktree_id)
        return Owner(worktree_id, found.path if found else worktree_id, checked_out)

    def replace(self, worktree_id: str, branches: Mapping[str, bool]) -> None:
        """Make these the branches of a worktree, each with whether it is checked out there."""
        self.run("DELETE FROM {{epoch}}.elsewhere WHERE worktree_id = ?", [worktree_id])
        self.insert((branch, worktree_id, checked_out) for branch, checked_out in branches.items())
