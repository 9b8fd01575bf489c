"""What was decided for the conflicts of a merge: by a strategy, or by ``epoch_resolve``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.model.schema import Column
from epoch_sql.render import Sql


@dataclass(frozen=True)
class Resolution:
    """One decision; table_name, key (canonical JSON) and column_name are None for all of them.

    ``side`` is ``ours``, ``theirs``, ``base`` or ``value``; ``value`` is then the text of a value of the column's type.
    ``row:ours`` and the like take a whole row from a side, also where nothing clashes: for rows that violate a constraint.
    """

    table_name: str | None
    key: str | None
    column_name: str | None
    side: str
    value: str | None = None


@dataclass(frozen=True)
class Decisions:
    """Resolutions, and the side that a strategy gives conflicting cells.

    Of several resolutions that cover a conflict the most specific one counts, and of equally specific ones the last: what is
    said of everything settles what is still open.
    """

    resolutions: tuple[Resolution, ...] = ()
    strategy: str | None = None

    def for_definition(self, table_name: str, column_name: str | None) -> str | None:
        """The side chosen for a schema conflict; strategies settle cells only, but a virtual base settles everything."""
        for resolution in _by_weight(self.resolutions):
            if resolution.key is not None or resolution.side == "value":
                continue
            about_table = resolution.table_name in (None, table_name)
            if about_table and resolution.column_name in (None, column_name):
                return resolution.side
        return self.strategy if self.strategy == "base" else None

    def for_table(self, table_name: str) -> tuple[Resolution, ...]:
        """The resolutions that concern rows of a table, earliest first."""
        return tuple(r for r in self.resolutions if r.table_name in (None, table_name))


NONE = Decisions()
SIDES = ("ours", "theirs", "base")
_WHOLE = "row:"


def whole_row(resolutions: Sequence[Resolution]) -> Sql:
    """The side that a whole row (by its ``key_json``) is taken from, NULL if none."""
    whole = [replace(r, side=r.side.removeprefix(_WHOLE)) for r in resolutions if r.side.startswith(_WHOLE)]
    return _last(whole, None)


def row_side(resolutions: Sequence[Resolution], strategy: str | None) -> Sql:
    """The side decided for a whole row (by its ``key_json``), NULL if none: the last decision that covers it."""
    return _last([r for r in _sides(resolutions) if r.column_name is None], strategy)


def cell_side(resolutions: Sequence[Resolution], column: Column, strategy: str | None) -> Sql:
    """The side decided for a cell of a column, NULL if none."""
    given = [r for r in resolutions if r.side == "value" and r.column_name == column.name]
    covering = [r for r in resolutions if r in given or (r.column_name in (None, column.name) and r in _sides(resolutions))]
    return _last(covering, strategy)


def cell_value(resolutions: Sequence[Resolution], column: Column) -> Sql:
    """The value given for a cell of a column, as its native type, where ``cell_side`` is ``value``."""
    given = [r for r in resolutions if r.column_name == column.name and r.side == "value"]
    cases = [_case(r, render.literal(r.value)) for r in reversed(given)]
    text = _cases(cases, Sql("NULL"))
    return render.fill(Sql("CAST({{t}} AS {{type}})"), t=text, type=render.verbatim(column.type))


def _by_weight(resolutions: Sequence[Resolution]) -> list[Resolution]:
    """The most specific resolutions first, later ones before earlier ones."""
    def weight(resolution: Resolution) -> int:
        return 4 * (resolution.key is not None) + 2 * (resolution.column_name is not None) + (resolution.table_name is not None)

    return sorted(reversed(resolutions), key=weight, reverse=True)


def _sides(resolutions: Sequence[Resolution]) -> list[Resolution]:
    return [r for r in resolutions if r.side in SIDES]


def _last(resolutions: Sequence[Resolution], strategy: str | None) -> Sql:
    return _cases([_case(r, render.literal(r.side)) for r in _by_weight(resolutions)], render.to_sql(render.literal(strategy)))


def _case(resolution: Resolution, value: render.Fragment) -> Sql:
    if resolution.key is None:
        return render.fill(Sql("WHEN true THEN {{v}}"), v=value)
    return render.fill(Sql("WHEN key_json = {{k}} THEN {{v}}"), k=render.literal(resolution.key), v=value)


def _cases(cases: Sequence[Sql], otherwise: Sql) -> Sql:
    if not cases:
        return render.fill(Sql("CAST({{o}} AS VARCHAR)"), o=otherwise)
    return render.fill(Sql("CASE {{cases}} ELSE {{o}} END"), cases=render.joined(cases, " "), o=otherwise)
