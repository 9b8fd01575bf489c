"""What a process has read of a catalog's immutable rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from epoch_sql.model.commit import Commit, Tree
from epoch_sql.model.schema import Table
from epoch_sql.model.version import DataFile, Level, Version

MOST = 10_000
Mark = Mapping[str, tuple[dict[Any, Any], int]]
"""The dictionary of each kind of rows, and how many it had: those come first."""


@dataclass
class Known:
    """Rows whose ids are hashes of their content, by id, so that they are read once.

    To be forgotten when such rows may have gone or have been replaced (see ``Memory.written``), and after a rollback
    those that came since its transaction began. Another thread may do so at any time, so who uses a dictionary more
    than once holds it, and what is forgotten is replaced, not emptied.
    """

    commits: dict[str, Commit] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    files: dict[str, DataFile] = field(default_factory=dict)
    edges: dict[tuple[int, str], list[Level]] = field(default_factory=dict)
    """The deltas between versions of a table, by the number of levels that there were, and the table's identity."""

    def forget(self) -> None:
        """Read everything anew."""
        for kind in fields(self):
            setattr(self, kind.name, {})

    def mark(self) -> Mark:
        """What is known now, for ``back_to``."""
        return {kind.name: (rows := getattr(self, kind.name), len(rows)) for kind in fields(self)}

    def back_to(self, mark: Mark) -> None:
        """Forget what came since the mark, and everything of a kind that was forgotten meanwhile."""
        for kind, (rows, count) in mark.items():
            kept = list(rows.items())[:count] if getattr(self, kind) is rows else []
            setattr(self, kind, dict(kept))

    def trim(self) -> None:
        """Keep the memory that this takes within bounds."""
        kinds = (self.commits, self.trees, self.versions, self.levels, self.tables, self.files)
        if any(len(rows) > MOST for rows in kinds) or sum(map(len, list(self.edges.values()))) > MOST:
            self.forget()
