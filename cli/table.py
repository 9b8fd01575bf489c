"""Rows on a terminal: a table where it fits, and else one record below the other, as psql's ``\\x auto``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from epoch_sql.characters import visible

from .output import Line, cell_width

if TYPE_CHECKING:
    from .rows import Rows

MOST_OF_A_CELL = 60
"""Columns of the screen for one value of a table."""
_GAP = 3
_ELLIPSIS = "…"


class Fitted:
    """The lines of rows on a screen of ``width`` columns, some thousand rows at once, of which the first tell the form.

    Long values are cut and end in an ellipsis. Some thousand rows on, a longer value may widen its column.
    """

    def __init__(self, result: Rows, width: int) -> None:
        self.names = [visible(column) for column in result.columns]
        self.width = width
        self._numeric = [column in result.numeric for column in result.columns]
        self._widths: list[int] = []
        self.is_table = True
        self._count = 0

    def lines(self, cells: Sequence[Sequence[str]]) -> Iterator[Line]:
        """The lines of the next rows."""
        if self.is_table:
            short = [[cut(cell, MOST_OF_A_CELL) for cell in row] for row in cells]
            widths = [max(map(cell_width, column)) for column in zip(self.names, *short, strict=True)]
            is_first = not self._widths
            self._widths = [max(pair) for pair in zip(widths, self._widths or widths, strict=True)]
            if is_first:
                self.is_table = sum(widths) + _GAP * len(widths) <= self.width
            if self.is_table:
                if is_first:
                    yield ""
                    yield [(self._row(self.names), "bold")]
                    yield " " + "─" * (sum(widths) + _GAP * len(widths) - 1)
                yield from map(self._row, short)
                return
        for number, row in enumerate(cells, self._count + 1):
            yield from self._record(number, row)
        self._count += len(cells)

    def _row(self, cells: Sequence[str]) -> str:
        padded = []
        for cell, width, right in zip(cells, self._widths, self._numeric, strict=True):
            blanks = " " * (width - cell_width(cell))
            padded.append(blanks + cell if right else cell + blanks)
        return f"  {(' ' * _GAP).join(padded)}".rstrip(" ")

    def _record(self, number: int, row: Sequence[str]) -> Iterator[Line]:
        longest = min(max(map(cell_width, self.names)), max(self.width // 2, 1))
        room = max(self.width - longest - _GAP, 1)
        heading = f"─[ record {number} ]"
        yield [(cut(heading + "─" * max(self.width - len(heading), 0), self.width), "dim")]
        for name, cell in zip(self.names, row, strict=True):
            label = cut(name, longest)
            yield [(label + " " * (longest - cell_width(label)), "bold"), (" │ ", ""), (cut(cell, room), "")]


def cut(text: str, width: int) -> str:
    """A text on at most ``width`` columns of the screen. Wide characters count by their width."""
    if cell_width(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + _ELLIPSIS
