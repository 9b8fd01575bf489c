"""``epoch_history``: every version of every row; ``epoch_blame``: the commit that made each row what it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from epoch_sql import render
from epoch_sql.model.schema import Table
from epoch_sql.operations.reading.generated import as_stored, free_name, with_generated
from epoch_sql.operations.reading.keys import key_condition
from epoch_sql.operations.reading.lineage import Lineage, Step
from epoch_sql.operations.reading.table_changes import MergedChanges, TableChanges, same_columns
from epoch_sql.operations.repository import Call
from epoch_sql.operations.trusting import require_trusted
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import aliased, columns
from epoch_sql.verb import relation


@dataclass(frozen=True)
class RowChange:
    """What a commit did to a row."""

    commit: str
    committed_at: datetime
    author: str
    diff_type: Literal["added", "modified", "removed"]


@relation("epoch_history", RowChange, also="then the table's columns (of a removed row, its last values)")
def history(call: Call, table: str, key: str | None = None) -> Sql:
    """Every version of every row of a table, or of one row, in the history of HEAD, newest first.

    The rows have the columns that the table has in HEAD. A merge commit has only the rows that it made itself. Raises
    EpochTableError for an unknown table or key column.

    Args:
        table: `orders` or `schema.orders`
        key: only this row: JSON (`{"id": 42}`) or the value of a one-column key
    """
    lineage = Lineage(call, table)
    condition = None if key is None else key_condition(call.cursor, lineage.table, key)
    changes = TableChanges(lineage, condition)
    steps = lineage.steps([c for c in lineage.commits if c not in lineage.transparent])
    parts = [changes.relation(step for step in steps if step.commit_id not in lineage.merges)]
    own = MergedChanges(lineage, changes).own()
    rows = render.joined([*parts, own] if own else parts, "\nUNION ALL BY NAME\n")
    if _has_bags(lineage, steps):
        rows = render.fill(
            Sql("SELECT * EXCLUDE (copies), unnest(range(copies)) AS copy FROM ({{rows}}) AS copies"), rows=rows
        )
    defined = lineage.table
    if any(not column.stored for column in defined.columns):
        require_trusted(call, defined)
    place, op = free_name("place", defined), free_name("op", defined)
    return render.render(
        "history",
        op=render.column(op, "changes"),
        columns=[render.column(c.name, "changes") for c in defined.columns],
        changes=_native(defined, rows, {"place": place, "op": op}),
        commits=_commits(steps),
        place=render.column(place, "changes"),
        order=[render.column("place", "commits"), *(render.column(c.name, "changes") for c in defined.key)],
    )


@relation(
    "epoch_blame",
    also="the key columns (without a key: all stored columns), commit_id, author, committed_at TIMESTAMP, message",
)
def blame(call: Call, table: str) -> Sql:
    """The commit that last set each row to its current value. A table without a key gives each distinct row once.

    A row that a merge only took over is the commit's that made it. Of a table without a key, it is the commit that last
    added a copy. Raises EpochTableError for an unknown table.

    Args:
        table: `orders` or `schema.orders`
    """
    lineage = Lineage(call, table)
    version_id = lineage.version(lineage.head)
    assert version_id
    merged = MergedChanges(lineage, TableChanges(lineage))
    line, made = _since_made(lineage)
    latest = _last_set(merged, line) if lineage.table.key else _last_added(merged, made)
    _, state = as_stored(lineage.table_of(version_id), call.contents.state(version_id), lineage.crossing)
    if not lineage.table.key:
        state = render.fill(Sql("SELECT DISTINCT * FROM ({{state}}) AS state"), state=state)
    return render.render(
        "blame",
        outputs=[aliased(decode(render.column(f"c{c.id}", "rows"), c.type), c.name) for c in merged.identity],
        rows=state,
        latest=latest,
        same_key=same_columns(merged.identity, "rows", "latest"),
        commits=_commits([*lineage.steps(lineage.commits), made]),
        made=render.literal(made.place),
    )


def _last_set(merged: MergedChanges, line: list[Step]) -> Sql:
    """For each key that changed along a line of commits, the position of the commit that set its current value."""
    keys = columns("c", merged.identity)
    if not merged.lineage.merges:
        return render.fill(
            Sql("SELECT {{k}}, min(place) AS place FROM ({{c}}) AS changes WHERE op <> 'removed' GROUP BY {{k}}"),
            k=keys,
            c=merged.changes.relation(line),
        )
    return render.render(
        "latest_places",
        sources=merged.sources(),
        keys=keys,
        latest_keys=columns("c", merged.identity, "latest"),
        changes=merged.changes.relation(line),
        same_key=same_columns(merged.identity, "latest", "sources"),
    )


def _last_added(merged: MergedChanges, made: Step) -> Sql:
    """For each row without a key, the position of the newest commit that added a copy since the table was created."""
    lineage = merged.lineage
    since = [c for c in lineage.commits if lineage.places[c] < made.place and c not in lineage.transparent]
    parts = [merged.changes.relation(s for s in lineage.steps(since) if s.commit_id not in lineage.merges)]
    own = merged.own()
    return render.fill(
        Sql(
            "SELECT {{k}}, min(place) AS place FROM ({{c}}) AS changes "
            "WHERE op = 'added' AND place <= {{made}} GROUP BY {{k}}"
        ),
        k=columns("c", merged.identity),
        c=render.joined([*parts, own] if own else parts, "\nUNION ALL BY NAME\n"),
        made=render.literal(made.place),
    )


def _since_made(lineage: Lineage) -> tuple[list[Step], Step]:
    """The steps since the table was created, newest first, and the step that created it."""
    line = [s for s in lineage.steps(lineage.line(lineage.head)) if s.commit_id not in lineage.transparent]
    made = next(place for place, step in enumerate(line) if step.before is None)
    end = made + 1 if line[made].commit_id in lineage.merges else made
    return line[:end], line[made]


def _has_bags(lineage: Lineage, steps: Iterable[Step]) -> bool:
    """Whether some step has rows without a key, which have copies."""
    versions = {version for step in steps for version in (step.before, step.after) if version}
    keys = {tuple(c.id for c in table.key) for table in map(lineage.table_of, versions)}
    return () in keys or len(keys) > 1


def _commits(steps: Iterable[Step]) -> Sql:
    places = {step.commit_id: step.place for step in steps}
    return render.render(
        "commit_places",
        ids=render.strings(list(places)),
        places=Sql("[" + render.joined([render.literal(place) for place in places.values()], ", ") + "]"),
    )


def _native(table: Table, rows: Sql, carried: dict[str, str]) -> Sql:
    """Rows of storage values as native values, with generated columns, and with additional columns under free names."""
    outputs = [
        *(aliased(render.column(name), free) for name, free in carried.items()),
        *(aliased(decode(render.column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns),
    ]
    native = render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS stored"), outputs=outputs, rows=rows)
    return with_generated(table, native)
