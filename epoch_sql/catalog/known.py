"""What a process has read of a catalog's immutable rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from epoch_sql.model.commit import Commit, Tree
from epoch_sql.model.schema import Table
from epoch_sql.model.version import DataFile, Level, Version

MOST = 10_000


@dataclass
class Known:
    """Rows whose ids are hashes of their content, by id, so that they are read once.

    To be forgotten when such rows may have gone: after a rollback, and before gc and fsck.
    """

    commits: dict[str, Commit] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    files: dict[str, DataFile] = field(default_factory=dict)
    edges: dict[str, list[Level]] = field(default_factory=dict)
    """The deltas between versions of a table, by the table's identity, when there were ``level_count`` levels."""
    level_count: int = -1

    def forget(self) -> None:
        """Read everything anew."""
        for rows in self._kinds():
            rows.clear()
        self.level_count = -1

    def trim(self) -> None:
        """Keep the memory that this takes within bounds."""
        if any(len(rows) > MOST for rows in self._kinds()):
            self.forget()

    def _kinds(self) -> tuple[dict[str, Any], ...]:
        return (self.commits, self.trees, self.versions, self.levels, self.tables, self.files, self.edges)
