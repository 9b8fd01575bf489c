"""What the names in a query mean to its caller: temporary tables, registered data frames, and the search path.

A function that returns SQL text works on a cursor of its own. That cursor sees neither the caller's temporary tables
and registered data frames nor the choice of its ``USE``. So the macro asks in the caller's query: DuckDB plans a small
query for each name (``json_serialize_plan``), and the macro passes the plans in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from epoch_sql import render
from epoch_sql.model.schema import ObjectName
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql

# The plan of a data frame or another Python object cannot be serialized. Only its existence matters.
_NOT_WRITTEN = "not implemented"


@dataclass(frozen=True)
class Caller:
    """The current database of the caller, its search path, and the plans of ``probes``."""

    database: str
    schemas: tuple[str, ...]
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def has_temporary(self, name: str) -> bool:
        """Whether a table, view or data frame of the caller's connection hides the stored object of a name."""
        return self._is_there(temporary(name))

    def knows(self, parts: Sequence[str]) -> bool:
        """Whether a name means something to the caller."""
        return self._is_there(named(parts))

    def reads(self, probe: Sql) -> Iterator[tuple[str, ObjectName]]:
        """The tables behind a name, each with its database."""
        return _tables(self.plans.get(probe, {}))

    def _is_there(self, probe: Sql) -> bool:
        plan = self.plans.get(probe)
        return plan is not None and (not plan.get("error") or plan.get("error_type") == _NOT_WRITTEN)


@dataclass(frozen=True)
class Asking:
    """A call with what the names of its query mean to the caller."""

    call: Call
    caller: Caller


def caller(database: str, schemas: Sequence[str], probes: Sequence[str], plans: Sequence[str]) -> Caller:
    """The caller of a function, from the arguments of the macro."""
    known = {probe: json.loads(plan) for probe, plan in zip(probes, plans, strict=True)}
    return Caller(database, tuple(schemas), known)


def plans_by_name(probes: Sequence[str], plans: Sequence[str]) -> dict[str, str]:
    """The plans of names without what qualifies them."""
    names = (probe.rsplit('"', 2)[-2] if probe.endswith('"') else probe for probe in probes)
    return dict(zip(names, plans, strict=True))


def temporary(name: str) -> Sql:
    """The query that asks whether a name is temporary."""
    return named(("temp", "main", name))


def named(parts: Sequence[str]) -> Sql:
    """The query that asks what a name means."""
    return render.fill(
        Sql("FROM {{name}}"), name=render.joined([render.to_sql(render.identifier(p)) for p in parts], ".")
    )


def _tables(node: Any) -> Iterator[tuple[str, ObjectName]]:
    if isinstance(node, list):
        for item in node:
            yield from _tables(item)
    elif isinstance(node, dict):
        found = node.get("function_data")
        if isinstance(found, dict) and {"catalog", "schema", "table"} <= found.keys():
            yield str(found["catalog"]), ObjectName(str(found["schema"]), str(found["table"]))
        for item in node.values():
            yield from _tables(item)
