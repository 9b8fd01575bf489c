"""Merging the rows of one table: the changes of both sides are joined by key, and cells are merged one by one.

Cell-wise three-way merge as in Dolt. Only rows that the incoming side changed, or that were decided one by one, are
looked at: the result is written as a delta on the standing side's version, so that the cost follows the changes and
never the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sqlglot import exp

from epoch_sql import render
from epoch_sql.model.origin import Resolution
from epoch_sql.model.schema import Column, Table
from epoch_sql.operations.merge.decisions import (
    NOWHERE,
    WHOLE,
    cell_side,
    cell_value,
    decided_keys,
    row_side,
    whole_row,
)
from epoch_sql.operations.reading.columns import struct
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents, arrange, compare, no_changes
from epoch_sql.storage.conversion import converted
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, aliased, filling, shape_of, stored_as
from epoch_sql.worktree.defaults import is_constant

_NO_TEXT = Sql("CAST(NULL AS VARCHAR)")


@dataclass(frozen=True)
class Side:
    """One side of a merge: its version of the table (None: it has none) and that version's definition."""

    name: str
    version_id: str | None
    table: Table
    aliases: Mapping[int, int]


@dataclass(frozen=True)
class RowMerge:
    """What is merged: the base (None: the table was added on both sides), the two sides, the merged definition.

    ``converts`` says that values of the standing side, too, have to be converted to the merged definition.
    ``restored`` are the columns (by id) that the standing side lacks and every row gets a value of its own in.
    """

    base_version: str | None
    base_table: Table | None
    standing: Side
    incoming: Side
    merged: Table
    resolutions: Sequence[Resolution]
    strategy: str | None
    converts: bool = False
    restored: frozenset[int] = frozenset()

    @cached_property
    def shape(self) -> Shape:
        """The shape of the rows of the merged table."""
        return shape_of(None, self.merged)

    @cached_property
    def retyped(self) -> frozenset[int]:
        """The columns whose values are converted on some way to the merged table: some may have no value there."""
        sides = [(side.table, side.aliases) for side in (self.standing, self.incoming)]
        if self.base_table:
            sides.append((self.base_table, {}))
        found = set()
        for table, aliases in sides:
            for column in self.shape.values:
                own = table.column_by_id(aliases.get(column.id, column.id))
                if own and own.type != column.type:
                    found.add(column.id)
        return frozenset(found)

    @property
    def foundation(self) -> str:
        """The version that the result is built on."""
        assert self.standing.version_id
        return self.standing.version_id


def outcome(contents: Contents, merge: RowMerge) -> Sql:
    """The rows that the incoming side changed, and those that were decided one by one, merged: as in
    sql/merge_rows.sql.
    """
    shape = merge.shape
    standing = changes_of(contents, merge, merge.standing)
    parts: dict[str, render.Fragment] = {
        "incoming": with_decided(contents, merge, changes_of(contents, merge, merge.incoming), standing),
        "standing": standing,
        "same_key": shape.same_key("incoming", "standing", "k", "k"),
        "keys": [aliased(render.column(f"k{c.id}", "incoming"), f"k{c.id}") for c in shape.key],
        "whole_row": whole_row(merge.resolutions),
        "standing_side": render.literal(merge.standing.name),
        "incoming_side": render.literal(merge.incoming.name),
        "nowhere": render.literal(NOWHERE),
    }
    if shape.keyless:
        decided = any(r.key is not None for r in merge.resolutions)
        key = key_json(merge.merged, shape, "incoming") if decided else Sql("CAST(NULL AS VARCHAR)")
        return render.render("merge_bags", key_json=key, **parts)
    values = shape.values
    return render.render(
        "merge_rows",
        key_json=key_json(merge.merged, shape, "incoming"),
        sides=_flat([part for c in values for part in _sides(c, merge)] or [Sql("0 AS nothing")]),
        row_side=row_side(merge.resolutions, merge.strategy),
        standing_changed=_changed(merge, "s", "g"),
        incoming_changed=_changed(merge, "i", "f"),
        removed_in=render.literal("modify/delete" if merge.incoming.name == "theirs" else "delete/modify"),
        modified_in=render.literal("delete/modify" if merge.incoming.name == "theirs" else "modify/delete"),
        cells=_more([_clash(c, merge) for c in values] + [_cell_side(c, merge) for c in values]),
        values=_more([part for c in values for part in _merged(c, merge)]),
        withdrawn=_withdrawn(values),
        differs=Sql("true") if merge.restored else _any(values, "n{id} IS DISTINCT FROM o{id}"),
        **parts,
    )


