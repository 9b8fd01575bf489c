"""Counts, commit ids and times in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from epoch_sql.model.patterns import counted

from .output import Span

_SHORT = 7
_COUNTS = (("rows_added", "+", "green"), ("rows_modified", "~", "yellow"), ("rows_removed", "-", "red"))


def row_counts(row: Mapping[str, Any]) -> list[Span]:
    """``+10 ~3 -1`` of rows added, modified and removed; what is zero is left out."""
    parts = [(f"{sign}{row[name]:,}", style) for name, sign, style in _COUNTS if row.get(name)]
    return [span for part in parts for span in ((" ", ""), part)][1:]


def summary(row: Mapping[str, Any]) -> str:
    """``2 tables, +10 ~3 -1 rows`` of what a procedure returned."""
    parts = []
    if row.get("tables_changed") is not None:
        parts.append(counted(row["tables_changed"], "table"))
    counts = "".join(text for text, _ in row_counts(row))
    if counts:
        parts.append(f"{counts} rows")
    return ", ".join(parts)


def in_brackets(text: str) -> str:
    """`` (text)``, or nothing for an empty text."""
    return f" ({text})" if text else ""


def short(commit_id: str, among: Iterable[str] = ()) -> str:
    """The first 7 digits of a commit id, or as many as distinguish it from ``among``."""
    others = [other for other in among if other != commit_id]
    length = _SHORT
    while any(other.startswith(commit_id[:length]) for other in others):
        length += 1
    return commit_id[:length]


def moment(time: datetime) -> str:
    """A time of the catalog, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
