"""What a function of the SQL surface is: its name, its parameters, what it returns, and the operation behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from epoch_sql.operations.reading.only_reads import Provable
from epoch_sql.render import Sql

WARNINGS = {"warnings": "VARCHAR[]"}
"""The last column of a procedure that may have something to say besides its result."""


@dataclass(frozen=True)
class Parameter:
    """A parameter: its SQL type, its default as SQL text (None: required), and one sentence."""

    name: str
    type: str
    default: str | None
    description: str


@dataclass(frozen=True)
class Reading:
    """A function that reads: ``query`` returns the SQL whose rows it gives, bound by DuckDB in the caller's query.

    ``asks`` is there where a user's own text is in it, which has to be proved to read only where it is bound: it
    returns queries about what the text's names mean to the caller, given a cursor, the arguments, and the caller's
    current database and schemas; ``query`` gets the latter, too, the queries, and what ``json_serialize_plan`` says of
    each there; and it returns a Provable.
    """

    name: str
    parameters: tuple[Parameter, ...]
    query: Callable[..., Sql | Provable]
    description: str
    columns: str
    asks: Callable[..., Sequence[Sql]] | None = None


@dataclass(frozen=True)
class Procedure:
    """A function that acts, or computes on its own cursor: ``run`` is called once for each execution.

    ``returns`` are the columns of its rows and their types. ``acts`` is False for functions that only read, which also
    work on a read-only connection. ``looks`` says how closely the caller's own view is compared with what is committed:
    at the ``rows`` of every table, at their number only (``counts``), or not at all (None).
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Mapping[str, str]
    run: Callable[..., Iterable[Sequence[Any]]]
    description: str
    acts: bool = True
    looks: str | None = "counts"
    needs_repository: bool = True


@dataclass(frozen=True)
class Surface:
    """Every function of the SQL surface, by name."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    procedures: Mapping[str, Procedure] = field(default_factory=dict)


def required(name: str, description: str, type: str = "VARCHAR") -> Parameter:
    """A parameter that has to be given."""
    return Parameter(name, type, None, description)


def optional(name: str, description: str, default: str = "NULL", type: str = "VARCHAR") -> Parameter:
    """A named parameter with a default."""
    return Parameter(name, type, default, description)


def row_of(value: Any) -> list[tuple[Any, ...]]:
    """A result dataclass as the only row."""
    return [tuple(vars(value).values())]


__all__ = ["Parameter", "Procedure", "Reading", "Surface", "optional", "required", "row_of"]