def changes_of(contents: Contents, merge: RowMerge, side: Side) -> Sql:
    """The changes of a side since the base in the merged definition's columns.

    Where the side, or the base, has a value that is none of the merged type, f<id> and h<id> are that value as JSON.
    """
    if merge.shape.keyless:
        return _bag_changes(contents, merge, side)
    shape = shape_of(merge.base_table, side.table)
    changes = _changes(contents, merge, side, shape)
    key = {c.id: c for c in shape.key}
    keys = [aliased(typed(render.column(f"k{c.id}"), key[c.id], c), f"k{c.id}") for c in merge.shape.key]
    values = [part for c in merge.shape.values for part in _values(c, merge, side)]
    return render.fill(
        Sql("SELECT op, {{columns}} FROM ({{changes}}) AS changes"), columns=_flat([*keys, *values]), changes=changes
    )


def with_decided(contents: Contents, merge: RowMerge, incoming: Sql, standing: Sql) -> Sql:
    """The incoming changes, and the rows without one that were decided; every standing change where values are
    converted, and every row where columns are restored.
    """
    shape = merge.shape
    keys = decided_keys(merge.resolutions, shape.key)
    if not keys and not merge.converts:
        return incoming
    own_keys = [aliased(render.column(f"k{c.id}", "other"), f"k{c.id}") for c in shape.key]
    left_alone = [Sql(f"CASE WHEN op <> 'added' THEN o{c.id} END AS n{c.id}, o{c.id}") for c in shape.values]
    left_alone += [Sql(f"h{i}") for i in merge.retyped]
    if shape.keyless:
        left_alone = [Sql("o0 AS n0, o0")]
    return render.render(
        "merge_decided",
        incoming=incoming,
        standing=standing,
        decided=_keys(keys, shape.key),
        left_alone=_flat([*own_keys, *left_alone]),
        unchanged=_flat(_unchanged(merge)),
        base=_base_rows(contents, merge) if merge.base_version else _nothing(merge),
        other_is_own=shape.same_key("standing", "own", "k", "k"),
        other_is_decided=Sql("true") if merge.converts else shape.same_key("other", "decided", "k", "k"),
        base_is_decided=Sql("true") if merge.restored else shape.same_key("base", "decided", "c", "k"),
        base_is_own=shape.same_key("base", "own", "c", "k"),
        base_is_other=shape.same_key("base", "other", "c", "k"),
    )


def _keys(keys: Sequence[Sequence[str | None]], columns: Sequence[Column]) -> Sql:
    """Keys given as texts, as a relation of storage values k<id>; a text that is no value of its column gives NULL."""
    selects = []
    for texts in keys or [[None] * len(columns)]:
        typed = [
            encode(
                render.fill(Sql("TRY_CAST({{v}} AS {{t}})"), v=render.literal(text), t=render.verbatim(column.type)),
                column.type,
            )
            for text, column in zip(texts, columns, strict=True)
        ]
        names = [aliased(value, f"k{column.id}") for value, column in zip(typed, columns, strict=True)]
        selects.append(render.fill(Sql("SELECT {{names}}"), names=_flat(names)))
    return render.joined(selects, " UNION ALL ")


def _base_rows(contents: Contents, merge: RowMerge) -> Sql:
    """The rows of the base in the merged definition's columns, c<id> (and h<id>); of a bag, how often they occur."""
    assert merge.base_version and merge.base_table
    state = contents.state(merge.base_version)
    if merge.shape.keyless:
        return arrange(state, merge.shape, merge.base_table)
    columns = []
    for column in merge.shape.rows:
        old = merge.base_table.column_by_id(column.id)
        stored = render.column(f"c{column.id}")
        columns.append(aliased(typed(stored, old, column) if old else filling(column), f"c{column.id}"))
        if column.id in merge.retyped:
            columns.append(aliased(_failed(stored, old, column) if old else _NO_TEXT, f"h{column.id}"))
    return render.fill(Sql("SELECT {{columns}} FROM ({{state}}) AS state"), columns=_flat(columns), state=state)


def _unchanged(merge: RowMerge) -> list[Sql]:
    keys = [aliased(render.column(f"c{c.id}", "base"), f"k{c.id}") for c in merge.shape.key]
    if merge.shape.keyless:
        return [*keys, Sql("base.c0 AS n0"), Sql("base.c0 AS o0")]
    parts = [Sql(f"base.c{c.id} AS n{c.id}, base.c{c.id} AS o{c.id}") for c in merge.shape.values]
    return [*keys, *parts, *(Sql(f"base.h{i}") for i in merge.retyped)]


def _nothing(merge: RowMerge) -> Sql:
    """No rows of a base, where the table was added on both sides."""
    names = [
        aliased(render.fill(Sql("CAST(NULL AS {{t}})"), t=stored_as(c)), f"c{c.id}")
        for c in (*merge.shape.key, *merge.shape.values)
    ]
    failed = [aliased(_NO_TEXT, f"h{i}") for i in merge.retyped]
    return render.fill(Sql("SELECT {{names}} WHERE false"), names=_flat([*names, *failed]))


