"""Registering the Python functions behind the surface on a connection. Each loads its verb when it is first called:
to load them all takes longer than most of what is asked.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling
from duckdb.sqltypes import DuckDBPyType

from epoch_sql import render
from epoch_sql.errors import EpochArgumentError, EpochError, EpochRepositoryError
from epoch_sql.extension.failing import Failure, aborts_transactions, as_epoch_error, failing, failure
from epoch_sql.extension.index import verb_named
from epoch_sql.extension.session import Session
from epoch_sql.render import Sql
from epoch_sql.verb import Procedure, Query, Reading, Verb, rows_of

DECLARED = Path(__file__).parent / "declared.json"
"""The verbs' functions with their types, and the digest of the macros; see ``macros.declared``."""

_NAMESPACE = "epoch__"
AnyVerb = Verb[..., Any]
AnyReading = Reading[..., Any] | Query[..., Any]

REGISTERED = f"{_NAMESPACE}registered"
"""A function whose existence shows that a database instance has the others too. Gives the key of its session."""
PROVED = f"{_NAMESPACE}proved"
LOOK = f"{_NAMESPACE}look"


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
    verbs = [
        Function(
            asker_name(name) if kind == "ask" else inner(name),
            _later(session, name, _KINDS[kind]),
            tuple(parameters),
            returns,
            kind == "run",
        )
        for name, kind, parameters, returns in _declared()["functions"]
    ]
    looker = Function(LOOK, _looker(session), ("VARCHAR", "UBIGINT"), "VARCHAR", False)
    prover = Function(PROVED, _prover(session), ("VARCHAR[]", "VARCHAR", "VARCHAR[]", "VARCHAR[]"), "VARCHAR", False)
    return (*verbs, looker, prover)


def macros_digest() -> str:
    """What tells whether a database has the macros of this version."""
    return str(_declared()["digest"])


@cache
def _declared() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DECLARED.read_text(encoding="utf-8"))
    return found


def _later(session: Session, name: str, make: Callable[[Session, Any], Callable[..., Any]]) -> Callable[..., Any]:
    """The function of a verb, whose module is loaded when it is first called."""
    made: list[Callable[..., Any]] = []

    def call(*arguments: Any) -> Any:
        if not made:
            made.append(make(session, verb_named(name)))
        return made[0](*arguments)

    return call


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


def inner(name: str) -> str:
    """The name of the Python function behind a macro: what DuckDB tells a client that does not have it."""
    return f"{name} of the python package epoch-sql (pip install epoch-sql, then epoch_sql.connect)"


def asker_name(name: str) -> str:
    """The name of the Python function that asks what the names in a caller's text mean."""
    return inner(f"{name}_asks")


def _of_arity(function: Callable[..., Any], arity: int) -> Callable[..., Any]:
    """The function with a signature of so many parameters, which DuckDB counts."""
    function.__signature__ = _signature_of(arity)  # type: ignore[attr-defined]
    return function


@cache
def _signature_of(arity: int) -> inspect.Signature:
    names = [f"argument_{number}" for number in range(arity)]
    return inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names])


def _reader(session: Session, reading: AnyReading) -> Callable[..., str | list[str]]:
    asking = import_module("epoch_sql.query.pivots") if reading.asks else None

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
                if asking:
                    caller = asking.caller(*arguments[len(given) :])
                    found = reading(asking.Asking(call, caller), **given)
                    return [render.render("extension.reading", query=found.sql), found.bare]
                found = reading(call, **given)
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
            from epoch_sql.query.pivots import plans_by_name
            from epoch_sql.query.table_references import require_reading_plan

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
    from epoch_sql.extension.performing import perform

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
        from epoch_sql.extension.caller import NOTHING_SEEN, look_query

        if session.creating_macros:
            return NOTHING_SEEN
        try:
            with session.cursor() as cursor:
                procedure = verb_named(name)
                assert isinstance(procedure, Procedure)
                return look_query(session, cursor, procedure, query_id)
        except (EpochError, duckdb.Error, OSError) as error:
            return failing(_failure(session, error))

    return look


_KINDS: dict[str, Callable[[Session, Any], Callable[..., Any]]] = {"read": _reader, "ask": _asker, "run": _runner}


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
