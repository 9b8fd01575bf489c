"""The conflicts of a merged tree as rows."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.catalog.obstacles import Conflicts
from epoch_sql.merge.merged import MergedTree
from epoch_sql.model.schema import canonical_json
from epoch_sql.model.schema_merge import SchemaConflict
from epoch_sql.render import Sql


def conflict_rows(merged: MergedTree) -> Sql:
    """Every conflict of a merged tree: the columns of ``epoch_conflicts``, with JSON as text."""
    selects = [Conflicts.none()]
    for entry in merged.tables:
        selects.extend(entry.conflicts)
    selects.extend(_schema_row(conflict) for conflict in merged.schema_conflicts)
    return render.joined(selects, "\nUNION ALL\n")


def _schema_row(conflict: SchemaConflict) -> Sql:
    texts = [conflict.base, conflict.ours, conflict.theirs]
    values: list[render.Piece] = [
        render.literal(conflict.table_name),
        Sql("NULL"),
        render.literal(conflict.column_name),
        render.literal("schema"),
        *(render.literal(canonical_json(text) if text is not None else None) for text in texts),
        render.literal(conflict.resolved),
    ]
    return render.fill(Sql("SELECT {{values}}"), values=values)
