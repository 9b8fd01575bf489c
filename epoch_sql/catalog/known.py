"""What a process has read of a catalog's immutable rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from epoch_sql.model.commit import Commit, Tree
from epoch_sql.model.schema import Table
from epoch_sql.model.version import Level, Version

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

    def forget(self) -> None:
        """Read everything anew."""
        for kind in fields(self):
            getattr(self, kind.name).clear()

    def trim(self) -> None:
        """Keep the memory that this takes within bounds."""
        if any(len(getattr(self, kind.name)) > MOST for kind in fields(self)):
            self.forget()
