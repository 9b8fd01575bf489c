"""The input of merging one table: the base and the two sides, each with its own definition, and the merged
definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from epoch_sql import render
from epoch_sql.merge.decisions import RowDecisions
from epoch_sql.model.schema import Column, Table, widens
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.conversion import comes_back, convert, same, type_of
from epoch_sql.storage.encoding import decode, encode
from epoch_sql.storage.shape import Shape, aliased, arrange, compare, filling, is_constant, no_changes, shape_of, struct
from epoch_sql.storage.types import DataType

NO_TEXT = Sql("CAST(NULL AS VARCHAR)")


@dataclass(frozen=True)
class Side:
    """The base or a side of a merge: its version of the table (None: no table) and the definition of its rows.

    ``aliases`` are the ids of its columns that differ from the merged ids. ``rows`` are its rows if the version's files
    do not give them: they have values in generated columns that the merged table stores. ``types`` are the types of
    columns, by id, in which fields were renamed.
    """

    name: str
    version_id: str | None
    table: Table
    aliases: Mapping[int, int] = field(default_factory=dict)
    rows: Sql | None = None
    types: Mapping[int, DataType] = field(default_factory=dict)

    @cached_property
    def stored(self) -> Mapping[int, Column]:
        """Its stored columns by id."""
        return {column.id: column for column in self.table.stored_columns}

    def column(self, merged: Column) -> Column | None:
        """The stored column of this side for a merged column, if there is one."""
        return self.stored.get(self.aliases.get(merged.id, merged.id))

    def type_of(self, column: Column) -> DataType:
        """The type of one of its columns."""
        return self.types.get(column.id) or type_of(column)

    def state(self, contents: Contents) -> Sql:
        """Its rows, ``c<id>``."""
        assert self.version_id
        return self.rows or contents.state(self.version_id)


@dataclass(frozen=True)
class RowMerge:
    """A merge of rows: the base (None: both sides added the table), ours, theirs, and the merged definition.

    ``foundation`` names the side that the result is written on as a delta. ``converts`` says that the table is written
    again instead. ``restored`` are the columns (by id) that the foundation lacks and that get values in every row.
    ``dropped_by`` names the side that dropped the table.
    """

    base: Side | None
    ours: Side
    theirs: Side
    merged: Table
    decisions: RowDecisions
    foundation: str = "ours"
    converts: bool = False
    restored: frozenset[int] = frozenset()
    dropped_by: str | None = None

    @property
    def foundation_side(self) -> Side:
        """The side that the result is written on."""
        return self.ours if self.foundation == "ours" else self.theirs

    @cached_property
    def shape(self) -> Shape:
        """The shape of the rows of the merged table."""
        return shape_of(None, self.merged)

    @property
    def is_whole(self) -> bool:
        """Whether every row is merged, in a table without a key whose values may not fit the merged types."""
        return self.shape.keyless and bool(self.unlike)

    @property
    def sides(self) -> tuple[Side, ...]:
        """Ours, theirs and the base, if there is one."""
        return (self.ours, self.theirs, *((self.base,) if self.base else ()))

    def type_of(self, column: Column) -> DataType:
        """The type of a merged column, which is that of one of the sides."""
        for side in self.sides:
            own = side.column(column)
            if own and own.type == column.type:
                return side.type_of(own)
        return type_of(column)

    def owner(self, column: Column) -> str:
        """The side whose type a merged column has."""
        own = self.theirs.column(column)
        return "theirs" if own and own.type == column.type else "ours"

    @cached_property
    def unlike(self) -> frozenset[int]:
        """The columns with values, on some side, that may not fit the merged type."""
        return frozenset(
            column.id
            for column in self.merged.stored_columns
            for own in (side.column(column) for side in self.sides)
            if own and not widens(own.type, column.type)
        )

    def converted(self, value: Sql, side: Side, own: Column, column: Column) -> Sql:
        """A value of a side's column, converted to the merged type."""
        if own.type == column.type:
            return value
        return convert(value, side.type_of(own), self.type_of(column))

    def misfit(self, value: Sql, side: Side, own: Column, column: Column, before: Sql | None = None) -> Sql:
        """A value of a side's column as JSON if it does not fit the merged type, or else NULL."""
        if widens(own.type, column.type):
            return NO_TEXT
        fits = comes_back(value, side.type_of(own), self.type_of(column), before)
        json = decode(value, own.type)
        return render.fill(
            Sql("CASE WHEN NOT {{fits}} THEN CAST(to_json({{json}}) AS VARCHAR) END"), fits=fits, json=json
        )


