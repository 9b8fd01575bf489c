"""Reads the names in the statement of a trigger from its tokens, because DuckDB serializes no statement that changes
rows.

A doubtful name counts as a function, and a string after FROM as a file, so that nothing harmful counts as harmless.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from epoch_sql.model.names import path_text
from epoch_sql.model.sql_text import Token, tokens

# fmt: off
_WORDS = frozenset({
    "all", "and", "any", "as", "between", "by", "case", "cast", "conflict", "decimal", "default", "distinct", "do",
    "else", "end", "except", "exists", "filter", "from", "having", "ilike", "in", "insert", "intersect", "into", "is",
    "join", "like", "matched", "not", "numeric", "on", "or", "over", "returning", "select", "set", "similar", "some",
    "then", "to", "try_cast", "union", "using", "values", "when", "where", "with", "within",
})
# fmt: on
_UNPRINTED = ("--", "/*", "$", "\\")
"""Comments, and quotes that DuckDB does not print: the lexer does not recognise them."""
_LIKE_A_FILE = re.compile(r"[/\\*?:\[\]{}.]")
_BEFORE_RELATIONS = ("FROM", "JOIN", "INTO", "UPDATE", "USING")


@dataclass
class Named:
    """Functions and relations (database, path of the schema, name) in lower case, and the arguments of nextval.

    ``files`` says whether a string may name a file, or DuckDB would not print the text like this.
    """

    functions: set[str] = field(default_factory=set)
    relations: set[tuple[str, str, str]] = field(default_factory=set)
    sequences: set[str | None] = field(default_factory=set)
    files: bool = False


def named_in(statement: str) -> Named:
    """The names in a statement."""
    found, named = list(tokens(statement)), Named(files=any(mark in statement for mark in _UNPRINTED))
    targets = set()
    for number, token in enumerate(found):
        if token.is_word(*_BEFORE_RELATIONS) or (token.text == "," and number):
            end = _relation(found, number + 1, named, certain=token.text != ",")
            if token.is_word("INTO"):
                targets.add(end)
    for number, token in enumerate(found[:-1]):
        name = (token.name or "").lower()
        if found[number + 1].text != "(" or not name or number in targets or (name in _WORDS and token.text[0] != '"'):
            continue
        named.functions.add(name)
        if name == "nextval":
            given = found[number + 2].text
            alone = number + 3 < len(found) and found[number + 3].text == ")"
            named.sequences.add(given[1:-1] if alone and given[0] == "'" else None)
    return named


def _relation(tokens: Sequence[Token], number: int, named: Named, certain: bool) -> int:
    """Note the relation at a position, if there is one. Gives the position of the last part of its name."""
    if number >= len(tokens):
        return number
    if tokens[number].text[0] == "'":
        named.files = named.files or certain or bool(_LIKE_A_FILE.search(tokens[number].text))
        return number
    parts = []
    while number < len(tokens) and (name := tokens[number].name) is not None:
        parts.append(name.lower())
        if number + 2 >= len(tokens) or tokens[number + 1].text != ".":
            break
        number += 2
    if certain and parts:
        *qualifiers, table = parts
        catalog = qualifiers[0] if len(qualifiers) > 1 else ""
        named.relations.add((catalog, path_text(qualifiers[1:] if catalog else qualifiers), table))
    elif parts and tokens[number].text[0] == '"':
        named.relations.add(("", path_text(parts[:-1]), parts[-1]))
    return number
