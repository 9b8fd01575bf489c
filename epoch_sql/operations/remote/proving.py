"""Proves the definitions that a fetch read, before any of it is kept and before any of them has run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from epoch_sql.catalog.content import Trees
from epoch_sql.catalog.trust import Withheld
from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.refnames import quoted
from epoch_sql.model.remote import Remote
from epoch_sql.model.schema import ObjectName, SchemaObject, Table, definition_id
from epoch_sql.operations.remote.portable import KIND, Row
from epoch_sql.operations.repository import Call
from epoch_sql.proof.definitions import Definition, Refused, take_apart, take_apart_own
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, illegal, offences

_RUNS_TEXT = frozenset({"epoch_query"})
"""Epoch's own function that runs SQL from its arguments."""


def prove(call: Call, where: str, rows: Iterable[Row], tables: Iterable[Table], remote: Remote) -> list[Withheld]:
    """The definitions from a store that are not known to be harmless. Empty for a trusted remote.

    Raises EpochRemoteError, with the name, for the first definition that is not one statement of its kind and name.
    """
    found = dict.fromkeys(SchemaObject(row[KIND], ObjectName(row[2], row[3]), *row[5:8]) for row in rows)
    definitions: list[Definition] = [*dict.fromkeys(tables), *found]
    if not definitions:
        return []
    try:
        with shut_in() as engine:
            parsed = take_apart(engine, definitions)
            for one in parsed:
                reason = illegal(one)
                if reason:
                    raise Refused(one.definition, reason)
            macros = take_apart_own(engine, _macros_here(call, definitions))
    except Refused as refused:
        made = refused.definition
        kind = "table" if isinstance(made, Table) else made.kind
        raise EpochRemoteError(
            f"{where} has a {kind} {quoted(str(made.name))} that is no definition of one, {quoted(str(refused))}; "
            "nothing was changed",
            "who may write to that remote? restore it from a backup",
        ) from refused
    context = Context(tuple(macros), lambda *name: _has_relation(call, *name), _readers(call))
    found_out = {} if remote.trusted else offences(parsed, context)
    return [_withheld(made, reason, remote.name) for made, reason in found_out.items() if not _is_own(call, made)]


def _is_own(call: Call, definition: Definition) -> bool:
    """Whether the repository has the definition already: the user's own, or one that is kept as data."""
    if not call.exists:
        return False
    trees = Trees(call.cursor)
    if isinstance(definition, SchemaObject):
        return trees.has_object(definition)
    return definition_id(definition) in map(definition_id, trees.tables_named(definition.name))


def _withheld(definition: Table | SchemaObject, reason: str, remote: str) -> Withheld:
    kind = "table" if isinstance(definition, Table) else definition.kind
    name = definition.name
    return Withheld(definition_id(definition), remote, kind, name.schema, name.name, reason)


def _macros_here(call: Call, definitions: Iterable[Definition]) -> Sequence[SchemaObject]:
    """The macros that there have been here: what is read may mean one of them."""
    if not call.exists or not any(isinstance(d, Table) or d.kind in ("macro", "view") for d in definitions):
        return []
    return Trees(call.cursor).macros()


def _has_relation(call: Call, schema: str, name: str) -> bool:
    return call.exists and Trees(call.cursor).has_relation(schema, name)


def _readers(call: Call) -> frozenset[str]:
    return frozenset(call.memory.own_macros - call.memory.acting - _RUNS_TEXT)
