"""A file as a relation that DuckDB's own readers give: its columns, and its rows as the types of a table.

DuckDB rounds ``1.5`` to an INTEGER, and cuts a time to a DATE, without a word. So values that come as texts are cast
here, where a value that would change is an error. The reader itself converts those that it cannot change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.model.schema import widens
from epoch_sql.render import Sql
from epoch_sql.storage.types import parse_type

_READ_AS_THEY_ARE = frozenset(
    {"BOOLEAN", "FLOAT", "DOUBLE", "TIME", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "UUID"},
)
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT"}
)


@dataclass(frozen=True)
class Column:
    """A column to read: its name in the file, and the type that it gets."""

    name: str
    type: str


@dataclass(frozen=True)
class Value:
    """A value as it is read: its type, the value cast, and the condition that the cast would change it (or None)."""

    read_as: str
    cast: Sql
    changes: Sql | None


@dataclass(frozen=True)
class Reader:
    """A file, or a relation of Arrow or of another database. ``file`` is what errors call it.

    ``columns`` are its own, with the types that DuckDB finds. ``relation`` gives the rows, in which columns have other
    types if they are texts (``texts``), but for those that the reader converts itself (``direct``). ``first_line`` is
    the line of the first row in a CSV file. ``again`` says that the rows can be read twice. ``left_out`` are columns
    that are not read, because they are computed.
    """

    file: str
    columns: Mapping[str, str]
    relation: Callable[[Mapping[str, str]], Sql]
    texts: bool = False
    bytes: int = 0
    first_line: int | None = None
    direct: frozenset[str] = frozenset()
    again: bool = True
    left_out: tuple[str, ...] = ()
    rejecting: Callable[[Mapping[str, str]], Sql] | None = None

    def rows(self, wanted: Mapping[str, Column]) -> Sql:
        """The rows with these columns, by their names in the table."""
        found = {name: self._value(column) for name, column in wanted.items()}
        outputs = [
            render.fill(
                "CASE WHEN {{changes}} THEN error('the value would change') ELSE {{cast}} END AS {{name}}"
                if value.changes
                else "{{cast}} AS {{name}}",
                changes=value.changes or value.cast,
                cast=value.cast,
                name=render.identifier(name),
            )
            for name, value in found.items()
        ]
        return render.fill(
            "SELECT {{outputs}} FROM {{relation}} AS source", outputs=outputs, relation=self._relation(wanted)
        )

    def first_fault(self, wanted: Mapping[str, Column]) -> Sql:
        """The query for the first value that cannot be converted: the position of its row and of its column, the
        value, and the line breaks in the rows before it."""
        faults: list[render.Item] = []
        for position, column in enumerate(wanted.values()):
            value = self._value(column)
            given = _of_source(column.name)
            tried = _tried(given, column.type)
            fault = render.fill("({{v}} IS NOT NULL AND {{tried}} IS NULL)", v=given, tried=tried)
            if value.changes:
                fault = render.fill("({{fault}} OR coalesce({{c}}, false))", fault=fault, c=value.changes)
            faults.append({"fault": fault, "position": render.literal(position), "value": given})
        types = self.as_texts() if self.texts else self.columns
        return render.render("import.first_fault", faults=faults, relation=self.relation(types))

    def as_texts(self) -> dict[str, str]:
        """The types to read every value as a text, but for those that only the reader itself converts."""
        return {name: type if name in self.direct else "VARCHAR" for name, type in self.columns.items()}

    def _relation(self, wanted: Mapping[str, Column]) -> Sql:
        types = dict(self.columns)
        if self.texts:
            types |= {column.name: self._value(column).read_as for column in wanted.values()}
        return self.relation(types)

    def _value(self, column: Column) -> Value:
        given, own = _of_source(column.name), self.columns[column.name]
        if self.texts and column.name not in self.direct:
            return _from_text(given, column.type)
        if self.texts or own == column.type or widens(own, column.type):
            return Value(column.type if self.texts else own, _cast(given, column.type), None)
        back = _tried(_tried(given, column.type), own)
        changes = render.fill("{{back}} IS DISTINCT FROM {{v}}", back=back, v=given)
        return Value(own, _cast(given, column.type), changes)


def _of_source(name: str) -> Sql:
    return render.column(name, "source")


def _cast(value: Sql, type: str) -> Sql:
    return render.fill("CAST({{value}} AS {{type}})", value=value, type=Sql(type))


def _tried(value: Sql, type: str) -> Sql:
    return render.fill("TRY_CAST({{value}} AS {{type}})", value=value, type=Sql(type))


def _from_text(text: Sql, type: str) -> Value:
    """A value of a type from its text."""
    parsed = parse_type(type)
    if type in _READ_AS_THEY_ARE:
        return Value(type, text, None)
    template = None
    if type in _INTEGERS:
        template = "import.changes_integer"
    elif parsed.name == "DECIMAL":
        template = "import.changes_decimal"
    elif type == "DATE":
        template = "import.changes_date"
    elif type.startswith("TIMESTAMP"):
        template = "import.changes_time"
    changes = None
    if template:
        scale = render.literal(int(parsed.arguments[1])) if parsed.name == "DECIMAL" else Sql("0")
        changes = render.render(template, text=text, type=Sql(type), scale=scale)
    return Value("VARCHAR", _cast(text, type), changes)
