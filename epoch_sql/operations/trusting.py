"""Definitions from untrusted remotes: data that is not created or run until ``remote trust``."""

from __future__ import annotations

from collections.abc import Iterable

from epoch_sql.catalog.trust import Withheld
from epoch_sql.errors import EpochTrustError, Suggestion
from epoch_sql.model.schema import SchemaObject, Table, definition_id
from epoch_sql.operations.repository import Call


def require_trusted(call: Call, *definitions: Table | SchemaObject) -> None:
    """Raises EpochTrustError for a definition that is kept as data."""
    found = _withheld(call, definitions)
    if found:
        raise EpochTrustError(
            f"{found} came from {found.remote}, which is not trusted, so it is not run",
            Suggestion("remote_trust", found.remote),
            remote=found.remote,
        )


def is_trusted(call: Call, *definitions: Table | SchemaObject) -> bool:
    """Whether no definition is kept as data, so that all of them may be computed."""
    return _withheld(call, definitions) is None


def _withheld(call: Call, definitions: Iterable[Table | SchemaObject]) -> Withheld | None:
    held = call.scanner.trust.held()
    return next((held[i] for i in map(definition_id, definitions) if i in held), None) if held else None


def warn_of_withheld(call: Call, withheld: Iterable[Withheld]) -> None:
    """Warn of received definitions that are kept as data."""
    found = sorted(withheld, key=str)
    call.warnings += [f"{one} is kept as data and not made, since {one.remote} is not trusted" for one in found]
    remotes = dict.fromkeys(one.remote for one in found)
    call.warnings += [f"trust remote {name} to make what came from it" for name in remotes]
