"""Differing rows for people: a table of rows added, removed and modified, with old and new values side by side.

DuckDB gives the texts, and a column of some thousand rows is laid out at once, because a difference may have millions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from epoch_sql.characters import visible

from .output import Drawn, Line, Span, batches, cell_width, codes
from .table import MOST_OF_A_CELL, cut
from .wording import row_counts

_SIGNS = {"added": ("+", "green"), "modified": ("~", "yellow"), "removed": ("-", "red")}
_VALUES = {"+": "green", "~": "dim", "-": "red"}
_ARROW = " → "
_GAP = "  "
_SIGN_WIDTH = 3


@dataclass(frozen=True)
class Differing:
    """The rows that differ of one table: a sign, and for each of the columns ``names`` its text. ``keys`` are those of
    the key on either side.

    Rows that are ``apart`` have two texts for each column: the value, and the new one where it changed, or else None.
    """

    names: Sequence[str]
    rows: Iterable[Sequence[str | None]]
    keys: frozenset[str] = frozenset()
    apart: bool = False


def difference_lines(
    changed: Sequence[dict[str, Any]],
    definitions: Sequence[dict[str, Any]],
    rows_of: Callable[[str], Differing],
    width: int | None = None,
) -> Iterator[Line]:
    """All differences, table by table.

    ``changed`` are rows of epoch_diff_stat, ``definitions`` of epoch_schema_diff; ``rows_of`` gives the rows of one
    table. A table that is wider than ``width`` is shown with its key and the columns that changed, or else one value
    below the other.
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
    widths: list[int] = []
    kept = [*range(len(found.names))]
    for batch in batches(found.rows):
        signs, columns = _columns(found, batch, None if width is None else MOST_OF_A_CELL)
        if width is None:
            yield from _grid(signs, columns, widths)
            continue
        differ = [column.new is not None for column in columns]
        shown = [columns[i] for i in kept]
        if _width(shown, widths) > width or any(differs and i not in kept for i, differs in enumerate(differ)):
            # What some thousand rows on has changed, too, is shown below another heading.
            kept = [i for i, name in enumerate(found.names) if name in found.keys or differ[i] or not any(differ)]
            shown = [columns[i] for i in kept]
            widths.clear()
        if _width(shown, widths) <= width:
            yield from _grid(signs, shown, widths)
        else:
            widths.clear()
            yield from _records(signs, shown, found.keys)


@dataclass(frozen=True)
class _Column:
    """A column of some rows: the texts of its values, which of them are NULL, the new texts of those that changed, and
    how wide each is on the screen."""

    name: str
    texts: Sequence[str]
    is_null: Sequence[bool] | None
    new: Sequence[str | None] | None
    lengths: Sequence[int]

    @property
    def heading(self) -> str:
        """Its name on the screen."""
        return visible(self.name)

    def differs(self, row: int, sign: str) -> bool:
        """Whether a row with that sign has another value than before, in a row that was added or removed any value."""
        if sign == "~":
            return self.new is not None and self.new[row] is not None
        return self.is_null is None or not self.is_null[row]

    def painted(self, signs: Sequence[str]) -> Sequence[str]:
        """The texts in the colours of the terminal."""
        styles = {sign: codes(style) for sign, style in _VALUES.items()}
        single = [f"{styles[sign][0]}{text}{styles[sign][1]}" for sign, text in zip(signs, self.texts, strict=True)]
        if self.new is None:
            return single
        (red, no_red), (green, no_green) = codes("red"), codes("green")
        return [
            text if new is None else f"{red}{old}{no_red}{_ARROW}{green}{new}{no_green}"
            for text, old, new in zip(single, self.texts, self.new, strict=True)
        ]


def _columns(
    found: Differing, batch: Sequence[Sequence[str | None]], most: int | None
) -> tuple[Sequence[str], list[_Column]]:
    """The signs of rows, and their columns, with values of at most so many columns of the screen."""
    signs, *texts = zip(*batch, strict=True)
    if not found.apart:
        return signs, [_column(name, values, None, most) for name, values in zip(found.names, texts, strict=True)]
    sides = zip(found.names, texts[::2], texts[1::2], strict=True)
    return signs, [_column(name, values, new, most) for name, values, new in sides]


def _column(name: str, values: Sequence[str | None], new: Sequence[str | None] | None, most: int | None) -> _Column:
    is_null = [value is None for value in values] if None in values else None
    texts = _shown(["NULL" if value is None else value for value in values], most)
    lengths = _lengths(texts)
    if new is None or new.count(None) == len(new):
        return _Column(name, texts, is_null, None, lengths)
    shown = _shown([text or "" for text in new], most)
    ends = [None if value is None else text for value, text in zip(new, shown, strict=True)]
    both = zip(lengths, _lengths(shown), new, strict=True)
    return _Column(name, texts, is_null, ends, [n if v is None else n + len(_ARROW) + m for n, m, v in both])


def _shown(texts: Sequence[str], most: int | None) -> Sequence[str]:
    """Texts without hidden characters, and the long ones cut."""
    if not "".join(texts).isprintable():
        texts = [*map(visible, texts)]
    if most is not None and max(_lengths(texts)) > most:
        texts = [cut(text, most) for text in texts]
    return texts


def _lengths(texts: Sequence[str]) -> list[int]:
    return [*map(len if "".join(texts).isascii() else cell_width, texts)]


def _widths(columns: Sequence[_Column], known: Sequence[int]) -> list[int]:
    """The widths of columns, which rows before may have made wider."""
    least = known or [cell_width(column.heading) for column in columns]
    return [max(width, *column.lengths) for width, column in zip(least, columns, strict=True)]


def _width(columns: Sequence[_Column], known: Sequence[int]) -> int:
    return _SIGN_WIDTH + sum(len(_GAP) + width for width in _widths(columns, known))


def _grid(signs: Sequence[str], columns: Sequence[_Column], widths: list[int]) -> Iterator[Line]:
    """Rows as aligned lines, after a heading unless there are rows before, whose ``widths`` are known."""
    is_first = not widths
    widths[:] = _widths(columns, widths)
    if is_first:
        heading: list[Span] = [(" " * _SIGN_WIDTH, "")]
        for column, width in zip(columns, widths, strict=True):
            blanks = " " * (width - cell_width(column.heading))
            heading += [(_GAP, ""), (column.heading, "bold"), (blanks, "")]
        yield heading
    marks = _marks()
    cells = [[marks[sign] for sign in signs]]
    for column, width in zip(columns, widths, strict=True):
        texts = zip(column.painted(signs), column.lengths, strict=True)
        cells.append([text + " " * (width - length) for text, length in texts])
    for line in map(_GAP.join, zip(*cells, strict=True)):
        yield Drawn(line.rstrip(" "))


def _records(signs: Sequence[str], columns: Sequence[_Column], keys: frozenset[str]) -> Iterator[Line]:
    """Each row with its key on one line, and the columns that changed below."""
    marks, (bold, no_bold) = _marks(), codes("bold")
    painted = [(column, column.painted(signs)) for column in columns]
    for row, sign in enumerate(signs):
        key = (f"{_GAP}{bold}{c.heading} {no_bold}{texts[row]}" for c, texts in painted if c.name in keys)
        yield Drawn(marks[sign] + "".join(key))
        for column, texts in painted:
            if column.name not in keys and column.differs(row, sign):
                yield Drawn(f"      {bold}{column.heading}: {no_bold}{texts[row]}")


def _marks() -> dict[str, str]:
    """The signs as the first column."""
    return {sign: f"  {sign}".join(codes(style)) for sign, style in _SIGNS.values()}
