"""``epoch_history``: every version of every row; ``epoch_blame``: the commit that made each row what it is; and a
row's key as an argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.call import Call, require_trusted
from epoch_sql.errors import ColumnNotFound, EpochTableError
from epoch_sql.history.changes import MergedChanges, TableChanges, WantedKey, same_columns
from epoch_sql.history.lineage import Lineage, Step
from epoch_sql.model.names import suggest
from epoch_sql.model.schema import Column, Table
from epoch_sql.render import Sql
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.key_ranges import cut_sort_key
from epoch_sql.storage.shape import aliased, columns
from epoch_sql.verb import relation
from epoch_sql.versions.sides import as_stored, free_name, with_generated


def wanted_key(cursor: duckdb.DuckDBPyConnection, table: Table, key: str) -> WantedKey:
    """The row of a key.

    Raises EpochTableError for a table without a key, for unknown and missing key columns, and for a value that does not
    fit the column's type.
    """
    given = _values(table, key)
    values = [encode(_key_value(cursor, table, c, given[c.name]), c.type) for c in table.key]
    terms = [
        render.fill(Sql("{{c}} IS NOT DISTINCT FROM {{v}}"), c=column, v=value)
        for column, value in zip(columns("c", table.key), values, strict=True)
    ]
    row = cursor.execute(render.fill(Sql("SELECT {{k}}"), k=cut_sort_key(values))).fetchone()
    assert row
    return WantedKey(render.joined(terms, " AND "), (row[0], row[0]))


def _values(table: Table, key: str) -> dict[str, Any]:
    """The given value of each key column. Numbers stay as they were written."""
    if not table.key:
        raise EpochTableError(
            f"table {table.name} has no key, so there is no row of key {key}",
            (Suggestion("key", str(table.name), ("COLUMN",)), ", or filter the rows with WHERE"),
            table=str(table.name),
        )
    given = _parsed(key)
    names = {column.name.lower(): column.name for column in table.key}
    alone = table.key[0].name if len(table.key) == 1 else None
    if given is None or (alone and not (given.keys() & names.keys()) and _takes_objects(table.key[0])):
        if alone is None:
            raise EpochTableError(
                f"the key of table {table.name} has {len(names)} columns, but {key} is one value",
                _hint(table),
                table=str(table.name),
            )
        return {alone: key}
    for name in given:
        if name not in names:
            near = suggest(name, list(names.values()))
            message, advice = f"{name} is not a key column of table {table.name}", did_you_mean(near) or _hint(table)
            raise ColumnNotFound(message, advice, table=str(table.name), column=name, suggestions=tuple(near))
    for name, column in names.items():
        if name not in given:
            message = f"key column {column} of table {table.name} is missing in {key}"
            raise EpochTableError(message, _hint(table), table=str(table.name), column=column)
    return {names[name]: value for name, value in given.items()}


def _parsed(key: str) -> dict[str, Any] | None:
    """The members of a JSON object by their names in lower case. None if the text is not a JSON object."""
    try:
        parsed = json.loads(key, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return None
    return {name.lower(): value for name, value in parsed.items()} if isinstance(parsed, dict) else None


def _takes_objects(column: Column) -> bool:
    """Whether the text of a JSON object can be a value of the column."""
    return column.type in ("VARCHAR", "JSON") or column.type.startswith(("STRUCT", "MAP"))


def _key_value(cursor: duckdb.DuckDBPyConnection, table: Table, column: Column, value: Any) -> Sql:
    """The value as a constant of the column's type."""
    if value is None:
        return render.fill(Sql("CAST(NULL AS {{t}})"), t=render.verbatim(column.type))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    source = Sql("CAST({{v}} AS {{t}})") if not isinstance(value, dict | list) else Sql("CAST({{v}}::JSON AS {{t}})")
    typed = render.fill(source, v=render.literal(text), t=render.verbatim(column.type))
    try:
        cursor.execute(render.fill(Sql("SELECT {{typed}}"), typed=typed))
    except duckdb.Error as error:
        raise EpochTableError(
            f"{text} is not a value of key column {column.name} {column.type} of table {table.name}",
            _hint(table),
            table=str(table.name),
            column=column.name,
        ) from error
    return typed


