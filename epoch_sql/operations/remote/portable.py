"""Local trees in the form of a remote, which names versions by their contents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.catalog.content import Roots, Trees, Versions, subtree_identity
from epoch_sql.catalog.relation import run
from epoch_sql.model.remote import TreeRow, content_of
from epoch_sql.operations.repository import Call

Row = TreeRow
"""A row of ``epoch.trees`` without its id. At a remote it names a content, and locally a version."""

KIND, IDENTITY, VERSION = 0, 1, 4


@dataclass(frozen=True)
class LocalTrees:
    """Trees by their roots: the subtrees of each, the rows of each subtree, and their ids at a remote.

    ``contents`` are the contents of the versions in the rows. ``portable`` are the ids of the subtrees at a remote.
    """

    roots: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, list[Row]]
    contents: Mapping[str, str]
    portable: Mapping[str, str]

    def portable_rows(self, subtree_id: str) -> list[Row]:
        """The rows of a subtree in the form of a remote."""
        return [with_version(row, self.contents.get(row[VERSION])) for row in self.rows[subtree_id]]


def local_trees(call: Call, root_ids: Iterable[str]) -> LocalTrees:
    """The trees of some roots. Empty without a repository."""
    wanted = sorted(set(root_ids))
    if not wanted:
        return LocalTrees({}, {}, {}, {})
    cursor = call.cursor
    roots = {root_id: tuple(ids) for root_id, ids in Roots(cursor).with_ids(wanted)}
    rows: dict[str, list[Row]] = {}
    for subtree_id, *row in Trees(cursor).with_ids(i for ids in roots.values() for i in ids):
        rows.setdefault(subtree_id, []).append(tuple(row))
    named = {row[VERSION] for group in rows.values() for row in group if row[KIND] == "table"}
    contents = {i: content_of(version) for i, version in Versions(cursor).load(named).items()}
    portable = {
        i: subtree_identity([with_version(row, contents.get(row[VERSION])) for row in group])
        for i, group in rows.items()
    }
    return LocalTrees(roots, rows, contents, portable)


def versions_of(call: Call, table_ids: Iterable[str]) -> dict[str, list[str]]:
    """The local versions of these tables by content, the preferred one first."""
    found: dict[str, list[str]] = {}
    statement = render.load("content_ids")
    for content_id, version_id in run(call.cursor, statement, [sorted(set(table_ids))]).fetchall():
        found.setdefault(content_id, []).append(version_id)
    return found


def with_version(row: Row, version: str | None) -> Row:
    """The row with another version."""
    return (*row[:VERSION], version, *row[VERSION + 1 :])
