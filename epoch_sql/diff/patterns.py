"""``epoch_diff_changes``: what the changed cells of a column, and the added and the removed rows, have in common.

A column has a pattern if that explains more than half of its cells. The most frequent difference is found by DuckDB's
``approx_top_k``, which never misses one that is in more than half, and is then counted exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.diff.diff import changes_of, tables_of, union
from epoch_sql.render import Item, Sql
from epoch_sql.storage.shape import Shape
from epoch_sql.storage.types import parse_type
from epoch_sql.verb import query
from epoch_sql.versions.differences import Difference, differences
from epoch_sql.versions.sides import Pair, Side, expanded, pairs, side_of, value

_WHOLE = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)
_TIMES = frozenset({"DATE", "TIMESTAMP"})
_NONE = Sql("CAST(NULL AS VARCHAR)")


@dataclass(frozen=True)
class ChangePattern:
    """What ``matching`` of the changed ``cells`` of a column have in common, or all added or removed rows.

    ``delta`` adds ``value`` to each cell (to a date, in days), ``scaled`` multiplies it by ``value``, and after
    ``constant`` each is ``value``. ``case`` is that of letters. Cells without a pattern have NULL. Of added and removed
    rows, ``always`` has the value.
    """

    table: str
    diff_type: Literal["added", "modified", "removed"]
    column: str
    cells: int
    pattern: (
        Literal[
            "delta",
            "scaled",
            "sign flipped",
            "became NULL",
            "was NULL",
            "trimmed",
            "case",
            "constant",
            "always",
            "always NULL",
        ]
        | None
    )
    matching: int
    value: str | None


@query("epoch_diff_changes", ChangePattern)
def diff_changes(call: Call, from_ref: str, to_ref: str, *, table: str | None = None) -> Sql:
    """What the rows that differ between two references have in common.

    A changed column has the number of its cells and the pattern of most of them (`delta` -2, `sign flipped`,
    `became NULL` …). Added and removed rows have the columns with one value.

    Args:
        from_ref: the older side: a reference, or WORKING
        to_ref: the newer side: a reference, or WORKING
        table: only this table
    """
    return patterns_between(call, side_of(call, from_ref, macros=False), side_of(call, to_ref, macros=False), table)


def patterns_between(call: Call, before: Side, after: Side, table: str | None) -> Sql:
    """The rows of ``epoch_diff_changes`` for two sides."""
    found = [_patterns(call, difference) for difference in differences(before, after, table)]
    return union([render.fill(Sql("FROM ({{rows}}) AS patterns"), rows=rows) for rows in found], ChangePattern)


@dataclass(frozen=True)
class ComparedColumn:
    """A column of rows that differ: its values on both sides, and where they differ in a modified row.

    A type is None on a side that lacks the column.
    """

    name: str
    before: Sql
    after: Sql
    differs: Sql
    old_type: str | None
    new_type: str | None


def patterns_in(table: str, changes: Sql, columns: Sequence[ComparedColumn]) -> Sql:
    """The rows of ``epoch_diff_changes`` for one table: ``changes`` is a query with ``op``, and their values."""
    items = [_item(number, column) for number, column in enumerate(columns)]
    return render.render("patterns.changes", table_name=render.literal(table), changes=changes, columns=items)


def _patterns(call: Call, difference: Difference) -> Sql:
    changes, shape = changes_of(call, difference)
    stored = [pair for pair in pairs(*tables_of(difference)) if _is_stored(pair)]
    columns = [_compared(pair, shape) for pair in stored]
    return patterns_in(str(difference.table.name), expanded(changes, shape), columns)


def _is_stored(pair: Pair) -> bool:
    return all(column.stored for column in (pair.before, pair.after) if column)


def _compared(pair: Pair, shape: Shape) -> ComparedColumn:
    column = pair.after or pair.before
    assert column
    compared = next((c for c in shape.compared if pair.before and pair.after and c.id == pair.after.id), None)
    differs = Sql("false")
    if compared and not shape.keyless:
        new, old = render.column(f"n{compared.id}"), render.column(f"o{compared.id}")
        differs = shape.value_differs(compared, new, old)
    return ComparedColumn(
        column.name,
        value(pair.before, shape, "o", pair.after),
        value(pair.after, shape, "n", pair.before),
        differs,
        pair.before.type if pair.before else None,
        pair.after.type if pair.after else None,
    )


def _item(number: int, column: ComparedColumn) -> Item:
    """The fragments of ``patterns.changes`` for one column."""
    delta, factor = _numbers(number, column)
    is_text = column.old_type == column.new_type == "VARCHAR"
    return {
        "i": render.literal(number),
        "name": render.literal(column.name),
        "before": column.before,
        "after": column.after,
        "differs": column.differs,
        "before_text": Sql(f"CAST(before_{number} AS VARCHAR)"),
        "after_text": Sql(f"CAST(after_{number} AS VARCHAR)"),
        "delta": delta,
        "factor": factor,
        "is_trimmed": Sql(f"trim(before_{number}) = trim(after_{number})" if is_text else "false"),
        "is_case": Sql(f"lower(before_{number}) = lower(after_{number})" if is_text else "false"),
    }


def _numbers(i: int, column: ComparedColumn) -> tuple[Sql, Sql]:
    """The difference and the factor of a changed value; NULL where there is no such number."""
    types = {type_ for type_ in (column.old_type, column.new_type) if type_}
    kinds = {_kind(type_) for type_ in types}
    if kinds <= {"whole", "decimal", "float"}:
        factor = Sql(f"TRY(round(CAST(after_{i} AS DOUBLE) / nullif(CAST(before_{i} AS DOUBLE), 0), 9))")
        if not kinds <= {"whole", "decimal"}:
            return Sql(f"TRY(round(CAST(after_{i} AS DOUBLE) - CAST(before_{i} AS DOUBLE), 9))"), factor
        wide = "HUGEINT" if kinds == {"whole"} else None
        if wide:
            return Sql(f"TRY(CAST(after_{i} AS {wide}) - CAST(before_{i} AS {wide}))"), factor
        return Sql(f"TRY(after_{i} - before_{i})"), factor
    if kinds == {"time"} and len(types) == 1:
        return Sql(f"TRY(CAST(after_{i} - before_{i} AS VARCHAR))"), _NONE
    return _NONE, _NONE


def _kind(type_: str) -> str:
    name = parse_type(type_).name
    if name in _WHOLE:
        return "whole"
    if name in _TIMES:
        return "time"
    return {"DECIMAL": "decimal", "FLOAT": "float", "DOUBLE": "float"}.get(name, "other")