def key_json(table: Table, shape: Shape, relation: str | None = None) -> Sql:
    """The canonical text of a row's key: JSON with the columns' names in the order of the table."""
    fields = [(table.column(c.name).name, decode(render.column(f"k{c.id}", relation), c.type)) for c in shape.key]
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))


def _values(column: Column, merge: RowMerge, side: Side) -> list[Sql]:
    i = column.id
    own_id = side.aliases.get(i, i)
    own = side.table.column_by_id(own_id)
    old = merge.base_table.column_by_id(i) if merge.base_table else None
    was = typed(render.column(f"o{i}"), old, column) if old else filling(column)
    now, failed = was, _NO_TEXT
    if own:
        value = render.column(f"n{own_id}")
        now, failed = typed(value, own, column), _failed(value, own, column)
    else:
        now = render.fill(
            Sql("CASE WHEN op = 'added' THEN {{default}} ELSE {{was}} END"), default=_default(column, old), was=was
        )
    if own and not old and own.fill != column.fill:
        given = render.fill(
            Sql("op <> 'added' AND n{{i}} IS NOT DISTINCT FROM {{f}}"), i=render.literal(own_id), f=filling(own)
        )
        now = render.fill(Sql("CASE WHEN {{given}} THEN {{was}} ELSE {{now}} END"), given=given, was=was, now=now)
    if own and old and failed != _NO_TEXT and own.type == old.type:
        changed = Sql(f"op = 'added' OR n{i} IS DISTINCT FROM o{i}")
        failed = render.fill(Sql("CASE WHEN {{changed}} THEN {{failed}} END"), changed=changed, failed=failed)
    parts = [(now, f"n{i}"), (was, f"o{i}")]
    if i in merge.retyped:
        before = _failed(render.column(f"o{i}"), old, column) if old else _NO_TEXT
        parts += [(failed, f"f{i}"), (before, f"h{i}")]
    return [aliased(part, name) for part, name in parts]


def lacks_filling(column: Column) -> bool:
    """Whether rows from where a column is missing get its default, although rows from before it existed have none.

    So it is with a column that comes back after it was dropped.
    """
    return column.fill is None and is_constant(column)


def _default(column: Column, old: Column | None) -> Sql:
    """The value of a column in rows that were added where it is missing: its default, if that is a constant."""
    known = is_constant(column) if old else lacks_filling(column)
    return filling(replace(column, fill=column.default) if known else column)


def _failed(value: exp.Column, source: Column, wanted: Column) -> Sql:
    """A storage value as JSON where it has no value of the wanted type, else NULL."""
    if source.type == wanted.type:
        return _NO_TEXT
    return render.fill(
        Sql("CASE WHEN {{v}} IS NOT NULL AND {{n}} IS NULL THEN CAST(to_json({{d}}) AS VARCHAR) END"),
        v=value,
        n=converted(value, source, wanted),
        d=decode(value, source.type),
    )


def typed(value: exp.Column, source: Column, wanted: Column) -> Sql:
    """A storage value in the type of another definition of its column."""
    return render.to_sql(value) if source.type == wanted.type else converted(value, source, wanted)


def _bag_changes(contents: Contents, merge: RowMerge, side: Side) -> Sql:
    tables = [table for table in (merge.base_table, side.table, merge.merged) if table]
    if len({tuple((c.id, c.type) for c in table.stored_columns) for table in tables}) == 1 and not merge.merged.key:
        return _changes(contents, merge, side, merge.shape)
    before = (
        arrange(contents.state(merge.base_version), merge.shape, merge.base_table)
        if merge.base_version and merge.base_table
        else None
    )
    after = arrange(contents.state(side.version_id), merge.shape, side.table) if side.version_id else None
    return compare(merge.shape, before, after)


def _changes(contents: Contents, merge: RowMerge, side: Side, shape: Shape) -> Sql:
    if side.version_id is None:
        return no_changes(shape)
    return contents.changes(merge.base_version, side.version_id)


def _sides(column: Column, merge: RowMerge) -> list[Sql]:
    i = column.id
    there = "incoming.op NOT IN ('added', 'absent')"
    parts = [
        Sql(f"CASE WHEN {there} THEN incoming.o{i} END AS b{i}"),
        Sql(f"CASE WHEN incoming.op = 'removed' THEN incoming.o{i} ELSE incoming.n{i} END AS i{i}"),
        Sql(
            f"CASE WHEN coalesce(standing.op, 'removed') = 'removed' THEN incoming.o{i} ELSE standing.n{i} END AS s{i}"
        ),
    ]
    if i in merge.retyped:
        parts += [
            Sql(f"CASE WHEN incoming.op IN ('added', 'modified') THEN incoming.f{i} END AS f{i}"),
            Sql(f"CASE WHEN standing.op <> 'removed' THEN standing.f{i} END AS g{i}"),
            Sql(f"CASE WHEN {there} THEN incoming.h{i} END AS h{i}"),
        ]
    return parts


