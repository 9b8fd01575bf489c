"""Replaces a version by another one with the same content, wherever the catalog names it.

A commit's id covers the content of its tree and not its storage, so commits keep their ids, and only their roots
change. Every tree has to change at once, because operations take versions with different ids for different.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from epoch_sql import render
from epoch_sql.catalog.content import Roots, Trees, root_identity, subtree_identity
from epoch_sql.catalog.relation import run
from epoch_sql.operations.repository import Call

POINTING = (("commits", "root_id"), ("stashes", "root_id"), ("merges", "base_root"), ("merges", "theirs_root"))
"""The catalog tables that name roots, and the columns in which they do."""

_VERSION = list(Trees.columns).index("version_id")


def repoint(call: Call, replacements: Mapping[str, str]) -> None:
    """Replace versions (by id) in every tree, in the fingerprints of the working tables, and in everything that
    names the trees."""
    cursor = call.cursor
    call.state.rewritten()
    subtrees = _subtrees(call, replacements)
    roots = _roots(call, subtrees)
    for table, column in POINTING:
        statement = render.render("upkeep/repoint", table=render.catalog_table(table), name=render.identifier(column))
        cursor.execute(statement, [list(roots), list(roots.values())])
    for old, new in replacements.items():
        run(cursor, "UPDATE {{epoch}}.fingerprints SET version_id = ? WHERE version_id = ?", [new, old])


def _subtrees(call: Call, replacements: Mapping[str, str]) -> dict[str, str]:
    """Store the subtrees with the new versions, and give the new id of each."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in run(call.cursor, render.load("upkeep/affected_trees"), [list(replacements)]).fetchall():
        version = replacements.get(row[_VERSION], row[_VERSION])
        found.setdefault(row[0], []).append((*row[1:_VERSION], version, *row[_VERSION + 1 :]))
    renamed = {subtree_id: subtree_identity(rows) for subtree_id, rows in found.items()}
    known = {row[0] for row in run(call.cursor, "SELECT DISTINCT subtree_id FROM {{epoch}}.trees").fetchall()}
    fresh = {new: found[old] for old, new in renamed.items() if new not in known}
    call.trees.insert((subtree_id, *row) for subtree_id, rows in fresh.items() for row in rows)
    return renamed


def _roots(call: Call, subtrees: Mapping[str, str]) -> dict[str, str]:
    """Store the roots with the new subtrees, and give the new id of each."""
    roots = Roots(call.cursor)
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
