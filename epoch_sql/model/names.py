"""Names with a schema. A schema is a path, since DuckDB 2.0 has schemas within schemas.

A path is written with dots. A part that holds a dot or a quote is quoted as in SQL, so that the schema ``"a.b"`` and
the schema ``b`` within ``a`` are written differently, and each can be read back.
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

    ``schema`` is the schema's path as ``path_text`` writes it. In the name of a schema, it is the one that this is in,
    and empty for one that is in none.
    """

    schema: str
    name: str

    def __str__(self) -> str:
        """``orders`` in schema main, ``schema.orders`` elsewhere: the form that every table_name column has."""
        return path_text([self.name]) if self.schema in ("main", "") else self.as_schema

    @property
    def schema_path(self) -> tuple[str, ...]:
        """The names of the schemas that it is in, the outermost first."""
        return path_parts(self.schema) if self.schema else ()

    @property
    def as_schema(self) -> str:
        """What ``schema`` is in the names of what is in this one, if it is a schema."""
        return f"{self.schema}.{path_text([self.name])}" if self.schema else path_text([self.name])

    @property
    def folded(self) -> tuple[str, str]:
        """The name as SQL compares it: without regard to case."""
        return self.schema.lower(), self.name.lower()


def path_text(parts: Sequence[str]) -> str:
    """A path as it is written: ``a.b``, or ``"a.b"`` for one part that holds a dot."""
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
    """The name that a text spells, in schema main if it has none: what ``str`` of a name wrote, and ``main.orders``."""
    *schema, name = path_parts(text)
    return ObjectName(path_text(schema) if schema else "main", name)


def schema_name(path: Sequence[str]) -> ObjectName:
    """The name of the schema that has a path."""
    return ObjectName(path_text(path[:-1]), path[-1])


def name_meant(text: str, names: Iterable[ObjectName]) -> ObjectName | None:
    """The one of the names that a table argument means, in any case.

    What is written as no name is may be written without the quotes that it needs, if only one name is written so.
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
    """A name in lower case and without quotes; that of a table of schema main also without its schema."""
    parts = (*name.schema_path, name.name)
    return {".".join(parts).lower(), name.name.lower() if name.schema == "main" else ".".join(parts).lower()}


def _is_quoted(part: str) -> bool:
    return not part or "." in part or '"' in part
