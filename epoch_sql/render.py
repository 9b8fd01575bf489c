"""Renders SQL text from the queries in ``sql/``. No other module composes SQL.

A file in ``sql/`` holds the queries of one concern, each after a line ``-- name: <query>``, and
``render("<file>.<query>", …)`` fills one. A query has placeholders ``{{name}}``. A placeholder takes a sqlglot
expression, a list of them (joined by commas), or ``Sql``: text that this module rendered before, or that DuckDB printed
from its catalog. It refuses a plain string, so no name or value of a user reaches SQL without quotes. A section
``{{#name}} … {{/name}}`` is rendered once if the name is true, and for a list once for each of its items, with their
fragments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from sqlglot import exp

from epoch_sql.model.names import ObjectName
from epoch_sql.verb import Column

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_SECTION = re.compile(r"\{\{#(\w+)\}\}(.*?)\{\{/\1\}\}", re.DOTALL)

DATABASE: ContextVar[str | None] = ContextVar("database", default=None)
"""The database that SQL is rendered for. It qualifies names, because a schema may have the database's own name, and
because the user's current database may be another one."""


@contextmanager
def for_database(name: str | None) -> Iterator[None]:
    """Within it, SQL is rendered for a database; for None, without one."""
    token = DATABASE.set(name)
    try:
        yield
    finally:
        DATABASE.reset(token)


class Sql(str):
    """SQL text that is safe to embed: rendered here, or printed by DuckDB."""

    __slots__ = ()


Piece = exp.Expression | Sql
Fragment = Piece | Sequence[Piece]
Item = Mapping[str, Fragment | bool]
"""The items for which a section is repeated."""


def render(query: str, /, **fragments: Fragment | Sequence[Item] | bool) -> Sql:
    """The text of a query in ``sql/`` with its placeholders filled."""
    return fill(load(query), **fragments)


def constants(columns: Sequence[Column], rows: Sequence[Sequence[Any]] = ()) -> Sql:
    """A relation of constants that has these columns; without rows, an empty one."""
    if not rows:
        return no_rows((column.name, Sql(column.type)) for column in columns)
    typed = "CAST({{value}} AS {{type}}) AS {{name}}"
    selects = [
        fill(
            "SELECT {{values}}",
            values=[
                fill(typed, value=_constant(value), type=Sql(column.type), name=identifier(column.name))
                for column, value in zip(columns, row, strict=True)
            ],
        )
        for row in rows
    ]
    return joined(selects, "\nUNION ALL\n")


def no_rows(columns: Iterable[tuple[str, Piece]]) -> Sql:
    """The empty relation with these columns: their names and their types."""
    typed = [fill("CAST(NULL AS {{type}}) AS {{name}}", type=kind, name=identifier(name)) for name, kind in columns]
    return fill("SELECT {{columns}} WHERE false", columns=typed)


def _constant(value: Any) -> exp.Expression:
    return literal(str(value) if isinstance(value, datetime) else value)


def fill(text: str, /, **fragments: Fragment | Sequence[Item] | bool) -> Sql:
    """``text`` with its placeholders filled. Raises KeyError for a missing one.

    ``{{epoch}}`` is always given: the schema of the catalog.
    """
    if not fragments:
        return _without_fragments(text, DATABASE.get())
    if "{{#" in text:
        return _with_sections(text, fragments)
    return Sql(
        _PLACEHOLDER.sub(lambda match: _text(fragments[match[1]]) if match[1] in fragments else _given(match[1]), text)
    )


def _with_sections(text: str, fragments: Mapping[str, Any]) -> Sql:
    """A text with sections. Each part is filled by itself, so text inside a fragment never counts as a placeholder."""
    parts, done = [], 0
    for section in _SECTION.finditer(text):
        parts.append(fill(text[done : section.start()], **fragments))
        found = fragments[section[1]]
        items = [{}] * found if isinstance(found, bool) else found
        parts.extend(fill(section[2], **{**fragments, **item}) for item in items)
        done = section.end()
    parts.append(fill(text[done:], **fragments))
    return Sql("".join(parts))


@lru_cache(maxsize=1024)
def _without_fragments(text: str, _database: str | None) -> Sql:
    """The text for the database that SQL is rendered for now. Cached, because the same few hundred texts are needed
    all the time."""
    return Sql(_PLACEHOLDER.sub(lambda match: _given(match[1]), text))


def catalog_table(name: str) -> exp.Table:
    """A table of Epoch's own catalog."""
    return table(ObjectName("epoch", name))


