"""Merges the rows of one table: joins the changes of both sides by key, and merges cell by cell. Gives the merged
rows as relations, and stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from epoch_sql import render
from epoch_sql.call import Call, is_trusted
from epoch_sql.merge.bags import bag_outcome
from epoch_sql.merge.decisions import BOTH, given, given_misfits
from epoch_sql.merge.merged import MergedEntry, MergedTree, changes_from_ours, merged_changes, merged_state
from epoch_sql.merge.sides import (
    RowMerge,
    key_json,
    pairs_of,
)
from epoch_sql.model.commit import (
    Level,
    RowCounts,
    TableEntry,
    Tree,
    Version,
    shift_fingerprint,
    version_identity,
)
from epoch_sql.model.schema import Column
from epoch_sql.render import Item, Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import aliased, shape_of, struct
from epoch_sql.storage.writing import WrittenDelta, delta_level
from epoch_sql.versions.folding import (
    compacted,
    count_changes,
    fold,
    is_rewritten,
    same_values,
    tree_id,
)
from epoch_sql.versions.sides import by_value, crossing

# Cell-wise three-way merge, as in Dolt. It reads only rows that a side changed or that have decisions of their own. It
# writes the result as a delta on one side's version. So the cost follows the changes and never the table.


def merge_rows(call: Call, merge: RowMerge, number: int | None) -> tuple[Sql, list[Sql], Sql | None]:
    """Merge the rows of a table, into temporary tables of that number, or else as queries (None).

    Gives a relation with the columns of ``merge.rows``, queries for the conflicts, and without a number also one for
    the keys of rows with an open conflict, if there may be any.
    """
    query = bag_outcome(call.contents, merge) if merge.shape.keyless else _outcome(call.contents, merge)
    rows = _relation(call.cursor, "merged", number, query)
    conflicts = _conflicts(call, merge, number, rows)
    undecided = _undecided(merge, rows, conflicts) if conflicts and number is None else None
    return rows, conflicts, undecided


def _conflicts(call: Call, merge: RowMerge, number: int | None, rows: Sql) -> list[Sql]:
    table_name = render.literal(str(merge.merged.name))
    if merge.shape.keyless:
        return [render.render("merge_bags.conflicts", table_name=table_name, rows=rows)]
    ids: list[Item] = [{"id": _id(c)} for c in merge.shape.values]
    clashing = call.cursor.execute(render.render("merge.clashing", rows=rows, values=ids)).fetchall()
    positions = {row[0] for row in clashing}
    if not positions:
        return []
    whole = 1 in positions
    clashing_columns = [c for position, c in enumerate(merge.shape.values, 2) if position in positions]
    values = merge.shape.values if whole else clashing_columns
    query = render.render(
        "merge.in_conflict",
        pairs=pairs_of(call.contents, merge, values),
        rows=rows,
        same_key=merge.shape.same_key("pairs", "merged", "key_", "key_"),
        named=[{"id": _id(c)} for c in merge.shape.values if merge.decisions.of_cells(c)],
    )
    shown: dict[str, render.Sql] = {
        "table_name": table_name,
        "key_json": key_json(merge),
        "pairs": _relation(call.cursor, "pairs", number, query),
    }
    groups = [clashing_columns[i : i + _GROUP] for i in range(0, len(clashing_columns), _GROUP)]
    conflicts = [
        render.render("merge.cell_conflicts", **shown, values=[_conflict(c, merge) for c in group]) for group in groups
    ]
    if whole:
        rows_json = {f"{side}_row": _row_json(merge, side) for side in ("base", "ours", "theirs")}
        conflicts.append(render.render("merge.row_conflicts", **shown, **rows_json))
    return conflicts


_GROUP = 100
"""The columns whose conflicts are listed by one SELECT. DuckDB takes long for many in one."""


def _relation(cursor: duckdb.DuckDBPyConnection, word: str, number: int | None, rows: Sql) -> Sql:
    """Rows as a relation for FROM: a temporary table, or without a number the query."""
    if number is None:
        return render.fill(Sql("({{rows}})"), rows=rows)
    name = render.identifier(f"epoch_{word}_{number}")
    cursor.execute(render.fill(Sql("CREATE OR REPLACE TEMP TABLE {{name}} AS {{rows}}"), name=name, rows=rows))
    return render.fill(name)


def _undecided(merge: RowMerge, rows: Sql, conflicts: Sequence[Sql]) -> Sql:
    return render.render(
        "merge.undecided",
        keys=[aliased(render.column(f"key_{c.id}"), f"k{c.id}") for c in merge.shape.key],
        rows=rows,
        key_json=Sql("key_json") if merge.shape.keyless else key_json(merge),
        conflicts=render.joined(conflicts, "\nUNION ALL\n"),
    )


def _outcome(contents: Contents, merge: RowMerge) -> Sql:
    """The merged rows that may differ from the foundation or be in conflict."""
    values = merge.shape.values
    items = [_value(c, merge) for c in values]
    decided, strategy = bool(merge.decisions.resolutions), merge.decisions.strategy
    differs = f"merged_{{id}} IS DISTINCT FROM {merge.foundation}_{{id}}"
    return render.render(
        "merge.rows",
        pairs=pairs_of(contents, merge, values),
        decided=decided,
        undecided=not decided,
        decisions=merge.decisions.relation((BOTH,)),
        strategy=merge.decisions.default(strategy),
        chosen=Sql("chosen" if decided else "paired"),
        row_choice=Sql("choice") if decided else merge.decisions.default(strategy),
        row_side=Sql("choice.side") if decided else render.literal(strategy),
        row_forced=Sql("choice.forced" if decided else "false"),
        own_side=Sql("own_choice.side" if decided else "NULL"),
        default=Sql(strategy or "ours"),
        foundation=Sql(merge.foundation),
        dropped_by=render.literal(merge.dropped_by or ""),
        keys=[{"id": _id(c)} for c in merge.shape.key],
        key_json=key_json(merge),
        values=items,
        alike=[item for item in items if not item["retyped"]],
        unlike=[item for item in items if item["retyped"]],
        named=[item for item in items if item["of_cells"]],
        ours_changed=_changed(merge, "ours"),
        theirs_changed=_changed(merge, "theirs"),
        clashes=_any(values, "clashes.clash_{id} IS NOT NULL"),
        kept=_any(
            [c for c in values if merge.decisions.of_cells(c)],
            "(clashes.clash_{id} IS NOT NULL AND choice_{id}.side IS DISTINCT FROM 'base')",
        ),
        differs=Sql("true") if merge.restored else _any(values, differs),
    )


def _value(column: Column, merge: RowMerge) -> Item:
    """The fragments of ``merge.rows`` for one value column."""
    of_cells, retyped = merge.decisions.of_cells(column), column.id in merge.unlike
    choice = _choice(column, merge)
    text = Sql(f"{choice}.value")
    differs = f"theirs_changed_{column.id}"
    if not retyped:
        differs = f"base_there AND theirs_{column.id} IS DISTINCT FROM base_{column.id}"
    return {
        "id": _id(column),
        "name": render.literal(column.name),
        "position": _position(column, merge),
        "choice": choice,
        "of_cells": of_cells,
        "given": given(text, column),
        "given_misfits": given_misfits(text, column),
        "retyped": retyped,
        "own_type": render.column(f"{merge.owner(column)}_{column.id}"),
        "theirs_differs": Sql(differs),
    }


def _conflict(column: Column, merge: RowMerge) -> Item:
    """The fragments of ``merge.cell_conflicts`` for one value column."""
    retyped = column.id in merge.unlike
    misfits = f"given_misfits_{column.id}" if merge.decisions.of_cells(column) else "false"
    return {
        "id": _id(column),
        "name": render.literal(column.name),
        "choice": _choice(column, merge),
        "given_misfits": Sql(misfits),
        "retyped": retyped,
        "alike": not retyped,
        **{f"{side}_json": _json(merge, column, side) for side in ("base", "ours", "theirs")},
    }


def _position(column: Column, merge: RowMerge) -> Sql:
    return render.literal(2 + merge.shape.values.index(column))


def _choice(column: Column, merge: RowMerge) -> Sql:
    return Sql(f"choice_{column.id}" if merge.decisions.of_cells(column) else "choice")


def _changed(merge: RowMerge, side: str) -> Sql:
    """The condition that a side changed some value of a row."""
    terms = [
        Sql(f"{side}_changed_{c.id}" if c.id in merge.unlike else f"{side}_{c.id} IS DISTINCT FROM base_{c.id}")
        for c in merge.shape.values
    ]
    return render.joined(terms, " OR ") if terms else Sql("false")


def _json(merge: RowMerge, column: Column, side: str) -> Sql:
    """A value as JSON, even if it does not fit the merged type."""
    value = decode(render.column(f"{side}_{column.id}"), column.type)
    text = render.fill(Sql("CAST(to_json({{v}}) AS VARCHAR)"), v=value)
    if column.id not in merge.unlike:
        return text
    misfit = render.column(f"{side}_misfit_{column.id}")
    return render.fill(Sql("coalesce({{m}}, {{t}})"), t=text, m=misfit)


def _row_json(merge: RowMerge, side: str) -> Sql:
    keys = {column.id for column in merge.shape.key}
    fields = []
    for c in merge.merged.stored_columns:
        if c.id in keys:
            fields.append((c.name, decode(render.column(f"key_{c.id}"), c.type)))
        elif c.id in merge.unlike:
            fields.append((c.name, render.fill(Sql("CAST({{v}} AS JSON)"), v=_json(merge, c, side))))
        else:
            fields.append((c.name, decode(render.column(f"{side}_{c.id}"), c.type)))
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))


def _any(columns: Sequence[Column], condition: str) -> Sql:
    terms = [Sql(condition.format(id=c.id)) for c in columns]
    return render.joined(terms, " OR ") if terms else Sql("false")


def _id(column: Column) -> Sql:
    return render.literal(column.id)


@dataclass(frozen=True)
class StoredTree:
    """A stored merged tree, and the rows that it changes in ours."""

    tree: Tree
    tree_id: str
    root_id: str
    rows: RowCounts
    tables: frozenset[str]


def store(call: Call, merged: MergedTree, count: bool = True) -> StoredTree:
    """Write the versions of a merged tree. With ``count``, count the rows that it changes in ours."""
    entries, rows, touched = {}, RowCounts(), set()
    for entry in merged.tables:
        stored = entry.entry or _write(call, entry)
        entries[stored.table_id] = stored
        if stored != entry.ours:
            touched.add(stored.table_id)
            if count:
                rows += counts(call, entry)
    for table_id, dropped in merged.ours.tables.items():
        if table_id not in entries:
            touched.add(table_id)
            rows += RowCounts(removed=call.contents.version(dropped.version_id).row_count)
    entries = {i: replace(entry, stale=i in merged.stale) for i, entry in entries.items()}
    tree = Tree(entries, merged.objects, merged.derived)
    return StoredTree(tree, tree_id(call.contents, tree), call.trees.add(tree), rows, frozenset(touched))


def counts(call: Call, entry: MergedEntry) -> RowCounts:
    """The rows that a merged table adds to, modifies in and removes from ours."""
    if entry.entry and entry.entry == entry.ours:
        return RowCounts()
    if entry.entry and entry.ours is None:
        return RowCounts(added=call.contents.version(entry.entry.version_id).row_count)
    contents = call.contents
    ours = contents.table(entry.ours.version_id) if entry.ours else None
    if entry.ours and ours and crossing(ours, entry.table) and is_trusted(call, ours, entry.table):
        rows = merged_state(contents, entry)
        changes, shape = by_value(ours, contents.state(entry.ours.version_id), entry.table, rows)
    else:
        changes, shape = changes_from_ours(contents, entry)
    return count_changes(call.cursor, changes, shape.keyless)


def _write(call: Call, entry: MergedEntry) -> TableEntry:
    assert entry.merge
    contents, writer, foundation = call.contents, call.writer, entry.merge.foundation_side
    assert foundation.version_id
    before = contents.version(foundation.version_id)
    if entry.merge.converts:
        return _write_anew(call, entry)
    kept = {column.id for column in entry.table.stored_columns}
    whole = all(column.id in kept for column in foundation.table.stored_columns)
    old = foundation.table if whole else entry.table
    written = writer.delta(merged_changes(entry), shape_of(None, entry.table), old, entry.table)
    if written is None and entry.table == foundation.table:
        return TableEntry(entry.table_id, entry.table.name, before.version_id)
    fingerprint, row_count = _described(call, entry, before, written)
    levels = [*contents.levels(before.version_id)]
    pending = delta_level(written, before.version_id if whole else None, "", fingerprint, entry.table.digest)
    extra = [] if written else [pending]
    if written:
        levels.append(pending)
        call.contents.store_descriptions([entry.table], [])
        levels, extra = _compacted(call, levels, entry, fingerprint, pending)
    level_ids = tuple(level.level_id for level in levels)
    schema_id = entry.table.digest
    version_id = version_identity(entry.table_id, schema_id, fingerprint, level_ids)
    version = Version(version_id, entry.table_id, schema_id, row_count, fingerprint, level_ids)
    new = [replace(level, to_version=version_id) for level in (*levels, *extra) if level.to_version == ""]
    unlinked = [level for level in levels if level.to_version is None]
    contents.store_descriptions([entry.table], [*unlinked, *new], [version])
    return TableEntry(entry.table_id, entry.table.name, version_id)


def _write_anew(call: Call, entry: MergedEntry) -> TableEntry:
    """Write a whole table, because both sides have values that had to be converted, so the result is not a delta on
    either."""
    rows = merged_state(call.contents, entry)
    count, fingerprint = call.writer.fingerprint(rows, entry.table)
    level = call.writer.base(rows, entry.table, count)
    schema_id = entry.table.digest
    version_id = version_identity(entry.table_id, schema_id, fingerprint, (level.level_id,))
    version = Version(version_id, entry.table_id, schema_id, count, fingerprint, (level.level_id,))
    call.contents.store_descriptions([entry.table], [level], [version])
    return TableEntry(entry.table_id, entry.table.name, version_id)


def _described(call: Call, entry: MergedEntry, before: Version, written: WrittenDelta | None) -> tuple[str, int]:
    """The fingerprint and the number of rows of the merged table."""
    assert entry.merge
    added = written.rows.added - written.rows.removed if written else 0
    if same_values(entry.merge.foundation_side.table, entry.table):
        minus, plus = (written.minus, written.plus) if written else (0, 0)
        return shift_fingerprint(before.fingerprint, minus, plus), before.row_count + added
    levels = call.contents.levels(before.version_id)
    if written:
        call.contents.store_descriptions([entry.table], [])
        levels = [*levels, delta_level(written, None, "", "", entry.table.digest)]
    count, fingerprint = call.writer.fingerprint(call.contents.state_of(entry.table, levels), entry.table)
    return fingerprint, count


def _compacted(
    call: Call, levels: list[Level], entry: MergedEntry, fingerprint: str, pending: Level
) -> tuple[list[Level], list[Level]]:
    """The levels, folded or rewritten as after a commit, and the delta if it is no longer one of them."""
    if is_rewritten(call, levels, entry.table):
        levels = [compacted(call, levels, entry.table)]
    else:
        levels = fold(call, levels, entry.table, fingerprint)
    return levels, [] if pending in levels else [pending]
