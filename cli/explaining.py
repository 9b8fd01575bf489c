"""Patterns of a change in words, and the verdict on a promotion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from epoch_sql.characters import visible

from .output import Line
from .wording import counted, short

Row = Mapping[str, Any]

_WORDS = {
    "scaled": "multiplied by {value}",
    "sign flipped": "sign flipped",
    "became NULL": "became NULL",
    "was NULL": "was NULL",
    "trimmed": "spaces trimmed",
    "case": "letter case",
    "constant": "is now {value}",
    "always": "is always {value}",
    "always NULL": "is always NULL",
}
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
    common = ", ".join(f"{visible(row['column_name'])} {_pattern(row)}" for row in rows)
    return [f"{counted(rows[0]['cells'], f'{kind} row')}: {common}"] if rows else []


def _cells_told(row: Row) -> str:
    name = visible(row["column_name"])
    if row["pattern"] is None:
        return f"{name}: {counted(row['matching'], 'cell')} without one pattern"
    what = _signed(row["value"]) if row["pattern"] == "delta" else _pattern(row)
    cells, matching = row["cells"], row["matching"]
    return f"{name}: {what} in {f'each of {cells:,}' if matching == cells else f'{matching:,} of {cells:,}'}"


def _pattern(row: Row) -> str:
    return _WORDS[row["pattern"]].format(value=visible(row["value"] or ""))


def _signed(value: str) -> str:
    return value if value.startswith("-") else f"+{value}"


def verdict_lines(found: Row) -> Iterator[Line]:
    """Whether a promotion may be merged, and what stands in its way."""
    what = f"{visible(found['source'])} ({short(found['source_commit'])}) → {visible(found['target'])}: "
    if found["up_to_date"]:
        yield [(f"{what}already up to date", "")]
        return
    yield [(what, ""), ("ready to merge", "bold green") if found["allowed"] else ("not ready", "bold red")]
    yield [(f"  {counted(found['ahead'], 'commit')} ahead, {found['behind']:,} behind", "")]
    for reason in found["reasons"]:
        yield [("  ✗ ", "red"), (visible(reason["text"]), "")]
    for word, style in (("approvals", "green"), ("rejections", "red"), ("stale_approvals", "dim")):
        if found[word]:
            yield [(f"  {word.replace('_', ' ')}: {visible(', '.join(found[word]))}", style)]