def side_changes(contents: Contents, merge: RowMerge, side: Side) -> tuple[Sql, Shape]:
    """The changes of a side since the base, under their own definitions."""
    base = merge.base
    shape = shape_of(base.table if base else None, side.table)
    if side.version_id is None:
        return no_changes(shape), shape
    if side.rows is None and (base is None or base.rows is None):
        return contents.changes(base.version_id if base else None, side.version_id), shape
    before = arrange(base.state(contents), shape, base.table, old=True) if base else None
    return compare(shape, before, arrange(side.state(contents), shape, side.table)), shape


def pairs_of(contents: Contents, merge: RowMerge, values: Sequence[Column]) -> Sql:
    """The rows of a table with a key as in the base, in ours and in theirs, with some value columns: ``merge.pairs``.

    Without rows that only the foundation's side changed, unless they matter: they have decisions, or values that do not
    fit the merged type.
    """
    shape = merge.shape
    some = {"ours": "RIGHT", "theirs": "LEFT"}[merge.foundation]
    whole = merge.unlike or merge.restored or merge.decisions.has_keys
    return render.render(
        "merge.pairs",
        ours=_changes_of(contents, merge, merge.ours, values),
        theirs=_changes_of(contents, merge, merge.theirs, values),
        join=Sql("FULL" if whole else some),
        same_key=shape.same_key("ours", "theirs", "key_", "key_"),
        keys=[_item(c) for c in shape.key],
        values=[_item(c) for c in values],
        unlike=[_item(c) for c in values if c.id in merge.unlike],
        untouched=_untouched(contents, merge, values),
    )


