"""Which changes of a column's type keep every value: after those, rows that were written before are cast when read."""

from __future__ import annotations

import re

_SIGNED = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT"]
_UNSIGNED = ["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"]
_BITS = (8, 16, 32, 64, 128)
_INTEGERS = {
    **{name: (-(1 << bits - 1), (1 << bits - 1) - 1) for name, bits in zip([*_SIGNED, "HUGEINT"], _BITS, strict=True)},
    **{name: (0, (1 << bits) - 1) for name, bits in zip([*_UNSIGNED, "UHUGEINT"], _BITS, strict=True)},
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_ENUM = re.compile(r"ENUM\(.*\)", re.DOTALL)
_TEXT_TELLS_ALL = re.compile(
    r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(\d+,\d+\)|FLOAT|DOUBLE|BOOLEAN|DATE|TIME|"
    r"TIMESTAMP(_S|_MS|_NS)?|UUID|VARCHAR|ENUM\(.*\)",
    re.DOTALL,
)


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


def common(old: str, new: str) -> str:
    """A type in which values of both can be compared: one that has them all, if there is one, else the newer type."""
    if old == new or _holds(new, old):
        return new
    if _holds(old, new):
        return old
    integers = old in _INTEGERS and new in _INTEGERS
    texts = any(t == "VARCHAR" or _ENUM.fullmatch(t) for t in (old, new))
    told = _TEXT_TELLS_ALL.fullmatch(old) and _TEXT_TELLS_ALL.fullmatch(new)
    return "VARCHAR" if integers or (texts and told) else new


def _holds(wide: str, narrow: str) -> bool:
    """Whether the type has every value of the other; of an ENUM nobody knows."""
    if wide in _INTEGERS and narrow in _INTEGERS:
        return _INTEGERS[wide][0] <= _INTEGERS[narrow][0] and _INTEGERS[narrow][1] <= _INTEGERS[wide][1]
    return not _ENUM.fullmatch(wide) and widens(narrow, wide)
