"""The words for counts, and for what the changed cells of a column have in common."""

from __future__ import annotations

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


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``2,750 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def of_cells(column: str, pattern: str | None, cells: int, matching: int, value: str | None) -> str:
    """The pattern of a column's changed cells: ``arr_delay: -2 in each of 253,109``."""
    if pattern is None:
        return f"{column}: {counted(matching, 'cell')} without one pattern"
    share = f"each of {cells:,}" if matching == cells else f"{matching:,} of {cells:,}"
    return f"{column}: {_signed(value or '') if pattern == 'delta' else _filled(pattern, value)} in {share}"


def of_rows(column: str, pattern: str, value: str | None) -> str:
    """What all added or all removed rows have in column: ``month is always 12``."""
    return f"{column} {_filled(pattern, value)}"


def _filled(pattern: str, value: str | None) -> str:
    return _WORDS[pattern].format(value=value or "")


def _signed(value: str) -> str:
    return value if value.startswith("-") else f"+{value}"
