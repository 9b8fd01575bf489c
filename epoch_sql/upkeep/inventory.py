"""The whole catalog in memory, as it is, for checks that trust nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from epoch_sql.catalog.content import Files, Levels, Roots, Schemas, Trees, Versions, tree_of_rows
from epoch_sql.catalog.history import Commits
from epoch_sql.catalog.relation import Relation
from epoch_sql.model.commit import Commit, DataFile, Tree, Version
from epoch_sql.model.schema import ObjectName


@dataclass(frozen=True)
class StoredLevel:
    """A row of ``epoch.levels``: its files by id, which may not exist."""

    level_id: str
    kind: str
    from_version: str | None
    to_version: str | None
    file_ids: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """The rows of the catalog by their ids; ``subtrees`` hold the rows of ``epoch.trees`` without their id.

    ``commits`` are newest first. ``duplicates`` are (catalog table, id) of rows that exist more than once.
    """

    schemas: Mapping[str, str]
    files: Mapping[str, DataFile]
    levels: Mapping[str, StoredLevel]
    versions: Mapping[str, Version]
    subtrees: Mapping[str, list[tuple[Any, ...]]]
    roots: Mapping[str, tuple[str, ...]]
    commits: Mapping[str, Commit]
    duplicates: tuple[tuple[str, str], ...]
    _uses: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for user, used in self._edges():
            self._uses[used].append(user)

    def commits_needing(self, kind: str, object_id: str) -> list[str]:
        """The commits that cannot be read completely without the object, newest first."""
        found = {used for used_kind, used in self._reaching(kind, object_id) if used_kind == "commit"}
        return [commit_id for commit_id in self.commits if commit_id in found]

    def table_of(self, kind: str, object_id: str) -> str | None:
        """The name of the object's table, if it belongs to one."""
        names = {
            str(ObjectName(row[2], row[3]))
            for used_kind, used in self._reaching(kind, object_id)
            if used_kind == "version"
            for _, subtree in self._uses.get((used_kind, used), ())
            for row in self.subtrees.get(subtree, ())
            if row[4] == used
        }
        return ", ".join(sorted(names)) or None

    def versions_needing(self, objects: Iterable[tuple[str, str]]) -> set[str]:
        """The versions that contain one of the objects (kind, id), or that it leads from or to."""
        reached: set[tuple[str, str]] = set()
        for kind, object_id in objects:
            reached |= self._reaching(kind, object_id)
        return {used for used_kind, used in reached if used_kind == "version"}

    def tree(self, root_id: str) -> Tree:
        """The tree of a root without missing subtrees."""
        rows = sorted((row for i in self.roots[root_id] for row in self.subtrees[i]), key=lambda row: str(row[1]))
        return tree_of_rows(rows)

    def _reaching(self, kind: str, object_id: str) -> set[tuple[str, str]]:
        pending, visited = [(kind, object_id)], {(kind, object_id)}
        while pending:
            for user in self._uses.get(pending.pop(), ()):
                if user not in visited:
                    visited.add(user)
                    pending.append(user)
        return visited

    def _edges(self) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
        """(user, used): each a kind and an id."""
        yield from self._edges_of_tables()
        yield from self._edges_of_history()

    def _edges_of_tables(self) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
        for level in self.levels.values():
            for file_id in level.file_ids:
                yield ("level", level.level_id), ("file", file_id)
            for end in (level.from_version, level.to_version):
                if end:
                    yield ("version", end), ("level", level.level_id)
        for file in self.files.values():
            for schema_id in (file.schema_id, file.old_schema_id):
                yield ("file", file.file_id), ("schema", schema_id or file.schema_id)
        for version in self.versions.values():
            yield ("version", version.version_id), ("schema", version.schema_id)
            for level_id in version.level_ids:
                yield ("version", version.version_id), ("level", level_id)

    def _edges_of_history(self) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
        for subtree_id, rows in self.subtrees.items():
            for row in rows:
                if row[0] == "table":
                    yield ("tree", subtree_id), ("version", row[4])
        for root_id, subtree_ids in self.roots.items():
            for subtree_id in subtree_ids:
                yield ("root", root_id), ("tree", subtree_id)
        for commit in self.commits.values():
            yield ("commit", commit.commit_id), ("root", commit.root_id)


def take(cursor: duckdb.DuckDBPyConnection) -> Inventory:
    """Read the whole catalog except its references."""
    subtrees: dict[str, list[tuple[Any, ...]]] = {}
    for subtree_id, *row in Trees(cursor).select("ORDER BY identity"):
        subtrees.setdefault(subtree_id, []).append(tuple(row))
    sources: tuple[type[Relation], ...] = (Schemas, Files, Levels, Versions, Roots, Commits)
    rows = {source.name: source(cursor).select() for source in sources}
    order = [row[0] for row in sorted(rows["commits"], key=lambda row: -row[1])]
    commits = Commits(cursor).load(order)
    return Inventory(
        schemas=dict(rows["schemas"]),
        files=Files(cursor).load(),
        levels={row[0]: StoredLevel(row[0], row[1], row[2], row[3], tuple(row[7])) for row in rows["levels"]},
        versions={row[0]: Version(*values) for row in rows["versions"] for values in [(*row[:5], tuple(row[5]))]},
        subtrees=subtrees,
        roots={row[0]: tuple(row[1]) for row in rows["roots"]},
        commits={commit_id: commits[commit_id] for commit_id in order},
        duplicates=tuple((name, i) for name, found in rows.items() for i in _repeated(row[0] for row in found)),
    )


def _repeated(ids: Iterable[str]) -> list[str]:
    return [i for i, times in Counter(ids).items() if times > 1]
