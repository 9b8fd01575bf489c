"""Resolves violations of a merge in bulk and by side: rows that break constraints, and definitions that cannot be
created.

It takes violating parts from that side, from the nearest to the farthest, until nothing violates. First come the rows
and objects themselves, then the rows that they refer to, the objects that they need, and the definitions of their
tables. Each side was valid, so a part that comes as a whole from one side is valid too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.catalog.merging import MergeInProgress, Resolutions, Violating, Violations, violations
from epoch_sql.merge.constraints import foreign_key_name, missed, parent_of
from epoch_sql.merge.engine import list_obstacles
from epoch_sql.merge.engine import merge as merged_tree
from epoch_sql.merge.merged import MergedEntry, MergedTree, merged_state
from epoch_sql.model.schema import Constraint
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import shape_of, struct


def settle(call: Call, progress: MergeInProgress, side: str, violating: Violating) -> None:
    """Decide violations for a side, and list the remaining conflicts and violations."""
    settler = _Settler(call, progress, side, violating)
    settler.resolutions.take_again(violating, side, settler.since)
    settler.list()
    while settler.left() and settler.decided():
        settler.list()


def follow(call: Call, progress: MergeInProgress, side: str, violating: Violating) -> None:
    """Take from a side the rows that partly changed rows refer to, and list the remaining conflicts and violations."""
    settler = _Settler(call, progress, side, violating)
    settler.list()
    while settler.left() and settler.parents():
        settler.list()


@dataclass
class _Settler:
    call: Call
    progress: MergeInProgress
    side: str
    violating: Violating
    merged: MergedTree | None = None

    def __post_init__(self) -> None:
        self.resolutions = Resolutions(self.call.cursor)
        self.since = self.resolutions.last()

    def list(self) -> None:
        self.merged = merged_tree(self.call, self.progress)
        list_obstacles(self.call, self.progress, self.merged)

    def left(self) -> int:
        return Violations(self.call.cursor).count(self.violating)

    def decided(self) -> bool:
        """Decide the next nearest parts, and say whether there were any."""
        steps = [self._rows, self.parents]
        if self.violating.key is None:
            steps += [self._missed, self._definitions]
        return any(step() for step in steps)

    def _rows(self) -> int:
        return self.resolutions.take_violating(self.violating, self.side, self.since)

    def parents(self) -> int:
        """The rows that violating rows refer to on the side, and that the other side removed or gave another key."""
        assert self.merged
        taken = 0
        for table_name, constraint_name in Violations(self.call.cursor).foreign_keys(self.violating):
            for entry in self.merged.tables:
                for constraint in entry.table.foreign_keys:
                    if (str(entry.table.name), foreign_key_name(entry.table, constraint)) == (
                        table_name,
                        constraint_name,
                    ):
                        taken += self._parents_of(entry, constraint, constraint_name)
        return taken

    def _parents_of(self, entry: MergedEntry, constraint: Constraint, constraint_name: str) -> int:
        assert self.merged
        parent = parent_of(self.merged.tables, entry.table, constraint)
        tree = {"ours": self.merged.ours, "theirs": self.merged.theirs, "base": self.merged.base}[self.side]
        own = tree.tables.get(parent.table_id) if parent else None
        if parent is None or own is None:
            return 0
        contents = self.call.contents
        table = contents.table(own.version_id)
        pairs = [
            render.fill(
                Sql("{{p}} = {{c}}"),
                p=decode(render.column(f"c{to.id}", "parent"), to.type),
                c=decode(render.column(f"c{of.id}", "child"), of.type),
            )
            for of, to in (
                (entry.table.column(name), table.column_by_id(parent.table.column(referenced).id))
                for name, referenced in zip(constraint.columns, constraint.referenced_columns, strict=True)
            )
            if to is not None
        ]
        keys = render.render(
            "obstacles.parents",
            key=_key(parent, "parent"),
            parents=contents.state(own.version_id),
            children=merged_state(contents, entry),
            violating=violations(
                replace(self.violating, table_name=str(entry.table.name), constraint_name=constraint_name)
            ),
            child_key=_key(entry, "child"),
            pairs=render.joined(pairs, " AND "),
        )
        return self.resolutions.take_rows(
            self.progress.target, str(parent.table.name), keys, str(entry.table.name), self.side, self.since
        )

    def _missed(self) -> int:
        """The tables and objects that something violating needs."""
        assert self.merged
        return sum(self._define(*pair) for pair in dict.fromkeys(missed(self.call, self.merged)))

    def _definitions(self) -> int:
        """The tables whose rows still violate, because a constraint of the other side does not fit them."""
        return sum(self._define(name, name) for name in Violations(self.call.cursor).tables(self.violating))

    def _define(self, cause: str, name: str) -> int:
        return self.resolutions.take_definition(self.progress.target, name, cause, self.side, self.since)


def _key(entry: MergedEntry, relation: str) -> Sql:
    """The canonical text of a row's key, as violations have it."""
    columns = shape_of(None, entry.table).key
    fields = [(c.name, decode(render.column(f"c{c.id}", relation), c.type)) for c in columns]
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))
