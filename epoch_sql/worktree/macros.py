"""Reads the definitions of macros. No catalog function of DuckDB shows the defaults of their parameters.

DuckDB prints the full signatures when it refuses a call with the wrong number of arguments. ``json_serialize_plan``
gives that refusal as a value. So it aborts no transaction (as an error does on DuckDB 2.0), and sees macros that are
not committed yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochTableError
from epoch_sql.model.schema import ObjectName, SchemaObject
from epoch_sql.model.sql_text import canonical, element_end, tokens, top_level
from epoch_sql.render import Sql

_SIGNATURES = "Candidate macros:\n"


@dataclass(frozen=True)
class _Overload:
    parameters: tuple[str, ...]
    types: tuple[str | None, ...]
    body: str


@dataclass(frozen=True)
class _Macro:
    """The overloads of one name, which may belong to a scalar and to a table macro at once."""

    name: ObjectName
    is_table: bool
    overloads: tuple[_Overload, ...]
    comment: str | None

    @property
    def has_parameters(self) -> bool:
        return any(overload.parameters for overload in self.overloads)


def read_macros(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[tuple[Any, ...]], own_macros: frozenset[str]
) -> Iterator[SchemaObject]:
    """The macros of ``rows`` (those of ``introspect/macros``), without ``own_macros`` of schema main.

    A scalar and a table macro of one name are one object, whose definition has two statements. Raises EpochTableError
    if DuckDB does not show the signature of a macro.
    """
    macros = _grouped([row for row in rows if row[0] != "main" or row[1] not in own_macros])
    defaults = _defaults(cursor, [macro for macro in macros if macro.has_parameters])
    for name, forms in groupby(macros, key=lambda macro: macro.name):
        found = list(forms)
        definition = ";\n".join(_definition(form, defaults.get((name, form.is_table), [])) for form in found)
        beside = tuple(("TABLE", form.comment) for form in found[1:] if form.comment is not None)
        yield SchemaObject("macro", name, definition, found[0].comment, part_comments=beside)


def _grouped(rows: Sequence[tuple[Any, ...]]) -> list[_Macro]:
    macros: dict[tuple[ObjectName, bool], tuple[list[_Overload], str | None]] = {}
    for schema, name, is_table, parameters, types, body, comment in rows:
        overloads, _ = macros.setdefault((ObjectName(schema, name), is_table), ([], comment))
        overloads.append(_Overload(tuple(parameters), tuple(types), canonical(body)))
    return [_Macro(*key, tuple(overloads), comment) for key, (overloads, comment) in sorted(macros.items())]


def _defaults(
    cursor: duckdb.DuckDBPyConnection, macros: Sequence[_Macro]
) -> dict[tuple[ObjectName, bool], list[dict[str, str]]]:
    """The defaults of each overload of each macro, by parameter."""
    if not macros:
        return {}
    database = cursor.execute("SELECT current_database()").fetchone()
    assert database is not None
    calls = render.strings([_refused_call(database[0], macro) for macro in macros])
    messages = cursor.execute(render.render("introspect.macro_defaults", calls=calls)).fetchall()
    return {
        (macro.name, macro.is_table): _signatures(macro, message)
        for macro, (message,) in zip(macros, messages, strict=True)
    }


def _refused_call(database: str, macro: _Macro) -> Sql:
    """A statement that calls the macro with one argument more than it takes."""
    count = 1 + max(len(overload.parameters) for overload in macro.overloads)
    return render.fill(
        "FROM {{name}}({{arguments}})" if macro.is_table else "SELECT {{name}}({{arguments}})",
        name=render.table(macro.name, database),
        arguments=[render.literal(None)] * count,
    )


def _signatures(macro: _Macro, message: str | None) -> list[dict[str, str]]:
    """The defaults in DuckDB's refusal: one line per overload, such as ``f(a, b INTEGER := 5)``."""
    _, marker, text = (message or "").partition(_SIGNATURES)
    position = 0
    defaults = []
    for overload in macro.overloads:
        found: dict[str, str] = {}
        # DuckDB prints the names without quotes, so only the known names show where they end.
        start = _after(text, position, [f"\t{spelled}(" for spelled in _spellings(macro.name.name)])
        if not marker or start is None:
            raise _unreadable(macro, message)
        for number, parameter in enumerate(overload.parameters):
            after = _after(text, start, [parameter if number == 0 else f", {parameter}"])
            if after is None:
                raise _unreadable(macro, message)
            start = element_end(text, after)
            if assign := next((t for t in top_level(text[:start], after) if t.text == ":="), None):
                found[parameter] = canonical(_unqualified(text[assign.end : start].strip()))
        position = start + len(")\n")
        defaults.append(found)
    return defaults


def _after(text: str, position: int, expected: Sequence[str]) -> int | None:
    return next((position + len(e) for e in expected if text.startswith(e, position)), None)


def _spellings(name: str) -> tuple[str, str]:
    return name, render.identifier(name)


def _unqualified(expression: str) -> str:
    """The expression without ``"system".main.`` before DuckDB's own functions, as DuckDB prints it in other places."""
    prefix = ['"system"', ".", "main", "."]
    found = list(tokens(expression))
    parts, position = [], 0
    for number in range(len(found) - len(prefix)):
        if [token.text for token in found[number : number + len(prefix)]] == prefix:
            parts.append(expression[position : found[number].start])
            position = found[number + len(prefix)].start
    return "".join(parts) + expression[position:]


def _definition(macro: _Macro, defaults: Sequence[dict[str, str]]) -> str:
    overloads = []
    for number, overload in enumerate(macro.overloads):
        known = defaults[number] if defaults else {}
        parameters = [
            _parameter(name, kind, known.get(name))
            for name, kind in zip(overload.parameters, overload.types, strict=True)
        ]
        text = "({{parameters}}) AS TABLE ({{body}})" if macro.is_table else "({{parameters}}) AS {{body}}"
        overloads.append(render.fill(text, parameters=parameters, body=render.verbatim(overload.body)))
    return render.fill("CREATE MACRO {{name}}{{overloads}}", name=render.relative(macro.name), overloads=overloads)


def _parameter(name: str, kind: str | None, default: str | None) -> Sql:
    parts = [render.identifier(name)]
    if kind is not None:
        parts.append(render.verbatim(kind))
    if default is not None:
        parts.append(render.fill(":= {{value}}", value=render.verbatim(default)))
    return render.joined(parts, " ")


def _unreadable(macro: _Macro, message: str | None) -> EpochTableError:
    return EpochTableError(
        f"DuckDB does not tell the parameters of macro {macro.name}: {(message or 'no answer').splitlines()[0]}",
        Suggestion("ignore", str(macro.name)),
        table=str(macro.name),
    )
