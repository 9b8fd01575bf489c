"""Which definitions of a commit a published file does not hold, because they may do more than compute from what it
holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.proof.definitions import Definition, take_apart_own
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, offences

AT = "epoch_at"


def harmful(tree: Tree, definitions: Iterable[Definition]) -> dict[Definition, str]:
    """What may do more than compute from what the file holds, because it runs in the program of whoever reads it."""
    suspects = {_computed(definition): definition for definition in definitions if not _plain(definition)}
    if not suspects:
        return {}
    relations = {e.name.folded for e in tree.tables.values()} | {
        o.name.folded for o in tree.objects if o.kind == "view"
    }
    with shut_in() as engine:
        parsed = take_apart_own(engine, [*suspects])
        macros = take_apart_own(engine, [found for found in tree.objects if found.kind == "macro"])
    context = Context(tuple(macros), lambda *name: name in relations, frozenset({AT}))
    return {suspects[found]: reason for found, reason in offences(parsed, context).items()}


def _computed(definition: Definition) -> Definition:
    """A definition with what a reader computes of it: of a table, the generated columns."""
    if isinstance(definition, SchemaObject):
        return definition
    columns = tuple(replace(column, default=None, fill=None) for column in definition.columns)
    return Table(definition.name, columns)


def _plain(definition: Definition) -> bool:
    """Whether a reader computes nothing of a definition."""
    if isinstance(definition, SchemaObject):
        return definition.kind not in ("macro", "view")
    return all(column.stored for column in definition.columns)