def _changed(merge: RowMerge, side: str, failed: str) -> Sql:
    """The condition that a side changed some value of a row."""
    terms = [Sql(f"{side}{c.id} IS DISTINCT FROM b{c.id}") for c in merge.shape.values]
    terms += [Sql(f"{failed}{i} IS NOT NULL") for i in merge.retyped]
    return render.joined(terms, " OR ") if terms else Sql("false")


def _clash(column: Column, merge: RowMerge) -> Sql:
    i = column.id
    failed = f" WHEN f{i} IS NOT NULL OR g{i} IS NOT NULL THEN true" if i in merge.retyped else ""
    return Sql(
        f"CASE{failed}"
        f" WHEN incoming_op = 'added' AND standing_op = 'added' THEN i{i} IS DISTINCT FROM s{i}"
        f" WHEN incoming_op = 'modified' AND standing_op = 'modified' THEN i{i} IS DISTINCT FROM b{i}"
        f" AND s{i} IS DISTINCT FROM b{i} AND i{i} IS DISTINCT FROM s{i} ELSE false END AS x{i}"
    )


def _cell_side(column: Column, merge: RowMerge) -> Sql:
    return aliased(cell_side(merge.resolutions, column, merge.strategy), f"y{column.id}")


def _merged(column: Column, merge: RowMerge) -> list[Sql]:
    i = column.id
    standing, incoming = merge.standing.name, merge.incoming.name
    decided = [part for part in (_given(column, merge), _forced(column, merge)) if part]
    decided += [Sql(f"WHEN x{i} AND y{i} = '{incoming}' THEN i{i} WHEN x{i} AND y{i} = 'base' THEN b{i}")]
    value = render.fill(
        Sql(
            "CASE {{decided}} WHEN row_clash IS NOT NULL AND row_side = 'base' THEN {{b}}"
            " WHEN NOT x{{i}} AND {{incoming}} IS DISTINCT FROM {{b}} THEN {{incoming}} ELSE {{standing}} END"
        ),
        decided=render.joined(decided, " "),
        i=render.literal(i),
        b=Sql(f"b{i}"),
        incoming=Sql(f"i{i}"),
        standing=Sql(f"s{i}"),
    )
    settled = f"NOT x{i} OR y{i} IS NOT NULL AS z{i}"
    if i not in merge.retyped:
        return [aliased(value, f"n{i}"), Sql(f"s{i} AS o{i}"), Sql(settled)]
    settled = (
        f"NOT x{i} OR coalesce(CASE replace(y{i}, '{WHOLE}', '') WHEN 'value' THEN true WHEN 'base' THEN h{i} IS NULL"
        f" WHEN '{standing}' THEN g{i} IS NULL WHEN '{incoming}' THEN f{i} IS NULL END, false) AS z{i}"
    )
    return [aliased(value, f"n{i}"), Sql(f"s{i} AS o{i}"), Sql(settled)]


def _given(column: Column, merge: RowMerge) -> Sql | None:
    """The case of a cell that was given a value, if any of its column was."""
    if not any(r.side == "value" and r.column_name == column.name for r in merge.resolutions):
        return None
    value = encode(cell_value(merge.resolutions, column), column.type)
    return render.fill(Sql(f"WHEN y{column.id} = 'value' THEN {{{{value}}}}"), value=value)


def _forced(column: Column, merge: RowMerge) -> Sql | None:
    """The cases of a cell that is taken from a side whether it clashes or not, if anything was decided so."""
    if not any(r.side.startswith(WHOLE) for r in merge.resolutions):
        return None
    sides = ((merge.standing.name, "s"), (merge.incoming.name, "i"), ("base", "b"))
    return Sql(" ".join(f"WHEN y{column.id} = '{WHOLE}{side}' THEN {prefix}{column.id}" for side, prefix in sides))


def _withdrawn(values: Sequence[Column]) -> Sql:
    """The condition that a row which both sides added is to be as in the base: not there."""
    kept = _any(values, "(x{id} AND y{id} IS DISTINCT FROM 'base')")
    return render.fill(
        Sql("coalesce(row_side = 'base', false) AND ({{clash}}) AND NOT ({{kept}})"),
        clash=_any(values, "x{id}"),
        kept=kept,
    )


def _any(columns: Sequence[Column], condition: str) -> Sql:
    terms = [Sql(condition.format(id=c.id)) for c in columns]
    return render.joined(terms, " OR ") if terms else Sql("false")


def _more(parts: Sequence[Sql]) -> Sql:
    return Sql("".join(f", {part}" for part in parts))


def _flat(parts: Sequence[Sql]) -> Sql:
    return render.joined(parts, ", ")
