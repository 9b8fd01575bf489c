"""What of a tree came from remotes that are not trusted: it is not made here, and stays as it is committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import duckdb

from epoch_sql.catalog.trust import Untrusted, Withheld
from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import DatabaseSchema, ObjectName, definition_id
from epoch_sql.storage.contents import Contents
from epoch_sql.worktree.introspect import KINDS


class Trust:
    """Divides trees by what is trusted; ``schema`` tells what there is in the working database."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, contents: Contents, schema: Callable[[], DatabaseSchema]
    ) -> None:
        self._cursor = cursor
        self._contents = contents
        self._schema = schema
        self._held: Mapping[str, Withheld] | None = None

    def held(self) -> Mapping[str, Withheld]:
        """What is not trusted, by the ids of definitions; what is there, the user has made."""
        if self._held is None:
            held = Untrusted(self._cursor).load()
            found = self._schema() if held else DatabaseSchema()
            own = {definition_id(table) for table in found.tables} | {definition_id(made) for made in found.objects}
            self._held = {i: one for i, one in held.items() if i not in own}
        return self._held

    def forget(self) -> None:
        """Read anew what is not trusted."""
        self._held = None

    def divided(self, tree: Tree) -> tuple[Tree, Tree]:
        """The tree without what is not trusted, and that."""
        held = self.held()
        if not held:
            return tree, Tree()
        self._contents.load(entry.version_id for entry in tree.tables.values())
        tables = {i: e for i, e in tree.tables.items() if definition_id(self._contents.table(e.version_id)) in held}
        objects = tuple(found for found in tree.objects if definition_id(found) in held)
        rest = {i: entry for i, entry in tree.tables.items() if i not in tables}
        return Tree(rest, tuple(found for found in tree.objects if found not in objects)), Tree(tables, objects)


def together(tree: Tree, withheld: Tree) -> Tree:
    """A tree with what was withheld from it, unless something has taken its place."""
    if withheld == Tree():
        return tree
    taken = {place_of("table", entry.name) for entry in tree.tables.values()}
    taken |= {place_of(made.kind, made.name) for made in tree.objects}
    tables = {i: e for i, e in withheld.tables.items() if place_of("table", e.name) not in taken}
    objects = [o for o in withheld.objects if place_of(o.kind, o.name) not in taken]
    made = sorted((*tree.objects, *objects), key=lambda found: (KINDS.index(found.kind), found.name))
    return Tree({**tables, **tree.tables}, tuple(made))


def place_of(kind: str, name: ObjectName) -> tuple[str, str, str]:
    """What two objects cannot share: a name in either case; tables and views have theirs in common."""
    return "relation" if kind in ("table", "view") else kind, name.schema.lower(), name.name.lower()
