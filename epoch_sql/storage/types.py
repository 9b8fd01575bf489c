"""DuckDB's type text, as ``duckdb_columns()`` and DESCRIBE print it, parsed into a tree. Also the Parquet field ids of
the parts of a type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from epoch_sql.errors import UnsupportedType
from epoch_sql.model.schema import LARGEST_COLUMN_ID, identity
from epoch_sql.render import Sql, fill, identifier, joined, literal

_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"]|"")+")|(?P<string>'(?:[^']|'')*')|(?P<word>[A-Za-z_][A-Za-z0-9_$]*)"""
    r"""|(?P<number>[0-9]+)|(?P<mark>[()\[\],])|(?P<space>\s+)|(?P<other>.)""",
    re.DOTALL,
)
_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Field:
    """A part of a nested type. ``spelling`` is its name as DuckDB printed it, with quotes if needed.

    ``renamed_from`` is the identity of the field before a rename.
    """

    spelling: str
    type: DataType
    renamed_from: str | None = None

    @property
    def name(self) -> str:
        """The name without its quotes."""
        return _unquoted(self.spelling)

    @property
    def identity(self) -> str:
        """Matches it with a field of another type: its name in lower case, or its name before a rename."""
        return self.renamed_from or self.name.lower()


@dataclass(frozen=True)
class DataType:
    """A type: its text, its name (LIST and ARRAY for ``[]`` and ``[3]``), its constants and its parts.

    ``arguments`` are decimal digits, array size, enum labels or coordinate system. The parts of a LIST or ARRAY are
    one field ``item``, those of a MAP ``key`` and ``value``, those of a TUPLE ``element1``, ``element2`` and so on.
    """

    text: str
    name: str
    arguments: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()

    @property
    def height(self) -> int:
        """The number of levels of types below this one."""
        return max((field.type.height + 1 for field in self.fields), default=0)

    def leaves(self) -> Iterator[DataType]:
        """The types without parts, in order."""
        if not self.fields:
            yield self
        for field in self.fields:
            yield from field.type.leaves()

    def parts(self) -> Iterator[DataType]:
        """This type and every type inside it."""
        yield self
        for field in self.fields:
            yield from field.type.parts()


@cache
def parse_type(text: str) -> DataType:
    """The tree of a type's text. Raises UnsupportedType if DuckDB prints no such type for a column."""
    parser = _Parser(text)
    parsed = parser.data_type()
    parser.expect_end()
    return parsed


def castable(old: str, new: str) -> bool:
    """Whether a cast between two types binds, and gives the same values under the other type.

    DuckDB refuses some casts of structs and unions while it binds, also with TRY_CAST. In a union, it turns NULL into a
    value.
    """
    return old == new or _castable(parse_type(old), parse_type(new))


