"""Registering the surface: Python functions on the connection, macros over them in the database.

A reading function is a table macro over ``query()``: a Python function returns SQL text, which DuckDB binds with the
column types that it finds. A procedure is a table macro over a Python function with side effects, so that it runs once
for each execution and never from EXPLAIN, PREPARE or DESCRIBE.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling
from duckdb.sqltypes import DuckDBPyType

from epoch_sql import render
from epoch_sql.errors import EpochArgumentError, EpochError, EpochRepositoryError
from epoch_sql.extension.caller import NOTHING_SEEN, SEEN, look_query
from epoch_sql.extension.failing import Failure, aborts_transactions, as_epoch_error, failing, failure
from epoch_sql.extension.performing import perform
from epoch_sql.extension.session import Session
from epoch_sql.extension.surface import PROCEDURES, READINGS, VERBS
from epoch_sql.query.pivots import Asking, caller, plans_by_name
from epoch_sql.query.table_references import Provable, require_reading_plan
from epoch_sql.render import Sql
from epoch_sql.verb import Parameter, Procedure, Query, Reading, Verb, rows_of

_NAMESPACE = "epoch__"
AnyVerb = Verb[..., Any]
AnyReading = Reading[..., Any] | Query[..., Any]

REGISTERED = f"{_NAMESPACE}registered"
"""A function whose existence shows that a database instance has the others too. Gives the key of its session."""
_PROVED = f"{_NAMESPACE}proved"
_LOOK = f"{_NAMESPACE}look"


@dataclass(frozen=True)
class Function:
    """A Python function behind the surface, with what DuckDB needs to register it."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[str, ...]
    returns: str
    side_effects: bool


_first: dict[str, Function] = {}


def functions_of(session: Session) -> tuple[Function, ...]:
    """The Python functions behind the surface, for one database."""
    readers = [
        Function(
            inner(r.name),
            _reader(session, r),
            (*_types(r), *(_ANSWERS if r.asks else ()), "VARCHAR"),
            "VARCHAR[]" if r.asks else "VARCHAR",
            False,
        )
        for r in READINGS.values()
    ]
    askers = [
        Function(_asker_name(r), _asker(session, r), (*_types(r), "VARCHAR", "VARCHAR[]"), "VARCHAR[]", False)
        for r in READINGS.values()
        if r.asks
    ]
    runners = [
        Function(
            inner(p.name),
            _runner(session, p),
            (*_types(p), _SEEN, "VARCHAR", "VARCHAR"),
            _outcome(p),
            True,
        )
        for p in PROCEDURES.values()
    ]
    looker = Function(_LOOK, _looker(session), ("VARCHAR", "UBIGINT"), "VARCHAR", False)
    prover = Function(_PROVED, _prover(session), ("VARCHAR[]", "VARCHAR", "VARCHAR[]", "VARCHAR[]"), "VARCHAR", False)
    return (*readers, *askers, *runners, looker, prover)


def register_first(cursor: duckdb.DuckDBPyConnection, key: str) -> bool:
    """Register ``REGISTERED``, which gives a key back. False if the database instance has it: then it has the others
    too.

    DuckDB answers this faster than a call of a function that does not exist, for which it looks for similar names.
    """
    try:
        _register(cursor, _first.setdefault(key, Function(REGISTERED, lambda: key, (), "VARCHAR", False)))
    except (duckdb.CatalogException, duckdb.NotImplementedException) as error:
        if REGISTERED not in str(error):
            raise
        return False
    return True


def register_functions(cursor: duckdb.DuckDBPyConnection, functions: Iterable[Function]) -> None:
    """Make functions known to the database instance of a cursor, after ``register_first``; the caller keeps them
    alive."""
    try:
        for function in functions:
            _register(cursor, function)
    except BaseException:
        cursor.remove_function(REGISTERED)
        raise


def _register(cursor: duckdb.DuckDBPyConnection, function: Function) -> None:
    cursor.create_function(
        function.name,
        _of_arity(function.call, len(function.parameters)),
        [_type(cursor, parameter) for parameter in function.parameters],
        _type(cursor, function.returns),
        null_handling=FunctionNullHandling.SPECIAL,
        side_effects=function.side_effects,
    )


_TYPES: dict[str, DuckDBPyType] = {}


def _type(cursor: duckdb.DuckDBPyConnection, text: str) -> DuckDBPyType:
    """A type of DuckDB, read from its text once: that takes longer than to register a function."""
    if text not in _TYPES:
        _TYPES[text] = cursor.sqltype(text)
    return _TYPES[text]


def macro_statements(mark: str) -> list[Sql]:
    """The CREATE MACRO statements of the surface, for the database of a mark (see ``MADE_IN``)."""
    literal = render.literal(mark)
    return [*(_macro(verb, literal) for verb in VERBS), *map(_comment, VERBS)]


@cache
def macros_digest() -> str:
    """What tells whether a database has the macros of this version."""
    return hashlib.sha256("\n".join(macro_statements("")).encode()).hexdigest()


_ANSWERS = ("VARCHAR", "VARCHAR[]", "VARCHAR[]", "VARCHAR[]")
"""The types of a caller's current database and schemas, of the queries, and of their plans."""
_SEEN = f"STRUCT({', '.join(f'{render.identifier(c.name)} {c.type}' for c in SEEN)})[]"


def inner(name: str) -> str:
    """The name of the Python function behind a macro: what DuckDB tells a client that does not have it."""
    return f"{name} of the python package epoch-sql (pip install epoch-sql, then epoch_sql.connect)"


def _of_arity(function: Callable[..., Any], arity: int) -> Callable[..., Any]:
    """The function with a signature of so many parameters, which DuckDB counts."""
    function.__signature__ = _signature_of(arity)  # type: ignore[attr-defined]
    return function


