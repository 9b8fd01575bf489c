"""``compact``: rewrites the current version of each table as one base level, with the same content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, no_table
from epoch_sql.catalog.content import Roots, Trees, Versions, root_identity, subtree_identity
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Level, Version, version_identity
from epoch_sql.model.names import name_meant
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.writing import base_level, delta_level
from epoch_sql.verb import procedure
from epoch_sql.versions.folding import outdated, rewritten

# A commit's id covers the content of its tree and not its storage, so commits keep their ids, and only their roots
# change. Every tree has to change at once, because operations take versions with different ids for different.

POINTING = (("commits", "root_id"), ("stashes", "root_id"), ("merges", "base_root"), ("merges", "theirs_root"))
"""The catalog tables that name roots, and the columns in which they do."""

_VERSION = list(Trees.columns).index("version_id")


def repoint(call: Call, replacements: Mapping[str, str]) -> None:
    """Replace versions (by id) in every tree, in the fingerprints of the working tables, and in everything that
    names the trees."""
    cursor = call.cursor
    call.state.rewritten()
    subtrees = _subtrees(call, replacements)
    roots = _roots(call.cursor, subtrees)
    for table, column in POINTING:
        statement = render.render("compact.repoint", table=render.catalog_table(table), name=render.identifier(column))
        cursor.execute(statement, [list(roots), list(roots.values())])
    for old, new in replacements.items():
        run(cursor, "UPDATE {{epoch}}.fingerprints SET version_id = ? WHERE version_id = ?", [new, old])


def _subtrees(call: Call, replacements: Mapping[str, str]) -> dict[str, str]:
    """Store the subtrees with the new versions, and give the new id of each."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in run(call.cursor, render.load("compact.affected_trees"), [list(replacements)]).fetchall():
        version = replacements.get(row[_VERSION], row[_VERSION])
        found.setdefault(row[0], []).append((*row[1:_VERSION], version, *row[_VERSION + 1 :]))
    renamed = {subtree_id: subtree_identity(rows) for subtree_id, rows in found.items()}
    known = {row[0] for row in run(call.cursor, "SELECT DISTINCT subtree_id FROM {{epoch}}.trees").fetchall()}
    fresh = {new: found[old] for old, new in renamed.items() if new not in known}
    call.trees.insert((subtree_id, *row) for subtree_id, rows in fresh.items() for row in rows)
    return renamed


def _roots(cursor: duckdb.DuckDBPyConnection, subtrees: Mapping[str, str]) -> dict[str, str]:
    """Store the roots with the new subtrees, and give the new id of each."""
    roots = Roots(cursor)
    found = {
        root_id: [subtrees.get(i, i) for i in ids]
        for root_id, ids in roots.select()
        if not subtrees.keys().isdisjoint(ids)
    }
    renamed = {root_id: root_identity(ids) for root_id, ids in found.items()}
    known = {row[0] for row in roots.select()}
    fresh = {new: sorted(found[old]) for old, new in renamed.items() if new not in known}
    roots.insert(fresh.items())
    return renamed


# First it writes and compares the new files, while other connections may work. Then one transaction replaces the
# versions wherever they are named. An empty delta leads from the old version to the new one, so differences still cost
# what changed.


@dataclass(frozen=True)
class Compacted:
    """A rewritten table: its branches, its rows, and the files and bytes for reading it."""

    table: str
    branches: list[str]
    row_count: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


@dataclass
class _Current:
    """A version of a table, and the branches that have it at their heads."""

    table_name: str
    version: Version
    branches: list[str] = field(default_factory=list)


@procedure("epoch_compact")
def compact(call: Call, table: str | None = None) -> list[Compacted]:
    """Rewrites the tables at the head of every branch for fast reading. Commits keep their ids and contents.

    What is rewritten has deltas, or files of older definitions. Raises EpochTableError when no branch has the table,
    EpochStorageError when a version does not hold the rows it should.

    Args:
        table: only this table
    """
    written = [(current, _rewritten(call, current)) for current in _worth(call, _current(call, table))]
    if not written:
        return []
    with call.moving():
        there = Versions(call.cursor).load(current.version.version_id for current, _ in written)
        kept = [(current, level) for current, level in written if current.version.version_id in there]
        replacements = {current.version.version_id: _store(call, current, level) for current, level in kept}
        repoint(call, replacements)
    return [_compacted(call.contents, current, level) for current, level in kept]


