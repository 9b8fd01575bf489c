"""Finds dependents of changing objects: they are dropped before the change and created again after it.

DuckDB records dependencies of tables on macros, sequences and types, and with ``enable_view_dependencies`` and
``enable_macro_dependencies`` those of views and macros. It reports none of them reliably, so they are read from the
definitions. A doubtful mention counts as a dependency, because rebuilding a view costs nothing. Rebuilding a table
costs as much as its rows. So tables depend only on what their expressions call, on the types of their columns and on
the tables of their foreign keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.model.sql_text import mentioned, tokens
from epoch_sql.worktree.ordering import Definition, expressions, meaning, references

Folded = tuple[str, str]


def folded(name: ObjectName) -> Folded:
    """A name as SQL compares it: in lower case."""
    return name.schema.lower(), name.name.lower()


def dependents(
    candidates: Iterable[Definition], changed: Sequence[Definition], dropped: Iterable[Table]
) -> list[Definition]:
    """The candidates that depend directly on something that changes.

    ``dropped`` are the changed tables that are dropped or rebuilt. Only these matter to foreign keys.
    """
    gone = {folded(table.name) for table in dropped}
    words = {definition.name.name.lower() for definition in changed}
    meanings = [meaning(found) for found in changed if isinstance(found, SchemaObject) and found.kind == "type"]
    return [found for found in candidates if _depends(found, changed, words, gone, meanings)]


def refers_to(table: Table, names: Iterable[Folded]) -> bool:
    """Whether a foreign key of the table refers to one of those tables, other than itself."""
    own = folded(table.name)
    targets = {(own[0], (key.referenced or "").lower()) for key in table.foreign_keys} - {own}
    return not targets.isdisjoint(names)


def _depends(
    found: Definition, changed: Sequence[Definition], words: set[str], gone: set[Folded], meanings: Sequence[str]
) -> bool:
    if isinstance(found, Table):
        if refers_to(found, gone) or any(text in c.type for c in found.columns for text in meanings):
            return True
    elif found.kind == "type":
        return any(text in meaning(found) for text in meanings)
    elif found.kind not in ("macro", "view", "trigger"):
        return False
    text = expressions(found)
    if words.isdisjoint(_words(text)):
        return False
    named = [definition for definition in changed if definition.name.name.lower() in _words(text)]
    if isinstance(found, SchemaObject) and found.kind == "trigger":
        return bool(named)
    if any(isinstance(d, SchemaObject) and d.kind in ("sequence", "type") for d in named):
        return True
    certain = references(found, named)
    if isinstance(found, Table):
        macros = (n for n, d in enumerate(named) if isinstance(d, SchemaObject) and d.kind == "macro")
        return any(number in certain for number in macros)
    return bool(certain) if found.kind == "view" else any(certain.values())


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    """The names in a text, also within strings as in ``nextval('q')``."""
    strings = (token.text[1:-1].replace("''", "'") for token in tokens(text) if token.text.startswith("'"))
    return frozenset(mentioned(text)).union(*map(mentioned, strings))
