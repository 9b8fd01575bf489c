"""Which changes of a column's type keep every value: after those, rows that were written before are cast when read."""

from __future__ import annotations

import re

_SIGNED = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT"]
_UNSIGNED = ["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is the same value in the new one, and casts back to itself."""
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
    return old.startswith("ENUM(") and (new.startswith("ENUM(") or new == "VARCHAR")


def compatible(old: str, new: str) -> bool:
    """Whether a delta can lead from a column of the old type to one of the new type."""
    return widens(old, new)
