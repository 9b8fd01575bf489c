"""Which changes of a column's type keep every value. After these, older rows are cast when they are read."""

from __future__ import annotations

import re

_SIGNED = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT"]
_UNSIGNED = ["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_LABEL = re.compile(r"'(?:[^']|'')*'")
_ENUM = re.compile(rf"ENUM\((?:{_LABEL.pattern}(?:, ?)?)*\)")


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type has the same value in the new one, and casts back to itself."""
    if old == new:
        return True
    if old in _SIGNED and new in _SIGNED:
        return _SIGNED.index(old) < _SIGNED.index(new)
    if old in _UNSIGNED and new in _UNSIGNED:
        return _UNSIGNED.index(old) < _UNSIGNED.index(new)
    if old in _UNSIGNED and new in _SIGNED:
        return _UNSIGNED.index(old) < _SIGNED.index(new)
    if (old, new) == ("FLOAT", "DOUBLE"):
        return True
    before, after = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    if before and after:
        width, scale, new_width, new_scale = (int(n) for n in (*before.groups(), *after.groups()))
        return new_scale >= scale and new_width - new_scale >= width - scale
    if _ENUM.fullmatch(old) and _ENUM.fullmatch(new):
        return set(_LABEL.findall(old)) <= set(_LABEL.findall(new))
    return bool(_ENUM.fullmatch(old)) and new == "VARCHAR"


def compatible(old: str, new: str) -> bool:
    """Whether a delta can lead from a column of the old type to one of the new type."""
    return widens(old, new)


def common(old: str, new: str) -> str | None:
    """The type, of these two, that has every value of the other, if there is one."""
    if widens(old, new):
        return new
    return old if widens(new, old) else None
