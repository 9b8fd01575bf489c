"""What the grammar of references asks a catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from epoch_sql.catalog.history import Commits, Reflog, Refs
from epoch_sql.model.commit import Head


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

    def branches(self) -> Mapping[str, str]:
        """The commit of each branch."""
        return self._named("branch")

    def tags(self) -> Mapping[str, str]:
        """The commit of each tag."""
        return self._named("tag")

    def remote_branches(self) -> Mapping[str, str]:
        """The commit of each remote branch."""
        return self._named("remote")

    def commits_with_prefix(self, prefix: str) -> Sequence[str]:
        """The commits whose ids begin with ``prefix``."""
        return self.commits.with_prefix(prefix)

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit."""
        return self.commits.get(commit).parents

    def reflog(self, ref: str) -> Sequence[tuple[datetime, str]]:
        """The moves of a reference. Those of HEAD are the moves of the current branch."""
        kinds = {"heads": "branch", "tags": "tag", "remotes": "remote"}
        if ref == "HEAD":
            kind, name = "branch", self.current().branch or ""
        else:
            _, folder, name = ref.split("/", 2)
            kind = kinds[folder]
        moves = self.log.moves_of(kind, name)
        return [(move.moved_at, move.new) for move in reversed(moves) if move.new]

    def _named(self, kind: str) -> dict[str, str]:
        return {name: ref.commit_id for name, ref in self.refs.all(kind).items()}
