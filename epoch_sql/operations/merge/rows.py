"""Merges the rows of one table: joins the changes of both sides by key, and merges cell by cell.

Cell-wise three-way merge, as in Dolt. It reads only rows that a side changed or that have decisions of their own. It
writes the result as a delta on one side's version. So the cost follows the changes and never the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from epoch_sql import render
from epoch_sql.model.schema import Column
from epoch_sql.operations.merge.bags import bag_outcome
from epoch_sql.operations.merge.decisions import BOTH
from epoch_sql.operations.merge.given import given, given_misfits
from epoch_sql.operations.merge.keys import decided_keys, key_json
from epoch_sql.operations.merge.sides import RowMerge, base_misfit, base_value, changes_of
from epoch_sql.operations.reading.columns import struct
from epoch_sql.render import Item, Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.shape import aliased


def outcome(contents: Contents, merge: RowMerge) -> Sql:
    """The merged rows that differ from the foundation or are in conflict, with the columns of sql/merge_rows.sql."""
    if merge.shape.keyless:
        return bag_outcome(contents, merge)
    shape = merge.shape
    values = [_value(c, merge) for c in shape.values]
    unlike = [item for item, c in zip(values, shape.values, strict=True) if c.id in merge.unlike]
    alike = [item for item, c in zip(values, shape.values, strict=True) if c.id not in merge.unlike]
    named = [c for c in shape.values if merge.decisions.of_cells(c)]
    differs = Sql("true") if merge.restored else _any(shape.values, "merged_{id} IS DISTINCT FROM {side}_{id}", merge)
    return render.render(
        "merge_rows",
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
