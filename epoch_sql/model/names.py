"""Names with a schema. A schema is a path, since DuckDB 2.0 has schemas within schemas.

A path is written with dots. A part that holds a dot or a quote is quoted as in SQL. So the schema ``"a.b"`` and the
schema ``b`` within ``a`` have different texts, and each can be read back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_PART = re.compile(r'"((?:[^"]|"")*)"(?=\.|$)|([^.]*)', re.DOTALL)


@dataclass(frozen=True, order=True)
class ObjectName:
    """A schema-qualified name, exactly as the user spelled it.

    ``schema`` is the path of the schema, as ``path_text`` writes it. For a schema, it is the path of the schema around
    it, and empty for an outermost schema.
    """

    schema: str
    name: str

    def __str__(self) -> str:
        """``orders`` in schema main, ``schema.orders`` elsewhere: the form that every table_name column has."""
        return path_text([self.name]) if self.schema in ("main", "") else self.as_schema

    @property
    def schema_path(self) -> tuple[str, ...]:
        """The names of the schemas around it, the outermost first."""
        return path_parts(self.schema) if self.schema else ()

    @property
    def as_schema(self) -> str:
        """The ``schema`` of the objects in this schema."""
        return f"{self.schema}.{path_text([self.name])}" if self.schema else path_text([self.name])

    @property
    def folded(self) -> tuple[str, str]:
        """The name as SQL compares it: in lower case."""
        return self.schema.lower(), self.name.lower()


def path_text(parts: Sequence[str]) -> str:
    """The text of a path: ``a.b``, or ``"a.b"`` for one part that holds a dot."""
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' if _is_quoted(part) else part for part in parts)


@lru_cache(maxsize=4096)
def path_parts(text: str) -> tuple[str, ...]:
    """The parts of a path that ``path_text``, or a user, wrote."""
    parts, position = [], 0
    while position <= len(text):
        match = _PART.match(text, position)
        assert match
        parts.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        position = match.end() + 1
    return tuple(parts)


def parse_name(text: str) -> ObjectName:
    """The name in a text that ``str`` or a user wrote. Without a schema, the name is in schema main."""
    *schema, name = path_parts(text)
    return ObjectName(path_text(schema) if schema else "main", name)


def schema_name(path: Sequence[str]) -> ObjectName:
    """The name of the schema that has a path."""
    return ObjectName(path_text(path[:-1]), path[-1])


def name_meant(text: str, names: Iterable[ObjectName]) -> ObjectName | None:
    """The name among ``names`` that a table argument means, in any letter case.

    If the text matches no name, quotes may be missing, as long as only one name matches without them.
    """
    known = list(names)
    wanted = parse_name(text).folded
    exact = next((name for name in known if str(name) == text), None)
    found = exact or next((name for name in known if name.folded == wanted), None)
    if found:
        return found
    loose = [name for name in known if text.lower() in _unquoted(name)]
    return loose[0] if len(loose) == 1 else None


def _unquoted(name: ObjectName) -> set[str]:
    """A name in lower case and without quotes. A table of schema main also has one without its schema."""
    parts = (*name.schema_path, name.name)
    return {".".join(parts).lower(), name.name.lower() if name.schema == "main" else ".".join(parts).lower()}


def _is_quoted(part: str) -> bool:
    return not part or "." in part or '"' in part