def load(query: str) -> Sql:
    """The text of a query in ``sql/``: ``<file>.<query>``."""
    file, _, name = query.partition(".")
    return queries(file)[name]


@cache
def queries(file: str) -> dict[str, Sql]:
    """The queries in ``sql/<file>.sql`` by name."""
    text = files("epoch_sql.sql").joinpath(f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    # DuckDB would read the comments each time.
    return {n: Sql(_COMMENT.sub("", query).strip()) for n, query in zip(parts[::2], parts[1::2], strict=True)}


def to_sql(expression: exp.Expression) -> Sql:
    """One expression in DuckDB's SQL."""
    return Sql(_spelled(expression))


def verbatim(text: str) -> Sql:
    """Text that DuckDB printed from its catalog (a default, a view), used as it is."""
    return Sql(text)


def joined(parts: Sequence[exp.Expression | Sql], separator: str) -> Sql:
    """Fragments joined by a separator that is part of SQL's grammar, such as ``UNION ALL``."""
    return Sql(separator.join(_text(part) for part in parts))


def identifier(name: str) -> exp.Identifier:
    """A quoted name."""
    return exp.Identifier(this=name, quoted=True)


def column(name: str, relation: str | None = None) -> exp.Column:
    """A column, qualified by a relation if several are in scope."""
    return exp.Column(this=identifier(name), table=identifier(relation) if relation else None)


def table(name: ObjectName, database: str | None = None) -> exp.Table:
    """A table (or another object in a schema), qualified by its schema and its database, by default ``DATABASE``."""
    database = database or DATABASE.get()
    catalog = identifier(database) if database else None
    return exp.Table(this=identifier(name.name), db=_path(name.schema_path), catalog=catalog)


def relative(name: ObjectName) -> exp.Table:
    """A table (or another object), qualified by its schema only, for text that has to work in any database."""
    return exp.Table(this=identifier(name.name), db=_path(name.schema_path))


def _path(names: Sequence[str]) -> exp.Identifier | exp.Dot | None:
    """The schema of a name: nothing, its name, or its path."""
    parts = [identifier(name) for name in names]
    return exp.Dot.build(parts) if len(parts) > 1 else next(iter(parts), None)


def literal(value: str | int | bool | None) -> exp.Expression:
    """A constant. Strings keep every character."""
    if value is None:
        return exp.null()
    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if isinstance(value, int):
        return exp.Literal.number(value)
    return exp.Literal.string(value)


def strings(values: Sequence[str]) -> Sql:
    """A list constant of strings: ``['a', 'b']``."""
    return Sql("[" + ", ".join(_text(literal(value)) for value in values) + "]")


def _given(placeholder: str) -> str:
    if placeholder != "epoch":
        raise KeyError(placeholder)
    database = DATABASE.get()
    schema = exp.Table(this=identifier("epoch"), db=identifier(database) if database else None)
    return _spelled(schema)


def _text(fragment: Any) -> str:
    if isinstance(fragment, Sql):
        return fragment
    if isinstance(fragment, exp.Expression):
        return _spelled(fragment)
    if isinstance(fragment, str):
        raise TypeError(f"a plain string is not a SQL fragment: {fragment!r}")
    return ", ".join(_text(part) for part in fragment)


def _spelled(expression: exp.Expression) -> str:
    """An expression in DuckDB's SQL. This function writes names and constants, and sqlglot everything else.

    Sqlglot takes 30 times as long for a name, and a query over a thousand tables has ten thousand names.
    """
    kind, given = type(expression), expression.args
    if kind is exp.Identifier and given.get("quoted"):
        return _quoted(given["this"], '"')
    if kind is exp.Literal:
        return _quoted(given["this"], "'") if given["is_string"] else str(given["this"])
    if kind in _WORDS:
        return _WORDS[kind][bool(given.get("this"))]
    if kind in _DOTTED:
        parts = {part: value for part, value in given.items() if value is not None}
        names = [parts[part] for part in ("catalog", "db", "table", "this", "expression") if part in parts]
        if parts.keys() <= _DOTTED[kind] and all(type(name) in _NAMES for name in names):
            return ".".join(map(_spelled, names))
    return expression.sql(dialect="duckdb")


_WORDS: dict[type, tuple[str, str]] = {exp.Boolean: ("FALSE", "TRUE"), exp.Null: ("NULL", "NULL")}
_DOTTED: dict[type, set[str]] = {
    exp.Column: {"this", "table"},
    exp.Table: {"this", "db", "catalog"},
    exp.Dot: {"this", "expression"},
}
_NAMES = (exp.Identifier, exp.Dot)


def _quoted(text: str, quote: str) -> str:
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"
