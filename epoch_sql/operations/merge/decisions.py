"""What was decided for the conflicts of a merge: by a strategy, or by ``epoch_resolve``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.model.origin import Resolution
from epoch_sql.model.schema import Column
from epoch_sql.render import Sql


@dataclass(frozen=True)
class Decisions:
    """Resolutions, and the side that a strategy gives conflicting cells.

    Of several resolutions that cover a conflict the most specific one counts, and of equally specific ones the last:
    what is said of everything settles what is still open.
    """

    resolutions: tuple[Resolution, ...] = ()
    strategy: str | None = None

    def for_definition(self, table_name: str, column_name: str | None) -> str | None:
        """The side chosen for a schema conflict: strategies settle cells only, a virtual base everything."""
        for resolution in _by_weight(self.resolutions):
            if resolution.key is not None or resolution.side == "value":
                continue
            about_table = resolution.table_name in (None, table_name)
            if about_table and resolution.column_name in (None, column_name):
                return resolution.side.removeprefix(WHOLE)
        return self.strategy if self.strategy == "base" else None

    def forced(self, *names: str) -> str | None:
        """The side that a table or another object, which may have several names, is defined as although nothing in it
        clashes: it could not be made otherwise, or something else could not.
        """
        sides = [r.side for r in self.resolutions if r.table_name in names and _forces_definition(r)]
        return sides[-1].removeprefix(WHOLE) if sides else None

    def for_table(self, *table_names: str) -> tuple[Resolution, ...]:
        """The resolutions that concern rows of a table, which may have several names, earliest first."""
        own = (r for r in self.resolutions if r.table_name is None or r.table_name in table_names)
        return tuple(r for r in own if not _forces_definition(r))


SIDES = ("ours", "theirs", "base")
NULL = "null"
WHOLE = "row:"
NOWHERE = "none"
"""The side of a row that is to be as on a side which has no such table."""


def without_side(resolutions: Sequence[Resolution], gone: str) -> tuple[Resolution, ...]:
    """The resolutions for rows of a table that one side does not have: a row that is to be as there is not to be."""
    return tuple(
        replace(r, side=WHOLE + NOWHERE) if r.side == WHOLE + gone and r.column_name is None else r for r in resolutions
    )


def whole_row(resolutions: Sequence[Resolution]) -> Sql:
    """The side that a whole row (by its ``key_json``) is taken from, NULL if none."""
    whole = [r for r in resolutions if r.side.startswith(WHOLE) and r.column_name is None]
    return _last([replace(r, side=r.side.removeprefix(WHOLE)) for r in whole], None)


def row_side(resolutions: Sequence[Resolution], strategy: str | None) -> Sql:
    """The side decided for a whole row (by its ``key_json``), NULL if none: the last decision that covers it."""
    return _last([r for r in _sides(resolutions) if r.column_name is None], strategy)


def cell_side(resolutions: Sequence[Resolution], column: Column, strategy: str | None) -> Sql:
    """What was decided for a cell of a column: a side, ``row:`` and a side, or ``value``; NULL if nothing.

    A value that is none of the column's type, which it may have got from a later decision, decides nothing.
    """
    covering = [r for r in resolutions if _covers(r, column)]
    decided = [
        _case(r, _fitting(r, column) if r.side == "value" else render.literal(r.side)) for r in _by_weight(covering)
    ]
    return _cases(decided, render.to_sql(render.literal(strategy)))


def cell_value(resolutions: Sequence[Resolution], column: Column) -> Sql:
    """The value given for a cell of a column, as its native type, where ``cell_side`` is ``value``."""
    given = [r for r in resolutions if r.column_name == column.name and r.side == "value"]
    cases = [_case(r, render.literal(r.value)) for r in reversed(given)]
    text = _cases(cases, Sql("NULL"))
    return render.fill(Sql("TRY_CAST({{t}} AS {{type}})"), t=text, type=render.verbatim(column.type))


def decided_keys(resolutions: Sequence[Resolution], columns: Sequence[Column]) -> list[list[str | None]]:
    """The rows that were decided one by one, as the texts of their key's values in the order of the columns."""
    found = []
    for text in dict.fromkeys(r.key for r in resolutions if r.key is not None):
        given = key_fields(text)
        if given is not None and given.keys() == {column.name for column in columns}:
            found.append([given[column.name] for column in columns])
    return found


def key_fields(text: str) -> dict[str, str | None] | None:
    """The values of a key that is written as JSON, each as text that can be cast; None if it is no JSON object."""
    try:
        parsed = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in parsed.items()
    }


def _forces_definition(resolution: Resolution) -> bool:
    return resolution.key is None and resolution.column_name is None and resolution.side.startswith(WHOLE)


def _covers(resolution: Resolution, column: Column) -> bool:
    if resolution.side == "value":
        return resolution.column_name == column.name
    return resolution.side.removeprefix(WHOLE) in SIDES and resolution.column_name in (None, column.name)


def _fitting(resolution: Resolution, column: Column) -> Sql:
    if resolution.value is None:
        return render.to_sql(render.literal("value"))
    return render.fill(
        Sql("CASE WHEN TRY_CAST({{v}} AS {{type}}) IS NOT NULL THEN 'value' END"),
        v=render.literal(resolution.value),
        type=render.verbatim(column.type),
    )


def _by_weight(resolutions: Sequence[Resolution]) -> list[Resolution]:
    """The most specific resolutions first, later ones before earlier ones."""

    def weight(resolution: Resolution) -> int:
        return (
            4 * (resolution.key is not None)
            + 2 * (resolution.column_name is not None)
            + (resolution.table_name is not None)
        )

    return sorted(resolutions, key=weight)[::-1]


def _sides(resolutions: Sequence[Resolution]) -> list[Resolution]:
    return [r for r in resolutions if r.side in SIDES]


def _last(resolutions: Sequence[Resolution], strategy: str | None) -> Sql:
    return _cases(
        [_case(r, render.literal(r.side)) for r in _by_weight(resolutions)], render.to_sql(render.literal(strategy))
    )


def _case(resolution: Resolution, value: render.Fragment) -> Sql:
    if resolution.key is None:
        return render.fill(Sql("WHEN true THEN {{v}}"), v=value)
    return render.fill(Sql("WHEN key_json = {{k}} THEN {{v}}"), k=render.literal(resolution.key), v=value)


def _cases(cases: Sequence[Sql], otherwise: Sql) -> Sql:
    if not cases:
        return render.fill(Sql("CAST({{o}} AS VARCHAR)"), o=otherwise)
    return render.fill(Sql("CASE {{cases}} ELSE {{o}} END"), cases=render.joined(cases, " "), o=otherwise)
