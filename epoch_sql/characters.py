"""Characters that are invisible or steer a terminal: controls, bidirectional marks, zero-width characters.

Names that Epoch gives have none of them. In names of tables, in messages and in values they are spelled out where they
are shown.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SUSPECT = re.compile(r"[^ -~]")
_LAYOUT = "\t\n"


def is_hidden(character: str) -> bool:
    """Whether it is a control, a format character (bidirectional, zero-width), a line separator or half a character."""
    return unicodedata.category(character) in _HIDDEN


def has_hidden(text: str) -> bool:
    """Whether any character of a text is hidden."""
    return not text.isprintable() and any(map(is_hidden, text))


def visible(text: str, keep: str = "") -> str:
    """A text with its hidden characters spelled out (``\\n``, ``\\x1b``, ``\\u202e``), but for those to ``keep``."""
    if text.isprintable():
        return text
    return _SUSPECT.sub(lambda match: match[0] if match[0] in keep else _spelled(match[0]), text)


def harmless(text: str) -> str:
    """Text of any number of lines. Spells out characters that steer a terminal."""
    return visible(text, _LAYOUT)


def harmless_json(text: str) -> str:
    """JSON with the same values. Escapes characters that steer a terminal."""
    if text.isprintable():
        return text
    return _SUSPECT.sub(lambda m: json_escape(m[0]) if is_hidden(m[0]) and m[0] not in _LAYOUT else m[0], text)


def json_escape(character: str) -> str:
    """A character as JSON escapes it: ``\\u00e4``, or two of these for what is beyond 16 bits."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if is_hidden(character) else character