@cache
def _signature_of(arity: int) -> inspect.Signature:
    names = [f"argument_{number}" for number in range(arity)]
    return inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names])


def _reader(session: Session, reading: AnyReading) -> Callable[..., str | list[str]]:
    def answer(text: str) -> str | list[str]:
        return [text, text] if reading.asks else text

    def read(*arguments: Any) -> str | list[str]:
        if session.creating_macros:
            return answer("SELECT NULL")
        *arguments, mark = arguments  # type: ignore[assignment] # a tuple as a list
        try:
            with session.cursor() as cursor:
                session.require_called_here(cursor, reading.name, mark)
                given = _given(reading, arguments)
                call = session.call(cursor)
                asked = arguments[len(given) :]
                found = reading(Asking(call, caller(*asked)) if asked else call, **given)
                if isinstance(found, Provable):
                    return [render.render("extension.reading", query=found.sql), found.bare]
                if isinstance(reading, Reading):
                    found = render.constants(reading.columns, [[*row.values()] for row in rows_of(found)])
                return render.render("extension.reading", query=found)
        except (EpochError, duckdb.Error, OSError) as error:
            return answer(failing(_failure(session, error)))

    return read


def _prover(session: Session) -> Callable[[list[str], str, list[str], list[str]], str]:
    """What gives a text of a reader back if the plan that DuckDB has bound of it only reads.

    The text comes with the same without rows, of which the plan is.
    """
    head = render.load("extension.reading").partition("{{query}}")[0]

    def prove(texts: list[str], plan: str, asked: list[str], plans: list[str]) -> str:
        text, bare = texts
        # Any other text is one that fails.
        if session.creating_macros or not text.startswith(head):
            return text
        try:
            with session.cursor() as cursor:
                own = plans_by_name(asked, plans)
                require_reading_plan(cursor, session.memory, Sql(bare), "epoch_query", plan, own)
            return text
        except (EpochError, duckdb.Error, OSError) as error:
            return failing(_failure(session, error))

    return prove


def _asker(session: Session, reading: Query[..., Any]) -> Callable[..., list[str]]:
    def ask(*arguments: Any) -> list[str]:
        assert reading.asks
        if session.creating_macros:
            return []
        try:
            with session.cursor() as cursor:
                *given, database, schemas = arguments
                return [*reading.asks(cursor, *_given(reading, given).values(), database, schemas)]
        except (EpochError, duckdb.Error, OSError):
            # The function itself fails alike, and says why.
            return []

    return ask


def _runner(session: Session, procedure: Procedure[..., Any]) -> Callable[..., dict[str, Any]]:
    def run(*arguments: Any) -> dict[str, Any]:
        *given, seen, query, mark = arguments
        try:
            values = _given(procedure, given)
            with session.cursor() as cursor:
                session.require_called_here(cursor, procedure.name, mark)
                rows = rows_of(perform(session, cursor, procedure, seen, values, query=query))
            return {"error": None, "is_document": None, "rows": rows}
        except (EpochError, duckdb.Error, OSError) as error:
            failed = _failure(session, error)
            return {"error": failed.text, "is_document": failed.is_document, "rows": None}

    return run


def _looker(session: Session) -> Callable[[str, int], str]:
    def look(name: str, query_id: int) -> str:
        if session.creating_macros:
            return NOTHING_SEEN
        try:
            with session.cursor() as cursor:
                return look_query(session, cursor, PROCEDURES[name], query_id)
        except (EpochError, duckdb.Error, OSError) as error:
            return failing(_failure(session, error))

    return look


def _given(verb: AnyVerb, arguments: Sequence[Any]) -> dict[str, Any]:
    """The arguments by their names in Python, after refusing NULL where it is not the default: a variable that is not
    bound yet gives NULL."""
    for parameter, value in zip(verb.parameters, arguments, strict=False):
        if parameter.default != "NULL" and value is None:
            raise EpochArgumentError(
                f"{verb.name} needs {parameter.name}: a constant or a prepared parameter, not NULL or a variable",
                "write the value itself, or prepare the statement with a parameter",
                function=verb.name,
                parameter=parameter.name,
            )
    return {parameter.python: value for parameter, value in zip(verb.parameters, arguments, strict=False)}


def _failure(session: Session, error: Exception) -> Failure:
    aborts = True
    with suppress(EpochRepositoryError, duckdb.Error), session.cursor() as cursor:
        aborts = aborts_transactions(cursor)
    failed = failure(as_epoch_error(error), aborts, session.memory.acting)
    session.failures.add(failed)
    return failed


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
        _calling(_PROVED, [Sql("texts"), Sql("CAST(json_serialize_plan(texts[2]) AS VARCHAR)"), *asked]),
    )
    plans = Sql("list_transform(asked, lambda named: CAST(json_serialize_plan(named) AS VARCHAR))")
    return _step("asked", _calling(_asker_name(reading), given), _step("plans", plans, proved))


def _step(name: str, value: Sql, then: Sql) -> Sql:
    template = Sql("list_transform([{{value}}], lambda {{name}}: {{then}})[1]")
    return render.fill(template, name=Sql(name), value=value, then=then)


def _asker_name(reading: AnyVerb) -> str:
    return inner(f"{reading.name}_asks")


def _types(verb: AnyVerb) -> tuple[str, ...]:
    return tuple(parameter.type for parameter in verb.parameters)


def _acting(procedure: Procedure[..., Any], arguments: list[Sql], mark: Sql) -> Sql:
    seen = render.fill(
        "(SELECT list(seen) FROM query({{look}}({{name}}, current_query_id())) AS seen)",
        look=Sql(_LOOK),
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
