"""Differing rows for people: a table of rows added, removed and modified, with old and new values side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .characters import visible
from .output import Line, Span, aligned, header, shown
from .rows import Rows
from .wording import row_counts

_SIGNS = {"added": ("+", "green"), "modified": ("~", "yellow"), "removed": ("-", "red")}
_ARROW = " → "


def difference_lines(
    changed: Sequence[dict[str, Any]], definitions: Sequence[dict[str, Any]], rows_of: Callable[[str], Rows]
) -> Iterator[Line]:
    """All differences, table by table.

    ``changed`` are rows of epoch_diff_stat, ``definitions`` of epoch_schema_diff; ``rows_of`` gives the rows of the
    typed epoch_diff of one table: diff_type, changed_columns, then from_<col> and to_<col>.
    """
    counts = {row["table_name"]: row for row in changed}
    names = dict.fromkeys([*counts, *(row["table_name"] for row in definitions)])
    for i, name in enumerate(names):
        if i:
            yield ""
        row = counts.get(name)
        yield [(visible(name or ""), "bold"), ("  ", ""), *(row_counts(row) if row else [])]
        yield from (_definition(row) for row in definitions if row["table_name"] == name)
        if row:
            yield from _rows(rows_of(name))


def _definition(row: dict[str, Any]) -> Line:
    sign, style = _SIGNS.get(row["diff_type"], ("~", "cyan"))
    sides = [visible(side) for side in (row["from_definition"], row["to_definition"]) if side is not None]
    what = f"{row['object']} {visible(row['name'] or '')}"
    return [("  ", ""), (f"{sign} {what}: {_ARROW.join(sides)}", style)]


def _rows(result: Rows) -> Iterator[Line]:
    at = {name: i for i, name in enumerate(result.columns)}
    names = dict.fromkeys(name.split("_", 1)[1] for name in result.columns if name.startswith(("from_", "to_")))
    cells = []
    for row in result.cells:
        sign, style = _SIGNS[str(row[at["diff_type"]])]
        sides = ((_side(row, at, f"from_{name}"), _side(row, at, f"to_{name}")) for name in names)
        cells.append([[(f"  {sign}", style)], *(_cell(sign, style, old, new) for old, new in sides)])
    return iter(aligned([["", *header(names)], *cells]))


def _side(row: Sequence[str | None], at: dict[str, int], column: str) -> str | None:
    """The value of one side, or None if that side has no such column."""
    return row[at[column]] if column in at else None


def _cell(sign: str, style: str, old: str | None, new: str | None) -> list[Span]:
    if sign == "+":
        return [(shown(new), style)]
    if sign == "-":
        return [(shown(old), style)]
    if old == new:
        return [(shown(new), "dim")]
    return [(shown(old), "red"), (_ARROW, ""), (shown(new), "green")]
