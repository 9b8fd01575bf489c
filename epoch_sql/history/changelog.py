"""The changelog of a branch: its first-parent line, with the rows that each commit changed in each table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from epoch_sql.call import Call, is_trusted
from epoch_sql.model.commit import RowCounts, Tree
from epoch_sql.storage.shape import shape_of
from epoch_sql.verb import procedure
from epoch_sql.versions.folding import count_changes
from epoch_sql.versions.sides import by_value, crossing

Edges = dict[tuple[str, str], RowCounts]


@dataclass(frozen=True)
class TableRows:
    """A table, and how many rows changed in it."""

    table: str
    rows: RowCounts


@dataclass(frozen=True)
class ChangelogEntry:
    """A commit of a branch's own line, what was merged, the tags on it, and the rows that it changed."""

    commit: str
    committed_at: datetime
    author: str
    source: str | None
    tag: str | None
    message: str
    tables: list[TableRows]
    rows: RowCounts


@procedure("epoch_changelog", acts=False)
def changelog(call: Call, branch: str, *, since: str | None = None) -> list[ChangelogEntry]:
    """The changelog of a branch, newest first: each commit on its first-parent line (promotions, hotfixes, reverts,
    rollbacks), with what was merged and the rows that changed in each table.

    The row counts come from the catalog, and from reading deltas if one commit has several. A column that was stored on
    one side and computed on the other counts if its value differs.

    Args:
        branch: a branch; also a tag or a commit
        since: only what came after this reference
    """
    tip, past = call.resolve(branch), call.resolve(since) if since is not None else None
    graph = call.graph()
    known = graph.ancestors(past) if past else set()
    line = list(takewhile(lambda commit_id: commit_id not in known, graph.first_parents(tip)))
    parents = [graph.parents(commit_id)[0] for commit_id in line if graph.parents(commit_id)]
    commits = call.commits.load([*line, *parents])
    tags: dict[str, list[str]] = {}
    for name, ref in call.refs.all("tag").items():
        tags.setdefault(ref.commit_id, []).append(name)
    counter = _Counter(call)
    found = []
    for commit_id in line:
        commit = commits[commit_id]
        before = call.trees.load(commits[commit.parents[0]].root_id) if commit.parents else Tree()
        tables = list(counter.tables(before, call.trees.load(commit.root_id)))
        made = (commit_id, commit.committed_at, commit.author, commit.origin.named)
        tag = ", ".join(tags[commit_id]) if commit_id in tags else None
        rows = sum((table.rows for table in tables), RowCounts())
        found.append(ChangelogEntry(*made, tag, commit.message, tables, rows))
    return found


class _Counter:
    """Counts the rows that differ between the versions of a table, each pair once."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.contents = call.contents
        self._edges: dict[str, Edges] = {}
        self._counts: dict[tuple[str, str], RowCounts] = {}

    def tables(self, before: Tree, after: Tree) -> Iterator[TableRows]:
        """The tables that differ in two trees, by name."""
        ids = [i for i in before.tables.keys() | after.tables.keys() if before.tables.get(i) != after.tables.get(i)]
        entries = {i: (before.tables.get(i), after.tables.get(i)) for i in ids}
        self.contents.load(entry.version_id for pair in entries.values() for entry in pair if entry)
        found = []
        for old, new in entries.values():
            entry = new or old
            assert entry
            versions = (old.version_id if old else None, new.version_id if new else None)
            found.append(TableRows(str(entry.name), self.between(*versions)))
        yield from sorted(found, key=lambda table: table.table)

    def between(self, old: str | None, new: str | None) -> RowCounts:
        """The rows that differ between two versions of a table. None means that the table does not exist."""
        if old is None or new is None:
            count = self.contents.version(old or new or "").row_count
            return RowCounts(added=count) if new else RowCounts(removed=count)
        if (old, new) not in self._counts:
            self._counts[old, new] = RowCounts() if old == new else self._counted(old, new)
        return self._counts[old, new]

    def _counted(self, old: str, new: str) -> RowCounts:
        before, after = self.contents.table(old), self.contents.table(new)
        if crossing(before, after) and is_trusted(self.call, before, after):
            changes, shape = by_value(before, self.contents.state(old), after, self.contents.state(new))
            return count_changes(self.call.cursor, changes, shape.keyless)
        edges = self._edges_of(self.contents.version(new).table_id)
        if (old, new) in edges:
            return edges[old, new]
        if (new, old) in edges:
            back = edges[new, old]
            return RowCounts(added=back.removed, modified=back.modified, removed=back.added)
        shape = shape_of(before, after)
        return count_changes(self.call.cursor, self.contents.changes(old, new), shape.keyless)

    def _edges_of(self, table_id: str) -> Edges:
        if table_id not in self._edges:
            self._edges[table_id] = {
                (level.from_version, level.to_version): level.rows
                for level in self.contents.edges(table_id)
                if level.from_version and level.to_version
            }
        return self._edges[table_id]
