"""Declaring a verb once: one typed Python function is the SQL function, the method of the library, and its reference.

The signature gives names, order, types and defaults. The first paragraph of the docstring is the description, its
section ``Args:`` has one sentence for each parameter. The frozen dataclass that it returns gives the columns.

A ``procedure`` acts or computes, and a ``reading`` reads the catalog: both return their result. A ``query`` returns
SQL, whose rows are those of a dataclass, and a ``relation`` SQL for rows of users' tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from functools import cache, cached_property, update_wrapper
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
Row = TypeVar("Row")

Json = Annotated[str, "JSON"]
"""A text that is a JSON value, in SQL too."""

_SQL_NAMES = {
    "table": "table_name",
    "column": "column_name",
    "constraint": "constraint_name",
    "into": "target",
    "commit": "commit_id",
}
"""The names of parameters and columns whose name in Python is a word of SQL."""
_SQL_TYPES = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT", datetime: "TIMESTAMP"}


@dataclass(frozen=True)
class Parameter:
    """A parameter: its SQL type, its default as SQL text (None: required), one sentence, and its name in Python."""

    name: str
    type: str
    default: str | None
    description: str
    python: str


@dataclass(frozen=True)
class Column:
    """A column of a result: its SQL type, and the values that it has where those are few."""

    name: str
    type: str
    values: tuple[str, ...] = ()


class Library(Protocol):
    """What has verbs as methods."""

    def perform(self, verb: Verb[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a verb."""


class Verb(Generic[P, R]):
    """A function of Epoch: called with a call's context in Python, as a method of the library, and by name in SQL."""

    def __init__(self, name: str, function: Callable[..., Any], record: type | None = None) -> None:
        self.name = name
        self.function = function
        self._record = record
        update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, library: None, owner: type) -> Self: ...
    @overload
    def __get__(self, library: Library, owner: type) -> Callable[P, R]: ...
    def __get__(self, library: Library | None, owner: type) -> Any:
        """The verb as a method, with its signature but for the context."""
        if library is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> R:
            return library.perform(self, *args, **kwargs)

        update_wrapper(method, self.function)
        method.__signature__ = self.signature  # type: ignore[attr-defined]
        return method

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature without the context."""
        found = inspect.signature(self.function)
        return found.replace(parameters=list(found.parameters.values())[1:])

    @cached_property
    def description(self) -> str:
        """What it does, in a sentence or two."""
        return taken_apart(self.function)[0][0]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, as SQL has them."""
        hints, (_, descriptions) = get_type_hints(self.function, include_extras=True), taken_apart(self.function)
        return tuple(
            Parameter(sql_name(name), sql_type(hints[name]), _default(found), descriptions.get(name, ""), name)
            for name, found in self.signature.parameters.items()
        )

    @property
    def record(self) -> type | None:
        """The dataclass whose fields are the columns; None where they are those of a table or a query."""
        return self._record

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of its rows; none where only the query tells."""
        return columns_of(self.record) if self.record else ()


class Direct(Verb[P, R]):
    """A verb whose function returns its result: a dataclass, any number of them, or None for no row."""

    def __call__(self, context: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result."""
        result: R = self.function(context, *args, **kwargs)
        return result

    @cached_property
    def record(self) -> type:
        """The dataclass that it returns one of, or some."""
        returned = get_type_hints(self.function, include_extras=True)["return"]
        found: type = next(kind for kind in (returned, *get_args(returned)) if _is_record(kind))
        return found


class Procedure(Direct[P, R]):
    """A verb that acts, or computes on its own cursor: once for each execution.

    ``acts`` is False for one that only reads, which also works on a read-only connection. ``looks`` says how closely
    the caller's own view is compared with what is committed: at the ``rows`` of every table, or at their number only.
    ``changes`` are the rows, where what differs from the last commit is located in the same pass.
    ``needs`` says what there has to be: a repository, or a database only. ``queues`` is False for one that works long
    beside others, on a store, say. ``writes`` says that one that only reads the database writes elsewhere, so that
    no query that should only read may call it.
    """

    def __init__(
        self,
        name: str,
        function: Callable[Concatenate[Any, P], R],
        acts: bool,
        looks: Literal["changes", "rows", "counts"],
        needs: Literal["repository", "database", "nothing"],
        queues: bool = True,
        writes: bool = False,
    ) -> None:
        super().__init__(name, function)
        self.acts = acts
        self.looks = looks if acts else None
        self.needs = needs
        self.queues = queues
        self.has_effects = acts or writes

    @cached_property
    def warns(self) -> bool:
        """Whether its result has room for warnings."""
        return any(column.name == "warnings" for column in self.columns)


class Reading(Direct[P, R]):
    """A verb that reads the catalog. In SQL, its rows are constants of the caller's query."""

    asks: None = None