def _untouched(contents: Contents, merge: RowMerge, values: Sequence[Column]) -> list[render.Item]:
    """Rows of the base that neither side changed, but that have decisions or get new values. At most one item."""
    decided = decided_keys(merge)
    if merge.base is None or not (decided or merge.restored):
        return []
    shape = merge.shape
    outputs = [
        *(aliased(base_value(c, merge, "c"), f"key_{c.id}") for c in shape.key),
        *(aliased(base_value(c, merge, "c"), f"base_{c.id}") for c in values),
        *(aliased(base_misfit(c, merge, "c"), f"base_misfit_{c.id}") for c in values if c.id in merge.unlike),
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
    same = {f"base_is_{side}": shape.same_key("base", side, "key_", "key_") for side in ("ours", "theirs")}
    return [{"rows": rows, **same}]


def _changes_of(contents: Contents, merge: RowMerge, side: Side, values: Sequence[Column]) -> Sql:
    """The changes of a side since the base in the merged definition's columns: ``merge.side``."""
    changes, shape = side_changes(contents, merge, side)
    key = {c.id: c for c in shape.key}
    return render.render(
        "merge.side",
        keys=[_item(c, key=merge.converted(render.column(f"k{c.id}"), side, key[c.id], c)) for c in merge.shape.key],
        values=[_item(c, **_values(c, merge, side)) for c in values],
        unlike=[_item(c, **_misfits(c, merge, side)) for c in values if c.id in merge.unlike],
        changes=changes,
    )


def lacks_filling(column: Column) -> bool:
    """Whether a side that lacks a column gets its default in its rows, although rows that are older than the column
    have NULL.

    This is so for a column that comes back after a drop.
    """
    return column.fill is None and is_constant(column)


def base_value(column: Column, merge: RowMerge, prefix: str) -> Sql:
    """The base's value of a merged column."""
    old = merge.base.column(column) if merge.base else None
    if not old or not merge.base:
        return filling(column)
    return merge.converted(render.column(f"{prefix}{old.id}"), merge.base, old, column)


def base_misfit(column: Column, merge: RowMerge, prefix: str) -> Sql:
    """The base's value of a merged column as JSON, if it does not fit the merged type."""
    old = merge.base.column(column) if merge.base else None
    return merge.misfit(render.column(f"{prefix}{old.id}"), merge.base, old, column) if old and merge.base else NO_TEXT


def _values(column: Column, merge: RowMerge, side: Side) -> dict[str, Sql]:
    own = side.column(column)
    old = merge.base.column(column) if merge.base else None
    was = base_value(column, merge, "o")
    if own is None:
        now = render.fill(
            Sql("CASE WHEN op = 'added' THEN {{default}} ELSE {{was}} END"), default=_default(column, old), was=was
        )
        return {"base": was, "value": now}
    now = merge.converted(render.column(f"n{own.id}"), side, own, column)
    if not old and own.fill != column.fill:
        given = render.fill(
            Sql("op <> 'added' AND n{{i}} IS NOT DISTINCT FROM {{f}}"), i=render.literal(own.id), f=filling(own)
        )
        now = render.fill(Sql("CASE WHEN {{given}} THEN {{was}} ELSE {{now}} END"), given=given, was=was, now=now)
    return {"base": was, "value": now}


def _misfits(column: Column, merge: RowMerge, side: Side) -> dict[str, Sql]:
    own = side.column(column)
    old = merge.base.column(column) if merge.base else None
    parts = {"base_misfit": base_misfit(column, merge, "o"), "misfit": NO_TEXT}
    if own is None:
        return {**parts, "changed": Sql("op = 'added'")}
    new = render.column(f"n{own.id}")
    if old is None or merge.base is None:
        parts["misfit"] = merge.misfit(new, side, own, column)
        return {**parts, "changed": Sql(f"op = 'added' OR n{own.id} IS DISTINCT FROM o{own.id}")}
    was = render.column(f"o{old.id}")
    types = side.type_of(own), merge.base.type_of(old)
    parts["misfit"] = merge.misfit(new, side, own, column, convert(was, types[1], types[0]))
    unchanged = same(new, types[0], was, types[1], dropped=True)
    return {**parts, "changed": render.fill(Sql("op = 'added' OR NOT {{same}}"), same=unchanged)}


def _default(column: Column, old: Column | None) -> Sql:
    """The value of a column in rows that were added on a side without it: its default, if that is a constant."""
    known = is_constant(column) if old else lacks_filling(column)
    return filling(replace(column, fill=column.default) if known else column)


def _item(column: Column, **fragments: render.Fragment | bool) -> render.Item:
    """The fragments of a template for one column."""
    return {"id": render.literal(column.id), **fragments}


def key_json(merge: RowMerge) -> Sql:
    """The canonical text of a row's key: JSON with the names of the columns, in the order of the table.

    In a table without a key, a value that does not fit the merged type is shown as it is.
    """
    fields = []
    for column in merge.shape.key:
        value = decode(render.column(f"key_{column.id}"), column.type)
        if merge.shape.keyless and column.id in merge.unlike:
            misfit = render.column(f"misfit_{column.id}")
            value = render.fill(Sql("coalesce(CAST({{m}} AS JSON), to_json({{v}}))"), m=misfit, v=value)
        fields.append((merge.merged.column(column.name).name, value))
    return render.fill(Sql("CAST(to_json({{s}}) AS VARCHAR)"), s=struct(fields))


def decided_keys(merge: RowMerge) -> Sql | None:
    """Keys with decisions, as storage values ``key_<id>``. A text that is not a value of its column gives NULL."""
    columns = merge.shape.key
    keys = merge.decisions.keys(columns)
    if not keys:
        return None
    rows = [render.fill(Sql("({{texts}})"), texts=[render.literal(text) for text in texts]) for texts in keys]
    typed = [
        aliased(
            render.fill(Sql("TRY_CAST({{v}} AS {{t}})"), v=render.column(f"given_{c.id}"), t=render.verbatim(c.type)),
            f"given_{c.id}",
        )
        for c in columns
    ]
    return render.fill(
        Sql("SELECT {{stored}} FROM (SELECT {{typed}} FROM (VALUES {{rows}}) AS texts ({{names}})) AS given"),
        stored=[aliased(encode(render.column(f"given_{c.id}"), c.type), f"key_{c.id}") for c in columns],
        typed=typed,
        rows=rows,
        names=[render.column(f"given_{c.id}") for c in columns],
    )
