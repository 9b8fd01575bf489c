"""Reads SQL text that DuckDB printed from its catalog: tokens, lists and names, and quotes.

DuckDB prints two kinds of quotes (``'…'`` and ``"…"``, doubled inside) and no comments. So a few lines read it exactly
in every version, and no parser of all of SQL is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\W\d][\w$]*|\d[\w.]*|\s+|:=|[-+*/%<>=!~^&|@#]+|.""",
    re.DOTALL,
)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII | re.IGNORECASE)

# duckdb_keywords() of DuckDB 1.4, 1.5 and 2.0: the categories reserved and type_function.
# fmt: off
_RESERVED = frozenset(
    {
        "all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof", "asymmetric", "at",
        "authorization", "binary", "both", "by", "case", "cast", "check", "collate", "collation", "column", "columns",
        "concurrently", "constraint", "create", "cross", "default", "deferrable", "desc", "describe", "distinct",
        "do", "else", "end", "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "generated",
        "glob", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect", "into", "is", "isnull",
        "join", "lambda", "lateral", "leading", "left", "like", "limit", "map", "natural", "not", "notnull", "null",
        "offset", "on", "only", "or", "order", "outer", "overlaps", "pivot", "pivot_longer", "pivot_wider", "placing",
        "positional", "primary", "qualify", "references", "returning", "right", "row", "select", "semi", "show",
        "similar", "some", "struct", "summarize", "symmetric", "table", "tablesample", "then", "to", "trailing",
        "true", "try_cast", "tuple", "union", "unique", "unpack", "unpivot", "using", "variadic", "verbose", "when",
        "where", "window", "with",
    }
)
# fmt: on


class Token(NamedTuple):
    """One token: its text and its position."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """The position after the token."""
        return self.start + len(self.text)

    @property
    def name(self) -> str | None:
        """The identifier in the token, without its quotes, or None for strings, numbers and operators."""
        if self.text[0] == '"':
            return self.text[1:-1].replace('""', '"')
        return self.text if self.text[0] == "_" or self.text[0].isalpha() else None

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, in upper case. A quoted name never is."""
        return self.text.upper() in words


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens of ``text`` from ``start`` on, without the white space."""
    for match in TOKEN.finditer(text, start):
        if not match[0].isspace():
            yield Token(match[0], match.start())


def top_level(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens outside of all brackets. Ends before a bracket that closes the one around ``start``."""
    depth = 0
    for token in tokens(text, start):
        if token.text in "([{":
            depth += 1
        if token.text in ")]}":
            depth -= 1
            if depth < 0:
                return
        elif depth == 0:
            yield token


def element_end(text: str, start: int) -> int:
    """The end of the list element that begins at ``start``: a comma, a closing bracket or the end of the text."""
    depth = 0
    for token in tokens(text, start):
        if depth == 0 and token.text in (",", ")", "]", "}"):
            return token.start
        depth += (token.text in "([{") - (token.text in ")]}")
    return len(text)


def list_after(text: str, start: int = 0) -> list[str]:
    """The elements of the first parenthesized list at or after ``start``. Raises ValueError if there is none."""
    opening = next((token for token in tokens(text, start) if token.text == "("), None)
    if opening is None:
        raise ValueError(f"no list in {text!r}")
    elements = []
    position = opening.end
    while True:
        end = element_end(text, position)
        elements.append(text[position:end].strip())
        if text[end : end + 1] != ",":
            return elements
        position = end + 1


def split_statements(text: str) -> list[str]:
    """The statements of a text that separates them by semicolons."""
    statements, position = [], 0
    for token in tokens(text):
        if token.text == ";":
            statements.append(text[position : token.start].strip())
            position = token.end
    return [statement for statement in [*statements, text[position:].strip()] if statement]


def mentioned(text: str) -> set[str]:
    """The names in an expression, in lower case: columns, functions, types and keywords alike."""
    return {name.lower() for token in tokens(text) if (name := token.name) is not None}


def mentioned_anywhere(text: str) -> set[str]:
    """The names of ``mentioned``, and names in strings, as in ``nextval('a.q')``: the string, and its last part."""
    strings = (token.text[1:-1].lower() for token in tokens(text) if token.text.startswith("'"))
    return mentioned(text) | {word for string in strings for word in (string, string.rpartition(".")[2])}


def with_names(text: str, renamed: Mapping[str, str]) -> str:
    """The expression with renamed columns. ``renamed`` maps old names in lower case to new names.

    Names before ``(`` are functions, and names after ``.`` are fields: both stay.
    """
    found = list(tokens(text))
    parts: list[str] = []
    position = 0
    for index, token in enumerate(found):
        called = index + 1 < len(found) and found[index + 1].text == "("
        field = index > 0 and found[index - 1].text == "."
        if (name := token.name) is not None and name.lower() in renamed and not called and not field:
            parts += [text[position : token.start], readable(renamed[name.lower()])]
            position = token.end
    return "".join(parts) + text[position:]


def same_expression(left: str | None, right: str | None) -> bool:
    """Whether two expressions have the same tokens, whatever their quotes and spaces."""
    if left is None or right is None:
        return left is right
    return _normalized(left) == _normalized(right)


def readable(name: str) -> str:
    """A name in SQL, with quotes only if it needs them."""
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _normalized(text: str) -> list[str]:
    return [token.name.lower() if token.name is not None else token.text for token in tokens(text)]
