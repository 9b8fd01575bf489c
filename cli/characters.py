"""Text from data made harmless for a terminal, and for streams that cannot carry every character."""

from __future__ import annotations

import re

# C0 and C1 controls, line and paragraph separators, and the marks that reorder what is read.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_UNSAFE_IN_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def visible(text: str) -> str:
    """Text on one line, with characters that could steer a terminal spelled out (``\\n``, ``\\x1b``)."""
    return _UNSAFE.sub(_spelled, text)


def harmless(text: str) -> str:
    """Text of any number of lines, with what could steer a terminal spelled out as in ``visible``."""
    return _UNSAFE_IN_LINES.sub(_spelled, text)


def harmless_json(text: str) -> str:
    """JSON with what could steer a terminal escaped: the same values."""
    return _UNSAFE_IN_LINES.sub(lambda match: json_escape(match[0]), text)


def json_escape(character: str) -> str:
    """A character as JSON escapes it: ``\\u00e4``, or two of these for what is beyond 16 bits."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))


def _spelled(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
