"""Makes text from data harmless for a terminal, and for streams that cannot carry every character."""

from __future__ import annotations

import re

from epoch_sql.characters import escaped, is_hidden

_SUSPECT = re.compile(r"[^ -~]")
_KEPT = "\t\n"


def visible(text: str) -> str:
    """Text on one line, with characters that could steer a terminal, or that nobody sees, spelled out (``\\x1b``)."""
    return escaped(text)


def harmless(text: str) -> str:
    """Text of any number of lines. Spells out characters that steer a terminal, as ``visible`` does."""
    return escaped(text, _KEPT)


def harmless_json(text: str) -> str:
    """JSON with the same values. Escapes characters that steer a terminal."""
    if text.isprintable():
        return text
    return _SUSPECT.sub(lambda m: json_escape(m[0]) if is_hidden(m[0]) and m[0] not in _KEPT else m[0], text)


def json_escape(character: str) -> str:
    """A character as JSON escapes it: ``\\u00e4``, or two of these for what is beyond 16 bits."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))
