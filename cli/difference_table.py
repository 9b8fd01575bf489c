"""Differing rows for people: a table of rows added, removed and modified, with old and new values side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from epoch_sql.characters import visible

from .output import Line, Span, aligned, batches, header, plain, shown
from .rows import Rows
from .table import MOST_OF_A_CELL, cut
from .wording import row_counts

_SIGNS = {"added": ("+", "green"), "modified": ("~", "yellow"), "removed": ("-", "red")}
_ARROW = " → "


@dataclass(frozen=True)
class Differing:
    """The rows of the typed epoch_diff of one table, and the columns of its key on either side."""

    rows: Rows
    keys: frozenset[str] = frozenset()


def difference_lines(
    changed: Sequence[dict[str, Any]],
    definitions: Sequence[dict[str, Any]],
    rows_of: Callable[[str], Differing],
    width: int | None = None,
) -> Iterator[Line]:
    """All differences, table by table.

    ``changed`` are rows of epoch_diff_stat, ``definitions`` of epoch_schema_diff; ``rows_of`` gives the rows of the
    typed epoch_diff of one table: diff_type, changed_columns, then from_<col> and to_<col>. A table that is wider than
    ``width`` is shown with its key and the columns that changed, or else one value below the other.
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
            yield from _rows(rows_of(name), width)


def _definition(row: dict[str, Any]) -> Line:
    sign, style = _SIGNS.get(row["diff_type"], ("~", "cyan"))
    sides = [visible(side) for side in (row["from_definition"], row["to_definition"]) if side is not None]
    what = f"{row['object']} {visible(row['name'] or '')}"
    return [("  ", ""), (f"{sign} {what}: {_ARROW.join(sides)}", style)]


def _rows(found: Differing, width: int | None) -> Iterator[Line]:
    result = found.rows
    at = {name: i for i, name in enumerate(result.columns)}
    names = list(dict.fromkeys(n.split("_", 1)[1] for n in result.columns if n.startswith(("from_", "to_"))))
    columns = [(at.get(f"from_{name}"), at.get(f"to_{name}")) for name in names]
    differing = ((*_SIGNS[str(row[at["diff_type"]])], [_sides(row, *pair) for pair in columns]) for row in result.cells)
    widths: list[int] = []
    kept = [*range(len(names))]
    for batch in batches(differing):
        if width is None:
            yield from _grid(names, batch, widths)
            continue
        rows = [(sign, style, [(_cut(old), _cut(new)) for old, new in sides]) for sign, style, sides in batch]
        differ = [any(sides[i][0] != sides[i][1] for sign, _, sides in batch if sign == "~") for i in range(len(names))]
        grid = _grid(*_columns(names, rows, kept), widths)
        if _width(grid) > width or any(differs and i not in kept for i, differs in enumerate(differ)):
            # What some thousand rows on has changed, too, is shown below another heading.
            kept = [i for i, name in enumerate(names) if name in found.keys or differ[i] or not any(differ)]
            widths.clear()
            grid = _grid(*_columns(names, rows, kept), widths)
        if _width(grid) <= width:
            yield from grid
        else:
            widths.clear()
            yield from _records(*_columns(names, rows, kept), found.keys)


Row = tuple[str, str, list[tuple[str | None, str | None]]]
"""A sign, its style, and the old and the new value of each column."""


def _columns(names: Sequence[str], rows: Sequence[Row], kept: Sequence[int]) -> tuple[list[str], list[Row]]:
    """Some of the columns of rows."""
    return [names[i] for i in kept], [(sign, style, [sides[i] for i in kept]) for sign, style, sides in rows]


def _grid(names: Sequence[str], rows: Sequence[Row], widths: list[int] | None = None) -> list[Line]:
    """Rows as aligned lines, after a heading unless there are rows before, whose ``widths`` are known."""
    heading: list[list[Line]] = [] if widths else [["", *header(names)]]
    cells: list[list[Line]] = [
        [[(f"  {sign}", style)], *(_cell(sign, style, old, new) for old, new in sides)] for sign, style, sides in rows
    ]
    return aligned([*heading, *cells], known=widths)


def _records(names: Sequence[str], rows: Sequence[Row], keys: frozenset[str]) -> Iterator[Line]:
    """Each row with its key on one line, and the columns that changed below."""
    for sign, style, sides in rows:
        named = [(name, _cell(sign, style, *values)) for name, values in zip(names, sides, strict=True)]
        line: list[Span] = [(f"  {sign}", style)]
        for name, spans in named:
            if name in keys:
                line += [("  ", ""), (f"{visible(name)} ", "bold"), *spans]
        yield line
        for (name, spans), (old, new) in zip(named, sides, strict=True):
            if name not in keys and old != new:
                yield [("      ", ""), (f"{visible(name)}: ", "bold"), *spans]


def _width(lines: Sequence[Line]) -> int:
    from rich.cells import cell_len

    return max((cell_len(plain(line)) for line in lines), default=0)


def _cut(value: str | None) -> str | None:
    return None if value is None else cut(shown(value), MOST_OF_A_CELL)


def _sides(row: Sequence[str | None], old: int | None, new: int | None) -> tuple[str | None, str | None]:
    """The values of both sides; None if a side has no such column."""
    return None if old is None else row[old], None if new is None else row[new]


def _cell(sign: str, style: str, old: str | None, new: str | None) -> list[Span]:
    if sign == "+":
        return [(shown(new), style)]
    if sign == "-":
        return [(shown(old), style)]
    if old == new:
        return [(shown(new), "dim")]
    return [(shown(old), "red"), (_ARROW, ""), (shown(new), "green")]
