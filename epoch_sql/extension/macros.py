"""The surface in the database: macros over Python functions, and what is declared of those without loading a verb.

A reading function is a table macro over ``query()``: a Python function returns SQL text, which DuckDB binds with the
column types that it finds. A procedure is a table macro over a Python function with side effects, so that it runs once
for each execution and never from EXPLAIN, PREPARE or DESCRIBE.

This module loads all verbs. ``registration`` loads each when it is called, so it takes names and types from
``DECLARED``, which ``python -m docs.generate`` writes, and a test compares.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from epoch_sql import render
from epoch_sql.extension.caller import SEEN
from epoch_sql.extension.registration import LOOK, PROVED, REGISTERED, asker_name, inner
from epoch_sql.extension.surface import PROCEDURES, READINGS, VERBS
from epoch_sql.render import Sql
from epoch_sql.verb import Parameter, Procedure, Query, Verb

AnyVerb = Verb[..., Any]


def macro_statements(mark: str) -> list[Sql]:
    """The CREATE MACRO statements of the surface, for the database of a mark (see ``MADE_IN``)."""
    literal = render.literal(mark)
    return [*(_macro(verb, literal) for verb in VERBS), *map(_comment, VERBS)]


@cache
def macros_digest() -> str:
    """What tells whether a database has the macros of this version."""
    return hashlib.sha256("\n".join(macro_statements("")).encode()).hexdigest()


def declared() -> str:
    """What ``DECLARED`` has to hold."""
    readers = [
        (r.name, "read", [*_types(r), *(_ANSWERS if r.asks else ()), "VARCHAR"], "VARCHAR[]" if r.asks else "VARCHAR")
        for r in READINGS.values()
    ]
    askers = [(r.name, "ask", [*_types(r), "VARCHAR", "VARCHAR[]"], "VARCHAR[]") for r in READINGS.values() if r.asks]
    runners = [(p.name, "run", [*_types(p), _SEEN, "VARCHAR", "VARCHAR"], _outcome(p)) for p in PROCEDURES.values()]
    lines = ",\n".join(json.dumps(one) for one in (*readers, *askers, *runners))
    return f'{{"digest": "{macros_digest()}", "functions": [\n{lines}\n]}}\n'


_ANSWERS = ("VARCHAR", "VARCHAR[]", "VARCHAR[]", "VARCHAR[]")
"""The types of a caller's current database and schemas, of the queries, and of their plans."""
_SEEN = f"STRUCT({', '.join(f'{render.identifier(c.name)} {c.type}' for c in SEEN)})[]"


def _outcome(procedure: Procedure[..., Any]) -> str:
    fields = ", ".join(f'"{column.name}" {column.type}' for column in procedure.columns)
    return f'STRUCT(error VARCHAR, is_document BOOLEAN, "rows" STRUCT({fields})[])'


def _signature(parameters: tuple[Parameter, ...]) -> Sql:
    return render.joined(
        [
            render.identifier(p.name)
            if p.default is None
            else render.fill(Sql("{{n}} := {{d}}"), n=render.identifier(p.name), d=Sql(p.default))
            for p in parameters
        ],
        ", ",
    )


def _arguments(parameters: tuple[Parameter, ...]) -> list[Sql]:
    return [render.fill(Sql("CAST({{n}} AS {{t}})"), n=render.identifier(p.name), t=Sql(p.type)) for p in parameters]


def _macro(verb: AnyVerb, mark: Sql) -> Sql:
    """The macro of a verb. It can be created where there are no Python functions, as by IMPORT DATABASE."""
    arguments = _arguments(verb.parameters)
    query = _acting(verb, arguments, mark) if isinstance(verb, Procedure) else _bound(verb, arguments, mark)
    if not arguments:
        query = render.render(
            "extension.if_there",
            calling=render.literal(f"SELECT {REGISTERED}()"),
            failing=render.literal(f"SELECT error('There is no {inner(verb.name)}')"),
            query=render.literal(query),
        )
    return render.render(
        "extension.macro", name=render.identifier(verb.name), parameters=_signature(verb.parameters), query=query
    )


def _bound(reading: AnyVerb, arguments: list[Sql], mark: Sql) -> Sql:
    asks = isinstance(reading, Query) and reading.asks
    text = _asking(reading, arguments, mark) if asks else _calling(inner(reading.name), [*arguments, mark])
    return render.render("extension.bound", text=_unchecked(reading, text))


def _unchecked(verb: AnyVerb, call: Sql) -> Sql:
    for parameter in verb.parameters[:1]:
        call = render.render("extension.unchecked", parameter=render.identifier(parameter.name), call=call)
    return call


def _calling(function: str, arguments: list[Sql]) -> Sql:
    return render.fill("{{function}}({{arguments}})", function=render.identifier(function), arguments=arguments)


def _asking(reading: AnyVerb, arguments: list[Sql], mark: Sql) -> Sql:
    """The call with what its names mean to the caller, and the proof that its text reads only.

    Lambdas name the steps, so that each is done once.
    """
    given = [*arguments, Sql("current_database()"), Sql("current_schemas(false)")]
    asked = [Sql("asked"), Sql("plans")]
    proved = _step(
        "texts",
        _calling(inner(reading.name), [*given, *asked, mark]),
        _calling(PROVED, [Sql("texts"), Sql("CAST(json_serialize_plan(texts[2]) AS VARCHAR)"), *asked]),
    )
    plans = Sql("list_transform(asked, lambda named: CAST(json_serialize_plan(named) AS VARCHAR))")
    return _step("asked", _calling(asker_name(reading.name), given), _step("plans", plans, proved))


def _step(name: str, value: Sql, then: Sql) -> Sql:
    template = Sql("list_transform([{{value}}], lambda {{name}}: {{then}})[1]")
    return render.fill(template, name=Sql(name), value=value, then=then)


def _types(verb: AnyVerb) -> tuple[str, ...]:
    return tuple(parameter.type for parameter in verb.parameters)


def _acting(procedure: Procedure[..., Any], arguments: list[Sql], mark: Sql) -> Sql:
    seen = render.fill(
        "(SELECT list(seen) FROM query({{look}}({{name}}, current_query_id())) AS seen)",
        look=Sql(LOOK),
        name=render.literal(procedure.name),
    )
    given = [*arguments, seen if procedure.looks else Sql("NULL"), Sql("current_query()"), mark]
    outcome = _unchecked(procedure, _calling(inner(procedure.name), given))
    return render.render("extension.acting", outcome=outcome)


def _comment(verb: AnyVerb) -> Sql:
    return render.fill(
        Sql("COMMENT ON MACRO TABLE {{name}} IS {{text}}"),
        name=render.identifier(verb.name),
        text=render.literal(verb.description),
    )
