"""Warns of what DuckDB keeps and a commit does not."""

from __future__ import annotations

from epoch_sql.model.commit import Tree
from epoch_sql.operations.repository import Call
from epoch_sql.worktree.introspect import read_unversioned
from epoch_sql.worktree.scan import Working

_LOST = {
    "OWNED BY": "is not dropped with the table that owns it after a checkout or clone: OWNED BY is not versioned",
    "USING COMPRESSION": "is compressed as DuckDB chooses after a checkout or clone: its COMPRESSION is not versioned",
}


def warn_of_unversioned(call: Call, before: Tree, working: Working) -> None:
    """Warn of unversioned traits of definitions that a commit adds or changes.

    DuckDB 1.x does not show the compression of a table.
    """
    old = set(before.objects)
    names = {w.table.name for w in working.tables if w.schema_differs}
    names |= {o.name for o in working.made if o.kind == "sequence" and o not in old}
    if names:
        call.warnings += [
            f"{kind} {name} {_LOST[trait]}" for kind, name, trait in read_unversioned(call.cursor) if name in names
        ]