def _current(call: Call, table_name: str | None) -> list[_Current]:
    """The versions at the heads of the branches, of one table or of all."""
    found: dict[str, _Current] = {}
    names = set()
    for branch, ref in call.refs.all("branch").items():
        entries = call.tree(ref.commit_id).tables.values()
        names |= {entry.name for entry in entries}
        meant = name_meant(table_name, (entry.name for entry in entries)) if table_name is not None else None
        for entry in entries:
            if table_name is None or entry.name == meant:
                version = call.contents.version(entry.version_id)
                found.setdefault(entry.version_id, _Current(str(entry.name), version)).branches.append(branch)
    if table_name is not None and not found:
        raise no_table(table_name, [str(name) for name in sorted(names)], "any branch")
    return sorted(found.values(), key=lambda current: (current.table_name, current.branches))


def _worth(call: Call, currents: list[_Current]) -> list[_Current]:
    """The versions that are not one base level yet, in files as they would be written now."""

    def whole(current: _Current) -> bool:
        levels = call.contents.levels(current.version.version_id)
        return len(levels) == 1 and not outdated(call, levels[0].files, current.version.schema_id)

    return [current for current in currents if not whole(current)]


def _rewritten(call: Call, current: _Current) -> Level:
    """Write the version's rows as a new base level, without files that stay as they are, and check that they are the
    same rows."""
    contents, version = call.contents, current.version
    table, levels = contents.table(version.version_id), contents.levels(version.version_id)
    level = rewritten(call, levels, table, whole=True)
    if level is None:
        level = call.writer.base(contents.state_of(table, levels), table, version.row_count)
    kept = {*level.files} & {*levels[0].files}
    replaced, fresh = (base_level(tuple(f for f in one.files if f not in kept)) for one in (levels[0], level))
    stated = (version.row_count, version.fingerprint)
    if kept:
        stated = call.writer.fingerprint(contents.state_of(table, [replaced, *levels[1:]]), table)
    if call.writer.fingerprint(contents.state_of(table, [fresh]), table) != stated:
        raise EpochStorageError(
            f"table {current.table_name} at {current.branches[0]} does not hold the rows that its commit says; "
            "nothing was changed",
            Suggestion("fsck"),
        )
    return level


def _store(call: Call, current: _Current, level: Level) -> str:
    """Add the rewritten version to the catalog, with the empty delta that leads to it. Gives its id."""
    for file in level.files:
        problem = call.store.check(file)
        if problem:
            path = str(call.store.path(file.file_id))
            raise EpochStorageError(f"file {path} {problem}", "retry", path=path)
    return _stored(call, current.version, level)


def replace_version(call: Call, old: Version, level: Level) -> None:
    """Have a version as one base level wherever it is named, within the caller's transaction. Its files were proved to
    have the same rows."""
    repoint(call, {old.version_id: _stored(call, old, level)})


def _stored(call: Call, old: Version, level: Level) -> str:
    version_id = version_identity(old.table_id, old.schema_id, old.fingerprint, (level.level_id,))
    edge = delta_level(None, old.version_id, version_id, old.fingerprint, old.schema_id)
    rewritten = replace(old, version_id=version_id, level_ids=(level.level_id,))
    call.contents.store_descriptions([], [level, edge], [rewritten])
    return version_id


def _compacted(contents: Contents, current: _Current, level: Level) -> Compacted:
    version = current.version
    before = [file for old in contents.levels(version.version_id) for file in old.files]
    return Compacted(
        current.table_name,
        current.branches,
        version.row_count,
        len(before),
        len(level.files),
        sum(file.bytes for file in before),
        sum(file.bytes for file in level.files),
    )