def _hint(table: Table) -> str:
    names = ", ".join(f'"{column.name}": …' for column in table.key)
    return f"key := '{{{names}}}'"


@dataclass(frozen=True)
class RowChange:
    """What a commit did to a row."""

    commit: str
    committed_at: datetime
    author: str
    diff_type: Literal["added", "modified", "removed"]


@relation("epoch_history", RowChange, also="then the table's columns (of a removed row, its last values)")
def history(call: Call, table: str, key: str | None = None, *, ref: str = "HEAD") -> Sql:
    """Every version of every row of a table, or of one row, in the history of a reference, newest first.

    The rows have the columns that the table has there. A merge commit has only the rows that it made itself. Raises
    EpochTableError for an unknown table or key column.

    Args:
        table: `orders` or `schema.orders`
        key: only this row: JSON (`{"id": 42}`) or the value of a one-column key
        ref: the reference whose history it is
    """
    lineage = Lineage(call, table, ref)
    steps = lineage.steps([c for c in lineage.commits if c not in lineage.transparent])
    changes, position, op = _versions(lineage, steps, key)
    return render.render(
        "history.history",
        op=render.column(op, "changes"),
        columns=[render.column(c.name, "changes") for c in lineage.table.columns],
        changes=changes,
        commits=_commits(steps),
        position=render.column(position, "changes"),
        order=[render.column("position", "commits"), *(render.column(c.name, "changes") for c in lineage.table.key)],
    )


def _versions(lineage: Lineage, steps: Sequence[Step], key: str | None) -> tuple[Sql, str, str]:
    """The versions of rows, of one or of all, in the columns of HEAD, and the names of their position and op."""
    wanted = None if key is None else wanted_key(lineage.call.cursor, lineage.table, key)
    changes = TableChanges(lineage, wanted)
    parts = [changes.relation(step for step in steps if step.commit_id not in lineage.merges)]
    own = MergedChanges(lineage, changes).own()
    rows = render.joined([*parts, own] if own else parts, "\nUNION ALL BY NAME\n")
    if _has_bags(lineage, steps):
        rows = render.fill(
            Sql("SELECT * EXCLUDE (copies), unnest(range(copies)) AS copy FROM ({{rows}}) AS copies"), rows=rows
        )
    defined = lineage.table
    if any(not column.stored for column in defined.columns):
        require_trusted(lineage.call, defined)
    position, op = free_name("position", defined), free_name("op", defined)
    return _native(defined, rows, {"position": position, "op": op}), position, op


def versions_of(lineage: Lineage, key: str) -> list[tuple[int, str, tuple[str | None, ...]]]:
    """The versions of one row, newest first: the position of the commit, what it did, and the values as texts."""
    steps = lineage.steps([c for c in lineage.commits if c not in lineage.transparent])
    changes, position, op = _versions(lineage, steps, key)
    rows = render.fill(
        Sql("SELECT {{p}}, {{op}}, {{texts}} FROM ({{changes}}) AS changes ORDER BY {{p}}"),
        p=render.column(position),
        op=render.column(op),
        texts=_texts(lineage.table),
        changes=changes,
    )
    return [(row[0], row[1], row[2:]) for row in lineage.call.cursor.execute(rows).fetchall()]


def row_at(lineage: Lineage, key: str) -> tuple[str | None, ...] | None:
    """The values of one row at the newest commit, as texts. None if there is no such row."""
    changes = TableChanges(lineage, wanted_key(lineage.call.cursor, lineage.table, key))
    whole = Step(lineage.head, 0, None, lineage.version(lineage.head))
    rows = render.fill(
        Sql("SELECT {{texts}} FROM ({{rows}}) AS rows"),
        texts=_texts(lineage.table),
        rows=_native(lineage.table, changes.relation([whole]), {}),
    )
    return lineage.call.cursor.execute(rows).fetchone()


def _texts(table: Table) -> list[Sql]:
    return [render.fill(Sql("CAST({{c}} AS VARCHAR)"), c=render.column(c.name)) for c in table.columns]


