"""Rows on a terminal: a table where it fits, and else one record below the other, as psql's ``\\x auto``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from epoch_sql.characters import visible

if TYPE_CHECKING:
    from .rows import Rows

MOST_OF_A_CELL = 60
"""Columns of the screen for one value of a table."""
_GAP = 3
_ELLIPSIS = "…"


def fitted(result: Rows, cells: Sequence[Sequence[str]], width: int) -> list[Any]:
    """What rich prints for the rows on a screen of ``width`` columns. Long values are cut and end in an ellipsis."""
    names = [visible(column) for column in result.columns]
    shown = [[cut(cell, MOST_OF_A_CELL) for cell in row] for row in cells]
    widths = [max(map(_length, column)) for column in zip(names, *shown, strict=True)]
    if sum(widths) + _GAP * len(widths) <= width:
        return [_table(result, names, shown)]
    return _records(names, cells, width)


def cut(text: str, width: int) -> str:
    """A text on at most ``width`` columns of the screen. Wide characters count by their width."""
    from rich.cells import set_cell_size

    if _length(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + _ELLIPSIS


def _table(result: Rows, names: Sequence[str], cells: Sequence[Sequence[str]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for name, column in zip(names, result.columns, strict=True):
        table.add_column(Text(name), justify="right" if column in result.numeric else "left", no_wrap=True)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _records(names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[Any]:
    from rich.text import Text

    longest = min(max(map(_length, names)), max(width // 2, 1))
    labels = [cut(name, longest) for name in names]
    padded = [label + " " * (longest - _length(label)) for label in labels]
    room = max(width - longest - _GAP, 1)
    lines = []
    for number, row in enumerate(cells, 1):
        heading = f"─[ record {number} ]"
        lines.append(Text(cut(heading + "─" * max(width - len(heading), 0), width), "dim"))
        lines += [
            Text.assemble((label, "bold"), " │ ", cut(cell, room)) for label, cell in zip(padded, row, strict=True)
        ]
    return lines


def _length(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
