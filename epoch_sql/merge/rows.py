"""Merges the rows of one table: joins the changes of both sides by key, and merges cell by cell. Gives the merged
rows as relations, and stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from epoch_sql import render
from epoch_sql.call import Call, is_trusted
from epoch_sql.merge.bags import bag_outcome
from epoch_sql.merge.decisions import BOTH, given, given_misfits
from epoch_sql.merge.merged import MergedEntry, MergedTree
from epoch_sql.merge.sides import (
    RowMerge,
    base_misfit,
    base_value,
    changes_of,
    decided_keys,
    key_json,
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
from epoch_sql.storage.contents import Contents, arrange
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import Shape, aliased, columns, compare, filling, shape_of, struct
from epoch_sql.storage.writing import WrittenDelta, delta_level
from epoch_sql.versions.folding import (
    REWRITE_SHARE,
    compacted,
    count_changes,
    fold,
    same_values,
    tree_id,
)
from epoch_sql.versions.sides import by_value, crossing


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
        "levels.state",
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


# Cell-wise three-way merge, as in Dolt. It reads only rows that a side changed or that have decisions of their own. It
# writes the result as a delta on one side's version. So the cost follows the changes and never the table.


def outcome(contents: Contents, merge: RowMerge) -> Sql:
    """The merged rows that differ from the foundation or are in conflict, with the columns of sql/merge.sql."""
    if merge.shape.keyless:
        return bag_outcome(contents, merge)
    shape = merge.shape
    values = [_value(c, merge) for c in shape.values]
    unlike = [item for item, c in zip(values, shape.values, strict=True) if c.id in merge.unlike]
    alike = [item for item, c in zip(values, shape.values, strict=True) if c.id not in merge.unlike]
    named = [c for c in shape.values if merge.decisions.of_cells(c)]
    differs = Sql("true") if merge.restored else _any(shape.values, "merged_{id} IS DISTINCT FROM {side}_{id}", merge)
    return render.render(
        "merge.rows",
        ours=changes_of(contents, merge, merge.ours),
        theirs=changes_of(contents, merge, merge.theirs),
        same_key=shape.same_key("ours", "theirs", "key_", "key_"),
        decisions=merge.decisions.relation((BOTH,)),
        strategy=merge.decisions.default(merge.decisions.strategy),
        foundation=Sql(merge.foundation),
        gone=render.literal(merge.gone or ""),
        keys=[{"id": _id(c)} for c in shape.key],
        key_json=key_json(merge),
        values=values,
        alike=alike,
        unlike=unlike,
        named=[item for item, c in zip(values, shape.values, strict=True) if c in named],
        untouched=_untouched(contents, merge),
        ours_changed=_changed(merge, "ours"),
        theirs_changed=_changed(merge, "theirs"),
        clashes=_any(shape.values, "clash_{id}"),
        kept=_any(named, "(clash_{id} AND choice_{id}.side IS DISTINCT FROM 'base')"),
        differs=differs,
        **{f"{side}_row": _row_json(merge, side) for side in ("base", "ours", "theirs")},
    )


def _value(column: Column, merge: RowMerge) -> Item:
    """The fragments of the template for one value column."""
    named = merge.decisions.of_cells(column)
    choice = f"choice_{column.id}" if named else "choice"
    text = Sql(f"{choice}.value")
    return {
        "id": _id(column),
        "name": render.literal(column.name),
        "choice": Sql(choice),
        "decided": named,
        "given": given(text, column),
        "given_misfits": given_misfits(text, column),
        "own_type": render.column(f"{merge.owner(column)}_{column.id}"),
        **{f"{side}_json": _json(merge, column, side) for side in ("base", "ours", "theirs")},
    }


def _untouched(contents: Contents, merge: RowMerge) -> list[Item]:
    """Rows of the base that neither side changed, but that have decisions or get new values. At most one item."""
    decided = decided_keys(merge)
    if merge.base is None or not (decided or merge.restored):
        return []
    shape = merge.shape
    outputs = [
        *(aliased(base_value(c, merge, "c"), f"key_{c.id}") for c in shape.key),
        *(aliased(base_value(c, merge, "c"), f"base_{c.id}") for c in shape.values),
        *(aliased(base_misfit(c, merge, "c"), f"base_misfit_{c.id}") for c in shape.values if c.id in merge.unlike),
    ]
    rows = render.fill(
        Sql("SELECT {{outputs}} FROM ({{state}}) AS state"), outputs=outputs, state=merge.base.state(contents)
    )
    if decided and not merge.restored:
        rows = render.fill(
            Sql("SELECT * FROM ({{rows}}) AS rows SEMI JOIN ({{decided}}) AS decided ON {{same}}"),
            rows=rows,
            decided=decided,
            same=shape.same_key("rows", "decided", "key_", "key_"),
        )
    return [
        {
            "rows": rows,
            "base_is_ours": shape.same_key("base", "ours", "key_", "key_"),
            "base_is_theirs": shape.same_key("base", "theirs", "key_", "key_"),
        }
    ]


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


def _any(columns: Sequence[Column], condition: str, merge: RowMerge | None = None) -> Sql:
    side = merge.foundation if merge else ""
    terms = [Sql(condition.format(id=c.id, side=side)) for c in columns]
    return render.joined(terms, " OR ") if terms else Sql("false")


def _id(column: Column) -> exp.Expression:
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
    for table_id, gone in merged.ours.tables.items():
        if table_id not in entries:
            touched.add(table_id)
            rows += RowCounts(removed=call.contents.version(gone.version_id).row_count)
    tree = Tree(entries, merged.objects)
    return StoredTree(tree, tree_id(call, tree), call.trees.add(tree), rows, frozenset(touched))


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
    contents, writer, standing = call.contents, call.writer, entry.merge.standing
    assert standing.version_id
    before = contents.version(standing.version_id)
    if entry.merge.converts:
        return _write_anew(call, entry)
    kept = {column.id for column in entry.table.stored_columns}
    whole = all(column.id in kept for column in standing.table.stored_columns)
    old = standing.table if whole else entry.table
    written = writer.delta(merged_changes(entry), shape_of(None, entry.table), old, entry.table)
    if written is None and entry.table == standing.table:
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
    if same_values(entry.merge.standing.table, entry.table):
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
    if sum(level.row_count for level in levels[1:]) * REWRITE_SHARE > levels[0].row_count:
        levels = [compacted(call, levels, entry.table)]
    else:
        levels = fold(call, levels, entry.table, fingerprint)
    return levels, [] if pending in levels else [pending]
