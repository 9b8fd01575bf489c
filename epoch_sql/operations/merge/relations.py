"""The merged rows of a table as relations, before anything is written: the changes, and the whole state."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.operations.merge.merged import MergedEntry
from epoch_sql.operations.merge.sides import RowMerge
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents, arrange, compare
from epoch_sql.storage.shape import Shape, aliased, columns, filling, shape_of


def merged_changes(entry: MergedEntry) -> Sql:
    """The changes from the foundation to the merged rows, columns as in ``Shape``."""
    assert entry.rows
    shape = shape_of(None, entry.table)
    pairs = (("key_", "k", shape.key), ("merged_", "n", shape.values), ("was_", "o", shape.values))
    names = [aliased(render.column(f"{word}{c.id}"), f"{letter}{c.id}") for word, letter, of in pairs for c in of]
    return render.fill(
        Sql("SELECT op, {{names}} FROM {{rows}} WHERE op IS NOT NULL"),
        names=names,
        rows=render.identifier(entry.rows),
    )


def merged_state(contents: Contents, entry: MergedEntry) -> Sql:
    """All rows of the merged table, ``c<id>``, under its merged definition."""
    if entry.merge is None:
        assert entry.entry
        return contents.state(entry.entry.version_id)
    shape = shape_of(None, entry.table)
    key = {column.id for column in shape.key}
    if entry.merge.is_whole:
        return _copies(entry)
    standing = _standing_rows(contents, entry.merge)
    survivors = (
        "SELECT *, unnest(range(n0)) FROM delta WHERE n0 > 0"
        if shape.keyless
        else "SELECT * FROM delta WHERE op <> 'removed'"
    )
    return render.render(
        "state",
        latest=merged_changes(entry),
        base_columns=columns("c", entry.table.stored_columns),
        base=standing,
        same_key=shape.same_key("base", "delta", "c", "k"),
        delta_columns=[
            aliased(render.column(f"{'k' if c.id in key else 'n'}{c.id}"), f"c{c.id}")
            for c in entry.table.stored_columns
        ],
        survivors=Sql(survivors),
    )


def _copies(entry: MergedEntry) -> Sql:
    """The rows of a table without a key, if all of them were merged."""
    return render.fill(
        Sql("SELECT {{rows}} FROM (SELECT *, unnest(range(n0)) FROM ({{changes}}) AS changes WHERE n0 > 0) AS copies"),
        rows=[aliased(render.column(f"k{c.id}"), f"c{c.id}") for c in entry.table.stored_columns],
        changes=merged_changes(entry),
    )


def _standing_rows(contents: Contents, merge: RowMerge) -> Sql:
    """The rows of the foundation under the merged definition."""
    side = merge.standing
    if not merge.converts:
        assert side.version_id
        return contents.state_of(merge.merged, contents.levels(side.version_id))
    outputs = []
    for column in merge.merged.stored_columns:
        own = side.column(column)
        value = merge.converted(render.column(f"c{own.id}"), side, own, column) if own else filling(column)
        outputs.append(aliased(value, f"c{column.id}"))
    return render.fill(Sql("SELECT {{outputs}} FROM ({{state}}) AS state"), outputs=outputs, state=side.state(contents))


def changes_from_ours(contents: Contents, entry: MergedEntry) -> tuple[Sql, Shape]:
    """The changes from ours to the merged rows: what the merge brings to the target."""
    if entry.merge is not None and entry.merge.foundation == "ours" and not entry.merge.converts:
        return merged_changes(entry), shape_of(None, entry.table)
    ours = contents.table(entry.ours.version_id) if entry.ours else None
    shape = shape_of(ours, entry.table)
    if entry.merge is None:
        assert entry.entry
        return contents.changes(entry.ours.version_id if entry.ours else None, entry.entry.version_id), shape
    before = arrange(contents.state(entry.ours.version_id), shape, ours, old=True) if entry.ours and ours else None
    return compare(shape, before, arrange(merged_state(contents, entry), shape, entry.table)), shape


def touched_rows(contents: Contents, entry: MergedEntry) -> Sql:
    """The merged rows (``c<id>``) that differ from ours, whose constraints have to be checked."""
    changes, shape = changes_from_ours(contents, entry)
    key = {column.id for column in shape.key}
    outputs = [
        aliased(render.column(f"{'k' if c.id in key else 'n'}{c.id}"), f"c{c.id}") for c in entry.table.stored_columns
    ]
    condition = Sql("n0 > o0" if shape.keyless else "op <> 'removed'")
    return render.fill(
        Sql("SELECT {{outputs}} FROM ({{changes}}) AS changes WHERE {{condition}}"),
        outputs=outputs,
        changes=changes,
        condition=condition,
    )