def _castable(old: DataType, new: DataType) -> bool:
    if "UNION" in (old.name, new.name):
        return old.text == new.text
    if "STRUCT" in (old.name, new.name):
        if old.name != new.name:
            return "VARCHAR" in (old.name, new.name)
        fields = {field.name.lower(): field.type for field in old.fields}
        shared = [(fields[f.name.lower()], f.type) for f in new.fields if f.name.lower() in fields]
        return bool(shared) and all(_castable(before, after) for before, after in shared)
    if len(old.fields) != len(new.fields):
        return all("UNION" not in (part.name for part in side.parts()) for side in (old, new))
    return all(_castable(before.type, after.type) for before, after in zip(old.fields, new.fields, strict=True))


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        found = (_Token(match.lastgroup or "", match[0], *match.span()) for match in _TOKEN.finditer(text))
        self._tokens = [token for token in found if token.kind != "space"]
        self._tokens.append(_Token("end", "", len(text), len(text)))
        self._position = 0

    def data_type(self) -> DataType:
        start = self._token.start
        parsed = self._unsuffixed()
        while self._accept("["):
            size = (self._take("number"),) if self._token.kind == "number" else ()
            self._expect("]")
            parsed = DataType(self._since(start), "ARRAY" if size else "LIST", size, (Field("item", parsed),))
        return parsed

    def expect_end(self) -> None:
        self._take("end")

    def _unsuffixed(self) -> DataType:
        start = self._token.start
        name = self._words()
        if not self._accept("("):
            return DataType(name, name)
        arguments: tuple[str, ...] = ()
        fields: tuple[Field, ...] = ()
        if name in ("STRUCT", "UNION"):
            fields = self._separated(self._field)
        elif name in ("MAP", "TUPLE"):
            fields = self._named(name, self._separated(self.data_type))
        else:
            arguments = self._separated(lambda: _unquoted(self._take("string", "number")))
        return DataType(self._since(start), name, arguments, fields)

    def _words(self) -> str:
        words = [self._take("word")]
        while self._token.kind == "word":
            words.append(self._take("word"))
        return " ".join(words)

    def _field(self) -> Field:
        return Field(self._take("quoted", "word"), self.data_type())

    def _named(self, name: str, types: tuple[DataType, ...]) -> tuple[Field, ...]:
        names = ("key", "value") if name == "MAP" else tuple(f"element{position + 1}" for position in range(len(types)))
        if len(names) != len(types):
            raise self._refusal()
        return tuple(map(Field, names, types))

    def _separated(self, part: Callable[[], _Part]) -> tuple[_Part, ...]:
        parts = [part()]
        while self._accept(","):
            parts.append(part())
        self._expect(")")
        return tuple(parts)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._position]

    def _take(self, *kinds: str) -> str:
        token = self._token
        if token.kind not in kinds:
            raise self._refusal()
        self._position += token.kind != "end"
        return token.text

    def _accept(self, mark: str) -> bool:
        found = self._token.kind == "mark" and self._token.text == mark
        self._position += found
        return found

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            raise self._refusal()

    def _since(self, start: int) -> str:
        return self._text[start : self._tokens[self._position - 1].end]

    def _refusal(self) -> UnsupportedType:
        return UnsupportedType.of(self._text, self._text)


def _unquoted(token: str) -> str:
    quote = token[0]
    return token[1:-1].replace(quote * 2, quote) if quote in "\"'" else token


# Engines find the parts of a nested column by field ids. The id of a part follows from that of its column and from its
# path: the names of the fields that lead to it. So equal definitions have equal ids on every machine, and renaming a
# column or adding a field changes no other id. A definition knows no more than names, so a renamed field gets another
# id; all rows are then written again.

OLD_VALUE = 1 << 30
"""What is added to the field ids of old values in a delta, and of their parts."""
COPIES = OLD_VALUE - 1
"""The field id of the number of copies of a row without a key."""
_NESTED = LARGEST_COLUMN_ID + 1
_OWN_ID = "__duckdb_field_id"


@dataclass(frozen=True)
class FieldId:
    """The field id of a column or of a part, by the name that it has in the file, and those of its own parts.

    The part of a LIST is ``element``, those of a MAP are ``key`` and ``value``.
    """

    name: str
    id: int
    parts: tuple[FieldId, ...] = ()


def part_ids(type: DataType, column_id: int, shift: int, taken: set[int]) -> tuple[FieldId, ...]:
    """The ids of the parts of a column's storage type. ``taken`` are the ids of other parts in the file, without the
    ``shift``."""
    return _part_ids(type, (str(column_id),), shift, taken)


def field_ids_of_copy(fields: Sequence[FieldId]) -> Sql:
    """The value of COPY's option FIELD_IDS."""
    named = [fill("{{name}}: {{id}}", name=identifier(field.name), id=_with_parts(field)) for field in fields]
    return fill("{ {{named}} }", named=joined(named, ", "))


def _part_ids(type: DataType, path: tuple[str, ...], shift: int, taken: set[int]) -> tuple[FieldId, ...]:
    found = []
    for field in type.fields:
        name = "element" if type.name == "LIST" else field.name
        inside = (*path, name.lower())
        number = _NESTED + identity("part", *inside, taken={one - _NESTED for one in taken})
        taken.add(number)
        found.append(FieldId(name, number + shift, _part_ids(field.type, inside, shift, taken)))
    return tuple(found)


def _with_parts(field: FieldId) -> Sql:
    own = literal(field.id)
    if not field.parts or any(part.name.lower() == _OWN_ID for part in field.parts):
        return own
    return field_ids_of_copy([FieldId(_OWN_ID, field.id), *field.parts])
