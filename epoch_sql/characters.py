"""Characters that are invisible or steer a terminal: controls, bidirectional marks, zero-width characters.

Names that Epoch gives have none of them. In names of tables, in messages and in values they are spelled out where they
are shown.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SUSPECT = re.compile(r"[^ -~]")


def is_hidden(character: str) -> bool:
    """Whether it is a control, a format character (bidirectional, zero-width), a line separator or half a character."""
    return unicodedata.category(character) in _HIDDEN


def has_hidden(text: str) -> bool:
    """Whether any character of a text is hidden."""
    return not text.isprintable() and any(map(is_hidden, text))


def escaped(text: str, keep: str = "") -> str:
    """A text with its hidden characters spelled out (``\\n``, ``\\x1b``, ``\\u202e``), but for those to ``keep``."""
    if text.isprintable():
        return text
    return _SUSPECT.sub(lambda match: match[0] if match[0] in keep else _spelled(match[0]), text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if is_hidden(character) else character