class Query(Verb[P, R]):
    """A verb whose function returns the SQL of its rows, which DuckDB binds in the caller's query."""

    asks: Callable[..., Sequence[Any]] | None = None

    def __call__(self, context: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """The SQL that the function returns."""
        return self.function(context, *args, **kwargs)


class Relation(Query[P, R]):
    """A query that the library gives as a relation, for rows of users' tables.

    ``also`` describes the columns besides those of ``record``, or instead of them. ``asks`` is for SQL with a user's
    own text, which has to be proved to only read in the place where it is bound. Given a cursor, the arguments, and the
    caller's current database and schemas, it returns queries about the meaning of the text's names. The context of the
    function then has these, the queries, and the ``json_serialize_plan`` of each.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        record: type | None,
        also: str,
        asks: Callable[..., Sequence[Any]] | None,
    ) -> None:
        super().__init__(name, function, record)
        self.also = also
        self.asks = asks


def procedure(
    name: str,
    *,
    acts: bool = True,
    looks: Literal["changes", "rows", "counts"] = "counts",
    needs: Literal["repository", "database", "nothing"] = "repository",
    queues: bool = True,
    writes: bool = False,
) -> Callable[[Callable[Concatenate[Any, P], R]], Procedure[P, R]]:
    """Declare a function that acts or computes; see ``Procedure``."""
    return lambda function: Procedure(name, function, acts, looks, needs, queues, writes)


def reading(name: str) -> Callable[[Callable[Concatenate[Any, P], R]], Reading[P, R]]:
    """Declare a function that reads the catalog; see ``Reading``."""
    return lambda function: Reading(name, function)


def query(name: str, rows: type[Row]) -> Callable[[Callable[Concatenate[Any, P], Any]], Query[P, list[Row]]]:
    """Declare a function that returns SQL with rows of a dataclass; see ``Query``."""
    return lambda function: Query(name, function, rows)


def relation(
    name: str, columns: type | None = None, also: str = "", asks: Callable[..., Sequence[Any]] | None = None
) -> Callable[[Callable[Concatenate[Any, P], Any]], Relation[P, DuckDBPyRelation]]:
    """Declare a function that returns SQL with rows of users' tables; see ``Query`` and ``Relation``."""
    return lambda function: Relation(name, function, columns, also, asks)


def sql_name(name: str) -> str:
    """The name in SQL of a parameter or a field."""
    return _SQL_NAMES.get(name, name)


def sql_type(hint: Any) -> str:
    """The SQL type of an annotation: a plain type, a Literal of texts, a dataclass, a sequence of these, or None."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return str(arguments[1])
    if origin is Literal:
        return "VARCHAR"
    if origin in (Union, UnionType):
        return sql_type(next(one for one in arguments if one is not NoneType))
    if origin is not None:
        return f"{sql_type(arguments[0])}[]"
    if _is_record(hint):
        return f"STRUCT({', '.join(f'{column.name} {column.type}' for column in columns_of(hint))})"
    return _SQL_TYPES[hint]


@cache
def columns_of(record: type) -> tuple[Column, ...]:
    """The columns of a dataclass; those of one within it have its name before theirs: ``rows_added``."""
    return tuple(_columns(record))


def row_of(value: Any) -> dict[str, Any]:
    """A dataclass as DuckDB takes a row: values by column name."""
    row: dict[str, Any] = {}
    for field in fields(value):
        found, name = getattr(value, field.name), sql_name(field.name)
        if is_dataclass(found):
            row.update({f"{name}_{inner}": part for inner, part in row_of(found).items()})
        elif isinstance(found, list | tuple):
            row[name] = [row_of(one) if is_dataclass(one) else one for one in found]
        else:
            row[name] = found
    return row


def rows_of(result: Any) -> list[dict[str, Any]]:
    """The rows of a result: one dataclass, any number of them, or None."""
    if result is None:
        return []
    return [row_of(result)] if is_dataclass(result) else [row_of(one) for one in result]


def record_of(record: type[Row], values: Sequence[Any]) -> Row:
    """The dataclass of a row that DuckDB gave, in the order of its columns."""
    built: Row = _built(record, iter(values))
    return built


def with_warnings(result: Row, warnings: Sequence[str]) -> Row:
    """A result that says what the call has to say besides."""
    return replace(result, warnings=list(warnings))  # type: ignore[type-var]


def _is_record(hint: Any) -> bool:
    return is_dataclass(hint)


def _built(record: Any, values: Iterator[Any]) -> Any:
    hints = _hints(record)
    return record(*(_built(h, values) if _is_record(h) else next(values) for h in hints.values()))


@cache
def _hints(record: type) -> Mapping[str, Any]:
    hints = get_type_hints(record, include_extras=True)
    return {field.name: hints[field.name] for field in fields(record)}


def _columns(record: Any) -> Iterator[Column]:
    for python, hint in _hints(record).items():
        name = sql_name(python)
        if _is_record(hint):
            yield from (replace(column, name=f"{name}_{column.name}") for column in columns_of(hint))
        else:
            yield Column(name, sql_type(hint), _values(hint))


def _values(hint: Any) -> tuple[str, ...]:
    """The values of a Literal, also of one that may be None."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((_values(one) for one in get_args(hint) if get_origin(one) is Literal), ())


def _default(parameter: inspect.Parameter) -> str | None:
    value = parameter.default
    if value is inspect.Parameter.empty:
        return None
    if value is None:
        return "NULL"
    return str(value).lower() if isinstance(value, bool | int) else "'{}'".format(value.replace("'", "''"))


def taken_apart(function: Callable[..., Any]) -> tuple[list[str], dict[str, str]]:
    """The paragraphs of a docstring, and what its section ``Args:`` says of each parameter."""
    return taken_apart_text(inspect.cleandoc(function.__doc__ or ""))


def taken_apart_text(docstring: str) -> tuple[list[str], dict[str, str]]:
    """The same of the text of a docstring."""
    text, _, arguments = docstring.partition("\n\nArgs:\n")
    descriptions: dict[str, str] = {}
    name = ""
    for line in arguments.splitlines():
        # Lines that go on are indented further.
        if line.startswith("     "):
            descriptions[name] += f" {line.strip()}"
        else:
            name, _, sentence = line.strip().partition(": ")
            descriptions[name] = sentence
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")], descriptions