@relation(
    "epoch_blame",
    also="the key columns (without a key: all stored columns), commit_id, author, committed_at TIMESTAMP, message",
)
def blame(call: Call, table: str, *, ref: str = "HEAD") -> Sql:
    """The commit that last set each row to the value that it has at a reference. A table without a key gives each
    distinct row once.

    A row that a merge only took over is the commit's that made it. Of a table without a key, it is the commit that last
    added a copy. Raises EpochTableError for an unknown table.

    Args:
        table: `orders` or `schema.orders`
        ref: the reference whose rows these are
    """
    lineage = Lineage(call, table, ref)
    version_id = lineage.version(lineage.head)
    assert version_id
    merged = MergedChanges(lineage, TableChanges(lineage))
    line, made = _since_made(lineage)
    latest = _last_set(merged, line) if lineage.table.key else _last_added(merged, made)
    _, state = as_stored(lineage.table_of(version_id), call.contents.state(version_id), lineage.crossing)
    if not lineage.table.key:
        state = render.fill(Sql("SELECT DISTINCT * FROM ({{state}}) AS state"), state=state)
    return render.render(
        "history.blame",
        outputs=[aliased(decode(render.column(f"c{c.id}", "rows"), c.type), c.name) for c in merged.identity],
        rows=state,
        latest=latest,
        same_key=same_columns(merged.identity, "rows", "latest"),
        commits=_commits([*lineage.steps(lineage.commits), made]),
        made=render.literal(made.position),
    )


def _last_set(merged: MergedChanges, line: list[Step]) -> Sql:
    """For each key that changed along a line of commits, the position of the commit that set its current value."""
    keys = columns("c", merged.identity)
    if not merged.lineage.merges:
        return render.render(
            "history.last_set",
            k=keys,
            c=merged.changes.relation(line),
        )
    return render.render(
        "history.latest_positions",
        sources=merged.sources(),
        keys=keys,
        latest_keys=columns("c", merged.identity, "latest"),
        changes=merged.changes.relation(line),
        same_key=same_columns(merged.identity, "latest", "sources"),
    )


def _last_added(merged: MergedChanges, made: Step) -> Sql:
    """For each row without a key, the position of the newest commit that added a copy since the table was created."""
    lineage = merged.lineage
    since = [c for c in lineage.commits if lineage.positions[c] < made.position and c not in lineage.transparent]
    parts = [merged.changes.relation(s for s in lineage.steps(since) if s.commit_id not in lineage.merges)]
    own = merged.own()
    return render.render(
        "history.last_added",
        k=columns("c", merged.identity),
        c=render.joined([*parts, own] if own else parts, "\nUNION ALL BY NAME\n"),
        made=render.literal(made.position),
    )


def _since_made(lineage: Lineage) -> tuple[list[Step], Step]:
    """The steps since the table was created, newest first, and the step that created it."""
    line = [s for s in lineage.steps(lineage.line(lineage.head)) if s.commit_id not in lineage.transparent]
    made = next(position for position, step in enumerate(line) if step.before is None)
    end = made + 1 if line[made].commit_id in lineage.merges else made
    return line[:end], line[made]


def _has_bags(lineage: Lineage, steps: Iterable[Step]) -> bool:
    """Whether some step has rows without a key, which have copies."""
    versions = {version for step in steps for version in (step.before, step.after) if version}
    keys = {tuple(c.id for c in table.key) for table in map(lineage.table_of, versions)}
    return () in keys or len(keys) > 1


def _commits(steps: Iterable[Step]) -> Sql:
    positions = {step.commit_id: step.position for step in steps}
    return render.render(
        "history.commit_positions",
        ids=render.strings(list(positions)),
        positions=Sql("[" + render.joined([render.literal(position) for position in positions.values()], ", ") + "]"),
    )


def _native(table: Table, rows: Sql, carried: dict[str, str]) -> Sql:
    """Rows of storage values as native values, with generated columns, and with additional columns under free names."""
    outputs = [
        *(aliased(render.column(name), free) for name, free in carried.items()),
        *(aliased(decode(render.column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns),
    ]
    native = render.fill(Sql("SELECT {{outputs}} FROM ({{rows}}) AS stored"), outputs=outputs, rows=rows)
    return with_generated(table, native)
