"""Patterns of a change in words, and the verdict on a promotion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from epoch_sql.characters import visible
from epoch_sql.model.patterns import counted, of_cells, of_rows

from .output import Line
from .wording import short

Row = Mapping[str, Any]

_STYLES = {"added": "green", "modified": "yellow", "removed": "red"}
_SIGNS = {"modified": "~", "added": "+", "removed": "-"}


def pattern_lines(changes: Iterable[Row]) -> Iterator[Line]:
    """The patterns of each table, under its name."""
    for table, rows in groupby(changes, key=lambda row: row["table_name"]):
        yield [(visible(table), "bold")]
        found = list(rows)
        for kind, sign in _SIGNS.items():
            own = [row for row in found if row["diff_type"] == kind]
            told = [_cells_told(row) for row in own] if kind == "modified" else _rows_told(kind, own)
            yield from ([(f"  {sign} ", _STYLES[kind]), (text, "")] for text in told)


def _rows_told(kind: str, rows: list[Row]) -> list[str]:
    """What all added or all removed rows have in common, as one text if there is something."""
    common = ", ".join(of_rows(visible(row["column_name"]), row["pattern"], _value(row)) for row in rows)
    return [f"{counted(rows[0]['cells'], f'{kind} row')}: {common}"] if rows else []


def _cells_told(row: Row) -> str:
    return of_cells(visible(row["column_name"]), row["pattern"], row["cells"], row["matching"], _value(row))


def _value(row: Row) -> str:
    return visible(row["value"] or "")


def verdict_lines(found: Row) -> Iterator[Line]:
    """Whether a promotion may be merged, or why not."""
    what = f"{visible(found['source'])} ({short(found['source_commit'])}) → {visible(found['target'])}: "
    if found["up_to_date"]:
        yield [(f"{what}already up to date", "")]
        return
    yield [(what, ""), ("ready to merge", "bold green") if found["allowed"] else ("not ready", "bold red")]
    yield [(f"  {counted(found['ahead'], 'commit')} ahead, {found['behind']:,} behind", "")]
    for reason in found["reasons"]:
        yield [("  ✗ ", "red"), (visible(reason["message"]), "")]
    for word, style in (("approvals", "green"), ("rejections", "red"), ("stale_approvals", "dim")):
        if found[word]:
            yield [(f"  {word.replace('_', ' ')}: {visible(', '.join(found[word]))}", style)]
