"""Text from data made harmless for a terminal."""

from __future__ import annotations

import re

# C0 and C1 controls, line and paragraph separators, and the marks that reorder what is read.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Text on one line, with characters that could steer a terminal spelled out (``\\n``, ``\\x1b``)."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
