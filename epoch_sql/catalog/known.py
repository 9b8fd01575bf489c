"""A cache of the catalog's immutable rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from epoch_sql.model.commit import Commit, Tree
from epoch_sql.model.schema import Table
from epoch_sql.model.version import DataFile, Level, Version

MOST = 10_000
Mark = Mapping[str, tuple[dict[Any, Any], int]]
"""The dictionary of each kind of rows, and its length at that moment. The rows up to there are older."""


@dataclass
class Known:
    """Rows whose ids are hashes of their content, by id. A process reads each of them once.

    It has to be cleared when such rows may have been removed or replaced (see ``Memory.written``). After a rollback,
    rows that were added since the transaction began have to be dropped. Another thread may do so at any time. So code
    that uses a dictionary more than once holds on to it, and clearing replaces the dictionary instead of emptying it.
    """

    commits: dict[str, Commit] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    files: dict[str, DataFile] = field(default_factory=dict)
    edges: dict[tuple[int, str], list[Level]] = field(default_factory=dict)
    """The deltas between versions of a table, by the number of levels at that time and the table's identity."""

    def forget(self) -> None:
        """Clear everything, so that it is read again."""
        for kind in fields(self):
            setattr(self, kind.name, {})

    def mark(self) -> Mark:
        """The present state of the cache, for ``back_to``."""
        return {kind.name: (rows := getattr(self, kind.name), len(rows)) for kind in fields(self)}

    def back_to(self, mark: Mark) -> None:
        """Drop rows that were added since the mark. If a kind was cleared meanwhile, drop all of its rows."""
        for kind, (rows, count) in mark.items():
            kept = list(rows.items())[:count] if getattr(self, kind) is rows else []
            setattr(self, kind, dict(kept))

    def trim(self) -> None:
        """Keep the memory of the cache within bounds."""
        kinds = (self.commits, self.trees, self.versions, self.levels, self.tables, self.files)
        if any(len(rows) > MOST for rows in kinds) or sum(map(len, list(self.edges.values()))) > MOST:
            self.forget()
