"""Merges rows of a table without a key, by their number of copies in the base, in ours and in theirs.

A number that both sides changed is a conflict: they may have added the same row, or one each.
"""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.merge.decisions import given, given_misfits
from epoch_sql.merge.sides import (
    NO_TEXT,
    RowMerge,
    Side,
    decided_keys,
    key_json,
    side_changes,
)
from epoch_sql.model.schema import Column
from epoch_sql.render import Sql
from epoch_sql.storage.contents import Contents
from epoch_sql.storage.shape import aliased, compare, filling, stored_as


def bag_outcome(contents: Contents, merge: RowMerge) -> Sql:
    """The rows whose number of copies differs between the foundation and the result, or is in conflict:
    sql/merge_bags.sql."""
    misfits = [_bag_item(c) for c in merge.shape.key if c.id in merge.unlike]
    unfit = [Sql(f"misfit_{c.id} IS NOT NULL") for c in merge.shape.key if c.id in merge.unlike]
    return render.render(
        "merge_bags.rows",
        paired=_of_states(contents, merge) if merge.unlike else _of_changes(contents, merge),
        decisions=merge.decisions.relation(("value",) if not merge.unlike else ()),
        strategy=merge.decisions.default(merge.decisions.strategy),
        foundation=Sql(merge.foundation),
        dropped_by=render.literal(merge.dropped_by or ""),
        key_json=key_json(merge),
        plain=[{"id": _id(c)} for c in merge.shape.key if c.id not in merge.unlike],
        misfits=misfits,
        unfit=render.joined(unfit, " OR ") if unfit else Sql("false"),
        written_anew=bool(merge.unlike),
    )


def _bag_item(column: Column) -> render.Item:
    text = render.fill(Sql("own.cells[{{name}}].value"), name=render.literal(column.name))
    return {
        "id": _id(column),
        "name": render.literal(column.name),
        "given": given(text, column),
        "given_misfits": given_misfits(text, column),
    }


def _of_changes(contents: Contents, merge: RowMerge) -> Sql:
    shape = merge.shape
    decided = decided_keys(merge)
    untouched: list[render.Item] = []
    if merge.base and decided:
        rows = render.fill(
            Sql("SELECT * FROM ({{rows}}) AS rows SEMI JOIN ({{decided}}) AS decided ON {{same}}"),
            rows=_counted(contents, merge, merge.base),
            decided=decided,
            same=shape.same_key("rows", "decided", "c", "key_"),
        )
        untouched.append(
            {
                "rows": rows,
                "base_is_ours": shape.same_key("base", "ours", "c", "k"),
                "base_is_theirs": shape.same_key("base", "theirs", "c", "k"),
            }
        )
    return render.render(
        "merge_bags.changes",
        ours=_changes(contents, merge, merge.ours),
        theirs=_changes(contents, merge, merge.theirs),
        same_key=shape.same_key("ours", "theirs", "k", "k"),
        keys=[{"id": _id(c)} for c in shape.key],
        untouched=untouched,
    )


def _changes(contents: Contents, merge: RowMerge, side: Side) -> Sql:
    """The changes in the number of copies since the base, under the merged definition."""
    tables = [*(each.table for each in merge.sides), merge.merged]
    plain = not merge.merged.key and not any(each.rows for each in merge.sides)
    if plain and len({tuple((c.id, c.type) for c in table.stored_columns) for table in tables}) == 1:
        return side_changes(contents, merge, side)[0]
    before = _counted(contents, merge, merge.base) if merge.base else None
    after = _counted(contents, merge, side) if side.version_id else None
    return compare(merge.shape, before, after)


def _counted(contents: Contents, merge: RowMerge, side: Side) -> Sql:
    """The rows of a side under the merged definition, ``c<id>``, and their numbers of copies, ``c0``."""
    return render.fill(
        Sql("SELECT {{keys}}, count(*) AS c0 FROM ({{rows}}) AS rows GROUP BY ALL"),
        keys=[aliased(render.column(f"key_{c.id}"), f"c{c.id}") for c in merge.shape.key],
        rows=_rows(contents, merge, side),
    )


def _of_states(contents: Contents, merge: RowMerge) -> Sql:
    unlike = [c for c in merge.shape.key if c.id in merge.unlike]
    names = [*(f"key_{c.id}" for c in merge.shape.key), *(f"misfit_{c.id}" for c in unlike)]
    as_cast: list[render.Sql] = [render.column(f"key_{c.id}") for c in merge.shape.key]
    as_cast += [aliased(NO_TEXT, f"misfit_{c.id}") for c in unlike]
    parts: dict[str, render.Fragment] = {}
    for side in ("ours", "theirs"):
        same = [
            render.fill(
                Sql("{{a}} IS NOT DISTINCT FROM {{b}}"), a=render.column(name, side), b=render.column(name, "base")
            )
            for name in names
        ]
        fits = [render.fill(Sql("{{m}} IS NULL"), m=render.column(f"misfit_{c.id}", side)) for c in unlike]
        parts[f"{side}_is_base"] = render.joined(same, " AND ")
        parts[f"{side}_fits"] = render.joined(fits, " AND ")
    return render.render(
        "merge_bags.states",
        rows_of=[render.column(name) for name in names],
        as_cast=as_cast,
        base=_rows(contents, merge, merge.base),
        ours=_rows(contents, merge, merge.ours),
        theirs=_rows(contents, merge, merge.theirs),
        **parts,
    )


def _rows(contents: Contents, merge: RowMerge, side: Side | None) -> Sql:
    """The rows of a side under the merged definition, with the values that do not fit it."""
    outputs = []
    for column in merge.shape.key:
        own = side.column(column) if side else None
        stored = render.column(f"c{own.id}") if own else None
        value = merge.converted(stored, side, own, column) if side and own and stored else filling(column)
        outputs.append(aliased(value, f"key_{column.id}"))
        if column.id in merge.unlike:
            misfit = merge.misfit(stored, side, own, column) if side and own and stored else NO_TEXT
            outputs.append(aliased(misfit, f"misfit_{column.id}"))
    if side is None or side.version_id is None:
        keys = [(f"key_{c.id}", stored_as(c)) for c in merge.shape.key]
        misfits = [(f"misfit_{c.id}", Sql("VARCHAR")) for c in merge.shape.key if c.id in merge.unlike]
        return render.no_rows([*keys, *misfits])
    return render.fill(Sql("SELECT {{outputs}} FROM ({{state}}) AS state"), outputs=outputs, state=side.state(contents))


def _id(column: Column) -> Sql:
    return render.literal(column.id)
