"""Renders SQL text from the queries in ``sql/``. No other module composes SQL.

A file in ``sql/`` holds the queries of one concern, each after a line ``-- name: <query>``, and
``render("<file>.<query>", …)`` fills one. A query has placeholders ``{{name}}``. A placeholder takes ``Sql``, or a list
of it (joined by commas): text that this module rendered before (``identifier``, ``literal`` …), or that DuckDB printed
from its catalog. It refuses a plain string, so no name or value of a user reaches SQL without quotes. A section
``{{#name}} … {{/name}}`` is rendered once if the name is true, and for a list once for each of its items, with their
fragments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

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


Fragment = Sql | Sequence[Sql]
Item = Mapping[str, Fragment | bool]
"""The items for which a section is repeated."""


def render(query: str, /, **fragments: Fragment | Sequence[Item] | bool) -> Sql:
    """The text of a query in ``sql/`` with its placeholders filled."""
    return fill(load(query), **fragments)


def constants(columns: Sequence[Column], rows: Sequence[Sequence[Any]] = ()) -> Sql:
    """A relation of constants that has these columns; without rows, an empty one."""
    if not rows:
        return no_rows((column.name, Sql(column.type)) for column in columns)
    # As a text for each column, which DuckDB reads a hundred times as fast as an expression for each value.
    values = "unnest(CAST(CAST({{values}} AS JSON) AS {{type}}[])) AS {{name}}"
    lists = [
        fill(
            values,
            values=literal(json.dumps(of_column, ensure_ascii=False, default=str)),
            type=Sql(column.type),
            name=identifier(column.name),
        )
        for column, of_column in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return fill("SELECT {{lists}}", lists=lists)


def no_rows(columns: Iterable[tuple[str, Sql]]) -> Sql:
    """The empty relation with these columns: their names and their types."""
    typed = [fill("CAST(NULL AS {{type}}) AS {{name}}", type=kind, name=identifier(name)) for name, kind in columns]
    return fill("SELECT {{columns}} WHERE false", columns=typed)


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


def catalog_table(name: str) -> Sql:
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


def verbatim(text: str) -> Sql:
    """Text that DuckDB printed from its catalog (a default, a view), used as it is."""
    return Sql(text)


def joined(parts: Sequence[Sql], separator: str) -> Sql:
    """Fragments joined by a separator that is part of SQL's grammar, such as ``UNION ALL``."""
    return Sql(separator.join(_text(part) for part in parts))


def identifier(name: str) -> Sql:
    """A quoted name."""
    return _quoted(name, '"')


def column(name: str, relation: str | None = None) -> Sql:
    """A column, qualified by a relation if several are in scope."""
    return _path([relation, name] if relation else [name])


def table(name: ObjectName, database: str | None = None) -> Sql:
    """A table (or another object in a schema), qualified by its schema and its database, by default ``DATABASE``."""
    database = database or DATABASE.get()
    return _path([*([database] if database else []), *name.schema_path, name.name])


def relative(name: ObjectName) -> Sql:
    """A table (or another object), qualified by its schema only, for text that has to work in any database."""
    return _path([*name.schema_path, name.name])


def _path(names: Sequence[str]) -> Sql:
    return Sql(".".join(map(identifier, names)))


def literal(value: str | int | bool | None) -> Sql:
    """A constant. Strings keep every character."""
    if value is None:
        return Sql("NULL")
    if isinstance(value, bool):
        return Sql("TRUE" if value else "FALSE")
    return Sql(value) if isinstance(value, int) else _quoted(value, "'")


def strings(values: Sequence[str]) -> Sql:
    """A list constant of strings: ``['a', 'b']``."""
    return Sql("[" + ", ".join(_text(literal(value)) for value in values) + "]")


def _given(placeholder: str) -> Sql:
    if placeholder != "epoch":
        raise KeyError(placeholder)
    database = DATABASE.get()
    return _path([database, "epoch"] if database else ["epoch"])


def _text(fragment: Any) -> str:
    if isinstance(fragment, Sql):
        return fragment
    if isinstance(fragment, str):
        raise TypeError(f"a plain string is not a SQL fragment: {fragment!r}")
    return ", ".join(_text(part) for part in fragment)


def _quoted(text: str, quote: str) -> Sql:
    return Sql(f"{quote}{text.replace(quote, quote * 2)}{quote}")
