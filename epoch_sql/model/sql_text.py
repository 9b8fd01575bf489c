"""Reads SQL text that DuckDB printed from its catalog: tokens, lists and names. Gives one spelling to text that
DuckDB prints in several ways."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

# DuckDB prints two kinds of quotes (``'…'`` and ``"…"``, doubled inside) and no comments. So a few lines read it
# exactly in every version, and no parser of all of SQL is needed.

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


# DuckDB prints the same definition differently before and after a restart (1.4, 1.5), after it was created again from
# its own text, and in different versions. Without one spelling, an unchanged view or default would look changed.

# The names in duckdb_types() of each type that DuckDB prints under more than one name.
_TYPE_NAMES = {
    name: canonical_name
    for canonical_name, names in {
        "BIGINT": "bigint int64 int8 long oid",
        "BIGNUM": "bignum varint",
        "BIT": "bit bitstring",
        "BLOB": "binary blob bytea varbinary",
        "BOOLEAN": "bool boolean logical",
        "DATE": "date",
        "DECIMAL": "dec decimal numeric",
        "DOUBLE": "double float8",
        "ENUM": "enum",
        "FLOAT": "float float4 real",
        "HUGEINT": "hugeint int128",
        "INTEGER": "int int32 int4 integer integral signed",
        "INTERVAL": "interval",
        "MAP": "map",
        "SMALLINT": "int16 int2 short smallint",
        "STRUCT": "row struct",
        "TIME": "time",
        "TIME WITH TIME ZONE": "timetz",
        "TIMESTAMP": "datetime timestamp timestamp_us",
        "TIMESTAMP WITH TIME ZONE": "timestamptz",
        "TIMESTAMP_MS": "timestamp_ms",
        "TIMESTAMP_NS": "timestamp_ns",
        "TIMESTAMP_S": "timestamp_s",
        "TIME_NS": "time_ns",
        "TINYINT": "int1 tinyint",
        "UBIGINT": "ubigint uint64",
        "UHUGEINT": "uhugeint uint128",
        "UINTEGER": "uint32 uinteger",
        "UNION": "union",
        "USMALLINT": "uint16 usmallint",
        "UTINYINT": "uint8 utinyint",
        "UUID": "guid uuid",
        "VARCHAR": "bpchar char nvarchar string text varchar",
    }.items()
    for name in names.split()
} | {"time with time zone": "TIME WITH TIME ZONE", "timestamp with time zone": "TIMESTAMP WITH TIME ZONE"}
_LAMBDA_FUNCTIONS = frozenset(
    f"{prefix}{name}" for prefix in ("list_", "array_", "") for name in ("transform", "apply", "filter", "reduce")
)
_VALUES = ["(", "SELECT", "*", "FROM", "(", "VALUES"]
_BOOLEANS = {"'t'": "true", "'f'": "false"}


def canonical(text: str) -> str:
    """The one spelling for all spellings that DuckDB has for the expression or query."""
    text = _spaced(text)
    if "valueslist" in text:
        text = _with_bare_values(text)
    if "->" in text:
        text = _with_lambdas(text)
    return _with_booleans(_with_settled_types(text)) if "CAST(" in text else text


def _spaced(text: str) -> str:
    """The text with the same white space from all DuckDB versions: one space where there was some, and one between
    ``)`` and a word."""
    parts: list[str] = []
    for match in TOKEN.finditer(text):
        part = " " if match[0].isspace() else match[0]
        if parts and parts[-1] == ")" and Token(part, 0).name is not None:
            parts.append(" ")
        parts.append(part)
    return "".join(parts).strip()


def _with_bare_values(text: str) -> str:
    """``(SELECT * FROM (VALUES …) AS valueslist)`` as ``(VALUES …)``: DuckDB wraps it once more each time it parses."""
    while True:
        found = list(tokens(text))
        words = [token.text for token in found]
        position = next((n for n in range(len(words)) if words[n : n + 6] == _VALUES and _is_wrapped(words, n)), None)
        if position is None:
            return text
        close = _closing(words, position + 4)
        inner = text[found[position + 5].start : found[close].start]
        text = text[: found[position].end] + inner + text[found[close + 3].start :]


def _is_wrapped(words: Sequence[str], position: int) -> bool:
    close = _closing(words, position + 4)
    return list(words[close + 1 : close + 4]) == ["AS", "valueslist", ")"]


def _closing(words: Sequence[str], opening: int) -> int:
    """The position of the bracket that closes the one at ``opening``."""
    depth = 0
    for position in range(opening, len(words)):
        depth += (words[position] in "([{") - (words[position] in ")]}")
        if depth == 0:
            return position
    return len(words) - 1


def _with_lambdas(text: str) -> str:
    """``(x -> …)`` as ``(lambda x: …)`` in the arguments of list functions, where it cannot be JSON's arrow.

    DuckDB 1.4 and 1.5 forget at a restart which of the two was written; 2.0 refuses the first one.
    """
    found = list(tokens(text))
    called: list[str] = []
    parts, position = [], 0
    for number, token in enumerate(found):
        if token.text == "(":
            argument = number > 0 and found[number - 1].text == "," and called and called[-1] in _LAMBDA_FUNCTIONS
            names, arrow = _arrow(found, number) if argument else ([], number)
            if found[arrow].text == "->":
                parts += [text[position : token.end], f"lambda {', '.join(names)}:"]
                position = found[arrow].end
        if token.text in "([{":
            called.append((found[number - 1].name or "").lower() if number else "")
        elif token.text in ")]}" and called:
            called.pop()
    return "".join(parts) + text[position:]


def _arrow(tokens: Sequence[Token], opening: int) -> tuple[list[str], int]:
    """The name, or the names in ``row(…)``, in the bracket at ``opening``, and the position where an arrow would
    follow."""
    words = [token.text for token in tokens]
    start = opening + (3 if words[opening + 1 : opening + 3] == ["main", "."] else 1)
    if tokens[start].name == "row" and words[start + 1] == "(":
        end = _closing(words, start + 1)
        return [token.text for token in tokens[start + 2 : end] if token.name is not None], end + 1
    return [words[start]], start + 1 if tokens[start].name is not None else opening


def _with_settled_types(text: str) -> str:
    """The expression with the types of its casts spelled as DuckDB spells them after a restart.

    DuckDB 1.5 prints ``CAST(x AS "DATE")`` and ``CAST(x AS DECIMAL(10, 2))`` until the database is opened again, and
    ``CAST(x AS DATE)`` and ``CAST(x AS DECIMAL(10,2))`` from then on.
    """
    parts, position = [], 0
    for kind in _cast_types(list(tokens(text))):
        if kind[0].start >= position:
            parts += [text[position : kind[0].start], _settled(kind)]
            position = kind[-1].end
    return "".join(parts) + text[position:]


def _with_booleans(text: str) -> str:
    """``CAST('t' AS BOOLEAN)`` as ``true``: DuckDB 1.4 and 1.5 print either."""
    found = list(tokens(text))
    parts, position = [], 0
    for number in range(len(found) - 5):
        words = [token.text for token in found[number : number + 6]]
        if words[2] in _BOOLEANS and [*words[:2], *words[3:]] == ["CAST", "(", "AS", "BOOLEAN", ")"]:
            parts += [text[position : found[number].start], _BOOLEANS[words[2]]]
            position = found[number + 5].end
    return "".join(parts) + text[position:]


def _cast_types(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The tokens of the type of each cast, by the position of the first one."""
    types = []
    opened: list[tuple[bool, int | None]] = []
    for number, token in enumerate(tokens):
        if token.text in "([{":
            opened.append((number > 0 and tokens[number - 1].is_word("CAST", "TRY_CAST"), None))
        elif token.text in ")]}" and opened:
            _, start = opened.pop()
            if start is not None:
                types.append(tokens[start:number])
        elif opened and opened[-1][0] and token.is_word("AS"):
            opened[-1] = (True, number + 1)
    return sorted(types, key=lambda kind: kind[0].start)


def _settled(kind: Sequence[Token]) -> str:
    """A type as DuckDB prints it after a restart; names of fields stay."""
    parts: list[str] = []
    has_fields: list[bool] = []
    ignored = 0
    for number, token in enumerate(kind):
        before, after = (
            kind[number - 1].text if number else "",
            kind[number + 1].text if number + 1 < len(kind) else ")",
        )
        is_field = bool(has_fields and has_fields[-1] and before in ("(", ","))
        qualified = "." in (before, after)
        text = token.text
        if token.name is not None and not is_field and not qualified:
            text = _TYPE_NAMES.get(token.name.lower(), token.text)
        if token.text == "(":
            has_fields.append(before.upper() in ("STRUCT", "ROW", "UNION"))
        elif token.text == ")":
            has_fields.pop()
        if ignored:
            ignored -= 1
            continue
        if text in ("BIT", "VARCHAR") and after == "(" and not is_field:
            ignored = 3
        if text == "DECIMAL" and after in (")", ",", "[") and not is_field:
            text = "DECIMAL(18,3)"
        scale = before == "," and kind[number - 2].text.isdigit() and text.isdigit()
        gap = " " if number and token.start > kind[number - 1].end and not scale else ""
        parts.append(gap + text)
    return "".join(parts)
