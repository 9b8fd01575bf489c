"""What the grammar of references asks a catalog."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from epoch_sql.catalog.history import Commits, Reflog, Refs
from epoch_sql.model.commit import Head
from epoch_sql.model.revisions import BRANCHES, REMOTE_BRANCHES, TAGS

_FOLDERS = {"branch": BRANCHES, "tag": TAGS, "remote": REMOTE_BRANCHES}


@dataclass(frozen=True)
class Lookup:
    """The names and commits that ``model.revisions.resolve`` looks up."""

    current: Callable[[], Head]
    refs: Refs
    commits: Commits
    log: Reflog

    def head(self) -> str | None:
        """The checked-out commit."""
        return self.current().commit_id

    def named(self, names: Collection[str] | None) -> Mapping[str, str]:
        """The commit of each reference that has one of these names (None: of all), by its full name."""
        return {_FOLDERS[kind] + name: commit for kind, name, commit in self.refs.named(names)}

    def commits_with_prefix(self, prefix: str) -> Sequence[str]:
        """The commits whose ids begin with ``prefix``."""
        return self.commits.with_prefix(prefix)

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit."""
        return self.commits.get(commit).parents

    def reflog(self, ref: str) -> Sequence[tuple[datetime, str]]:
        """The moves of a reference. Those of HEAD are the moves of the current branch."""
        if ref == "HEAD":
            kind, name = "branch", self.current().branch or ""
        else:
            kind, folder = next((kind, folder) for kind, folder in _FOLDERS.items() if ref.startswith(folder))
            name = ref.removeprefix(folder)
        moves = self.log.moves_of(kind, name)
        return [(move.moved_at, move.new) for move in reversed(moves) if move.new]
