"""Names of tables, whose schema is a path (DuckDB 2.0 has schemas within schemas), and names of branches and tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache

from epoch_sql.characters import has_hidden, is_hidden, visible
from epoch_sql.errors import EpochReferenceError, InvalidName

# A path is written with dots. A part that holds a dot or a quote is quoted as in SQL. So the schema ``"a.b"`` and the
# schema ``b`` within ``a`` have different texts, and each can be read back.

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


RESERVED = ("HEAD", "WORKING")
LONGEST_LINE = 10_000

_LONGEST_SHOWN = 80
_FORBIDDEN = " ~^:?*[\\'\"`"
_REPLACEMENT = "-"


@dataclass(frozen=True)
class _Rule:
    """One rule. ``broken(name)`` is a clause that completes "it …", or None if the name follows the rule."""

    broken: Callable[[str], str | None]


def check_ref_name(name: str) -> None:
    """Refuse an invalid name of a branch or tag.

    The rules are git's (``git check-ref-format --branch``) and two more: ``HEAD`` and ``WORKING`` are reserved in any
    letter case, and quotes are refused, so that users can type every name in SQL and in a shell. As in git, a name may
    look like the prefix of a commit id. Raises EpochReferenceError with the broken rule and a similar valid name.
    """
    clause = _broken_rule(name)
    if clause is not None:
        nearest = nearest_valid_name(name)
        message = f"{quoted(name)} is not a valid name: it {clause}"
        raise InvalidName(message, f"try {quoted(nearest)}", name=name, nearest=nearest)


def is_line(name: str) -> bool:
    """Whether it can be a name: one line, not empty, without invisible characters."""
    return bool(name.strip()) and len(name) <= LONGEST_LINE and not has_hidden(name)


def check_identity(identity: str) -> None:
    """Refuse an invalid name of an author or a reviewer, with EpochReferenceError."""
    if not is_line(identity):
        raise EpochReferenceError(
            f"{quoted(identity)} cannot be an author: it is empty, too long, or has characters that nobody sees",
            "Name <mail>, on one line",
            name=identity,
        )


def is_valid_ref_name(name: str) -> bool:
    """Whether a branch or a tag may have that name."""
    return _broken_rule(name) is None


def nearest_valid_name(name: str) -> str:
    """A valid name that keeps as much of ``name`` as the rules allow."""
    if is_valid_ref_name(name):
        return name
    text = "".join(_REPLACEMENT if _is_forbidden(character) else character for character in name)
    text = re.sub(r"\.{2,}", ".", text.replace("@{", "@" + _REPLACEMENT))
    components = [_repaired_component(component) for component in text.split("/")]
    candidate = "/".join(component for component in components if component)
    if candidate.upper() in RESERVED:
        candidate = f"my-{candidate.lower()}"
    return candidate if is_valid_ref_name(candidate) else "my-branch"


def suggest(name: str, candidates: Iterable[str]) -> list[str]:
    """At most three of ``candidates``, most similar first: typing errors, then names that contain or begin ``name``.

    Letter case does not matter. The similarity is difflib's (Ratcliff and Obershelp).
    """
    known = sorted(set(candidates))
    wanted = name.casefold()
    if not wanted:
        return []
    folded: dict[str, list[str]] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), []).append(candidate)
    near = get_close_matches(wanted, list(folded), n=3, cutoff=0.6)
    begins = [text for text in folded if text.startswith(wanted) or (len(text) > 2 and wanted.startswith(text))]
    contains = [text for text in folded if len(wanted) > 1 and wanted in text]
    ordered = dict.fromkeys([*near, *begins, *contains])
    return [candidate for text in ordered for candidate in folded[text]][:3]


def quoted(text: str) -> str:
    """``text`` in quotes, on one line and not too long, for a message."""
    return f"'{shown(text)}'"


def shown(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """``text`` on one line and not too long, for a message."""
    start = visible(text[:longest])
    return f"{start}…" if len(text) > longest else start


def _broken_rule(name: str) -> str | None:
    return next((clause for rule in _RULES if (clause := rule.broken(name)) is not None), None)


def _when(condition: Callable[[str], bool], clause: str) -> _Rule:
    return _Rule(lambda name: clause if condition(name) else None)


def _character_clause(name: str) -> str | None:
    for character in name:
        if character == " ":
            return "contains a space"
        if character in _FORBIDDEN:
            return f"contains {character}"
        if _is_forbidden(character):
            unseen = unicodedata.category(character) == "Cf"
            return "contains a character that nobody sees" if unseen else "contains a control character"
    return None


def _is_forbidden(character: str) -> bool:
    return character in _FORBIDDEN or is_hidden(character)


def _has_component(condition: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: any(condition(component) for component in name.split("/"))


def _repaired_component(component: str) -> str:
    text = component
    while text and (text.startswith((".", "-")) or text.endswith((".", "-", ".lock")) or text == "@"):
        if text.endswith(".lock"):
            text = text.removesuffix(".lock")
        elif text == "@":
            text = "at"
        else:
            text = text.strip(".-")
    return text


_RULES = (
    _when(lambda name: not name, "is empty"),
    _when(lambda name: name == "@", "is @, which means HEAD"),
    _when(lambda name: name.upper() in RESERVED, "is reserved"),
    _Rule(_character_clause),
    _when(lambda name: name.startswith("-"), "begins with -, like an option"),
    _when(lambda name: name.startswith("/"), "begins with /"),
    _when(lambda name: name.endswith("/"), "ends with /"),
    _when(lambda name: "//" in name, "contains //"),
    _when(lambda name: ".." in name, "contains .., which separates the ends of a range"),
    _when(lambda name: "@{" in name, "contains @{, which asks for an earlier value"),
    _when(_has_component(lambda component: component.startswith(".")), "has a part that begins with ."),
    _when(_has_component(lambda component: component.endswith(".lock")), "has a part that ends with .lock"),
    _when(lambda name: name.endswith("."), "ends with ."),
)


def matches_name(patterns: Iterable[str], name: ObjectName) -> bool:
    """Whether a pattern (``*``, ``?``, ``[…]``, as in a shell, in any letter case) matches the name."""
    text = str(name).lower()
    return any(fnmatchcase(text, pattern.lower()) for pattern in patterns)
