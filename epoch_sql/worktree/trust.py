"""Divides trees into trusted and untrusted parts. Untrusted parts are not created, and stay as they are committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import duckdb

from epoch_sql.catalog.local import Untrusted, Withheld
from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import DatabaseSchema, ObjectName, definition_id
from epoch_sql.storage.contents import Contents
from epoch_sql.worktree.introspect import KINDS


class Trust:
    """Divides trees by trust. ``schema`` gives the definitions of the working database."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, contents: Contents, schema: Callable[[], DatabaseSchema]
    ) -> None:
        self._cursor = cursor
        self._contents = contents
        self._schema = schema
        self._held: Mapping[str, Withheld] | None = None

    def held(self) -> Mapping[str, Withheld]:
        """The untrusted definitions by id, without those that exist in the working database, which the user has
        created."""
        if self._held is None:
            held = Untrusted(self._cursor).load()
            found = self._schema() if held else DatabaseSchema()
            own = {definition_id(table) for table in found.tables} | {definition_id(made) for made in found.objects}
            self._held = {i: one for i, one in held.items() if i not in own}
        return self._held

    def forget(self) -> None:
        """Clear the cache of untrusted definitions."""
        self._held = None

    def divided(self, tree: Tree) -> tuple[Tree, Tree]:
        """The trusted and the untrusted part of a tree."""
        held = self.held()
        if not held:
            return tree, Tree()
        self._contents.load(entry.version_id for entry in tree.tables.values())
        tables = {i: e for i, e in tree.tables.items() if definition_id(self._contents.table(e.version_id)) in held}
        objects = tuple(found for found in tree.objects if definition_id(found) in held)
        rest = {i: entry for i, entry in tree.tables.items() if i not in tables}
        made = tuple(found for found in tree.objects if found not in objects)
        return replace(tree, tables=rest, objects=made), Tree(tables, objects)


def together(tree: Tree, withheld: Tree) -> Tree:
    """A tree with its withheld parts, except those whose name is used again."""
    if withheld == Tree():
        return tree
    taken = {folded_name("table", entry.name) for entry in tree.tables.values()}
    taken |= {folded_name(made.kind, made.name) for made in tree.objects}
    tables = {i: e for i, e in withheld.tables.items() if folded_name("table", e.name) not in taken}
    objects = [o for o in withheld.objects if folded_name(o.kind, o.name) not in taken]
    made = sorted((*tree.objects, *objects), key=lambda found: (KINDS.index(found.kind), found.name))
    return replace(tree, tables={**tables, **tree.tables}, objects=tuple(made))


def folded_name(kind: str, name: ObjectName) -> tuple[str, str, str]:
    """The name that two objects cannot share, in lower case. Tables and views share one set of names."""
    return "relation" if kind in ("table", "view") else kind, name.schema.lower(), name.name.lower()
