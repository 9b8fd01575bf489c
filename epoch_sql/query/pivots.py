"""What the names in a query mean to its caller. Also PIVOT without IN: finds it in a query, and gives the query for
its values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import duckdb

from epoch_sql import render
from epoch_sql.call import Call
from epoch_sql.errors import EpochQueryError
from epoch_sql.model.schema import ObjectName
from epoch_sql.model.sql_text import tokens
from epoch_sql.query.table_references import Query, inner_text, lexemes, read_query, syntax_tree
from epoch_sql.render import Sql

# A function that returns SQL text works on a cursor of its own. That cursor sees neither the caller's temporary tables
# and registered data frames nor the choice of its ``USE``. So the macro asks in the caller's query: DuckDB plans a
# small query for each name (``json_serialize_plan``), and the macro passes the plans in.

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
    return render.fill(Sql("FROM {{name}}"), name=render.joined([render.identifier(p) for p in parts], "."))


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


# DuckDB turns such a PIVOT into two statements: one for the distinct values, as sorted texts, and one that names them.
# A function that gives rows has to be one statement, so Epoch runs the first one before.

NAME_VALUES = "name the values: PIVOT … ON column IN (…) USING …"

_PIVOT = frozenset({"PIVOT", "PIVOT_WIDER"})
_AFTER_ON = frozenset({"USING", "GROUP"})
_AFTER = frozenset({"ORDER", "LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT", ";"})
_QUERY = frozenset({"SELECT", "FROM", "WITH", "VALUES", "TABLE", "PIVOT"})
_MISSED = f"PIVOT meets a value here that was not there, or is written otherwise in another TimeZone: {NAME_VALUES}"
_NOTHING = "epoch: PIVOT without values"


@dataclass(frozen=True)
class Unlisted:
    """An expression after ON without values, or the query in its IN: its position, and the query for its values.

    ``statement`` is the start and end of its PIVOT.
    """

    start: int
    end: int
    values: Sql
    is_query: bool
    statement: tuple[int, int]


class _Word(NamedTuple):
    start: int
    end: int
    text: str
    level: int
    """The position of the bracket around it, or -1 outside of all brackets."""


def with_values(sql: str, values: Callable[[Sql], Sequence[str]]) -> str:
    """The query with the values of every PIVOT in it. ``values`` reads them."""
    while found := _unlisted(text := inner_text(sql)):
        sql = _listed(text, [(one, values(one.values)) for one in found])
    return sql


def with_some_values(sql: str) -> str:
    """The query in a form that DuckDB can parse, to find the names in it."""
    while found := _unlisted(text := inner_text(sql)):
        for one in reversed(found):
            named = "''" if one.is_query else f"({text[one.start : one.end]}) IN ('')"
            text = text[: one.start] + named + text[one.end :]
        sql = text
    return sql


def parsed_query(cursor: duckdb.DuckDBPyConnection, sql: str) -> Query:
    """The names in a query. Raises EpochQueryError unless the text is one query."""
    tree = syntax_tree(cursor, with_some_values(sql))
    if tree.get("error"):
        message = str(tree.get("error_message", "")).splitlines()
        if tree.get("error_type") == "not implemented":
            if any(token.is_word("PIVOT") for token in tokens(sql)):
                raise EpochQueryError(
                    "PIVOT without IN has to read its values before, which cannot be done in this form", NAME_VALUES
                )
            raise EpochQueryError(
                "epoch_query reads; this is not a query", "one SELECT, FROM, WITH or VALUES statement"
            )
        raise EpochQueryError(f"the query is not SQL: {message[0] if message else 'syntax error'}", "correct the query")
    if len(tree["statements"]) != 1:
        raise EpochQueryError(
            f"epoch_query takes one statement, not {len(tree['statements'])}",
            "one SELECT, FROM, WITH or VALUES statement",
        )
    return read_query(tree["statements"][0])


def _unlisted(text: str) -> list[Unlisted]:
    """The items without values in the outermost PIVOT statements of a query, in the order of the text.

    A PIVOT in the source of another one is found after that has its values.
    """
    if "PIVOT" not in text.upper():
        return []
    words, enclosing = _words(text)
    found: list[Unlisted] = []
    for number, word in enumerate(words):
        if word.text not in _PIVOT or (found and word.start < found[-1].end) or _is_clause(words, number):
            continue
        own = _statement(words, number)
        ons = [n for n, w in enumerate(own) if w.text == "ON"]
        if ons:
            source, whole = text[word.end : own[ons[-1]].start], (word.start, own[-1].end)
            scopes = _scopes(text, words, enclosing, word)
            for item in _items(own[ons[-1] + 1 :]):
                found += _without_values(text, words, item, source, scopes, whole)
    return found


def _without_values(
    text: str,
    words: Sequence[_Word],
    item: Sequence[_Word],
    source: str,
    scopes: Sequence[str],
    statement: tuple[int, int],
) -> Iterator[Unlisted]:
    """An item of a list after ON, if it has no values."""
    into = next((n for n, w in enumerate(item) if w.text == "IN"), None)
    if into is None:
        start, end = item[0].start, item[-1].end
        yield Unlisted(start, end, _values(scopes, text[start:end], source), False, statement)
    elif item[-1].text == ")":
        start, end = item[into + 1].end, item[-1].start
        if any(w.text in _QUERY for w in words if w.level == item[into + 1].start):
            query = render.fill(
                Sql("SELECT CAST(value AS VARCHAR) FROM (\n{{text}}\n) AS listed(value)"),
                text=render.verbatim(text[start:end]),
            )
            yield Unlisted(start, end, _within(scopes, query), True, statement)


def _listed(text: str, unlisted: Sequence[tuple[Unlisted, Sequence[str]]]) -> str:
    """The query with values. Meeting another value is an error. Without values, it makes no columns."""
    edits: set[tuple[int, int, str]] = set()
    for one, values in unlisted:
        texts = [render.literal(value) for value in values or [_NOTHING]]
        template = (
            "{{texts}}"
            if one.is_query
            else (
                "CASE WHEN ({{one}}) IS NULL OR CAST(({{one}}) AS VARCHAR) IN ({{texts}}) THEN ({{one}}) "
                "ELSE error({{missed}}) END IN ({{texts}})"
            )
        )
        named = render.fill(
            Sql(template), one=render.verbatim(text[one.start : one.end]), texts=texts, missed=render.literal(_MISSED)
        )
        edits.add((one.start, one.end, named))
        if not values:
            start, end = one.statement
            nothing = render.fill(Sql("SELECT * NOT LIKE {{nothing}} FROM ("), nothing=render.literal(f"%{_NOTHING}%"))
            edits |= {(start, start, nothing), (end, end, ")")}
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _words(text: str) -> tuple[list[_Word], dict[int, int]]:
    """The lexemes, words in upper case, and for each bracket the one around it."""
    words, open_brackets = [], [-1]
    enclosing: dict[int, int] = {}
    for start, end, lexeme in lexemes(text):
        if lexeme in ")]}" and len(open_brackets) > 1:
            open_brackets.pop()
        words.append(_Word(start, end, lexeme.upper(), open_brackets[-1]))
        if lexeme in "([{":
            enclosing[start] = open_brackets[-1]
            open_brackets.append(start)
    return words, enclosing


def _statement(words: Sequence[_Word], number: int) -> list[_Word]:
    """The words after a PIVOT up to the end of its statement, without the contents of brackets."""
    level = words[number].level
    own: list[_Word] = []
    for word in words[number + 1 :]:
        if word.level < level or (word.level == level and word.text in _AFTER):
            break
        if word.level == level:
            own.append(word)
    return own


def _is_clause(words: Sequence[_Word], number: int) -> bool:
    """Whether it is the clause of the standard after a table, which names its values: PIVOT (… FOR … IN …)."""
    rest = words[number + 1 :]
    bracket = next((w for w in rest if w.text not in {"INCLUDE", "EXCLUDE", "NULLS"}), None)
    if bracket is None or bracket.text != "(":
        return False
    return any(w.text == "FOR" and w.level == bracket.start for w in rest)


def _items(own: Sequence[_Word]) -> list[list[_Word]]:
    """The items of a list after ON."""
    items: list[list[_Word]] = [[]]
    for word in own:
        if word.text in _AFTER_ON:
            break
        if word.text == ",":
            items.append([])
        else:
            items[-1].append(word)
    return [item for item in items if item]


def _scopes(text: str, words: Sequence[_Word], enclosing: Mapping[int, int], pivot: _Word) -> list[str]:
    """The WITH lists that a PIVOT sees, the outermost first, each with the entries that are complete before the
    PIVOT."""
    found: list[str] = []
    level, until = pivot.level, pivot.start
    while True:
        own = [w for w in words if w.level == level and w.start < until]
        begins = [n for n, w in enumerate(own) if w.text == "WITH"]
        if begins:
            found.insert(0, text[own[begins[-1]].start : _end_of_entries(own[begins[-1] :])])
        if level < 0:
            return [scope for scope in found if scope]
        level, until = enclosing[level], level


def _end_of_entries(own: Sequence[_Word]) -> int:
    """The end of the last complete entry of a WITH list, name AS [MATERIALIZED] (…), or the start of the list."""
    end = own[0].start
    for number, word in enumerate(own):
        if word.text == ")" and own[number - 2].text in {"AS", "MATERIALIZED"}:
            end = word.end
            if number + 1 == len(own) or own[number + 1].text != ",":
                break
    return end


def _values(scopes: Sequence[str], expression: str, source: str) -> Sql:
    query = render.render(
        "query.pivot_values",
        expression=render.verbatim(expression),
        source=render.verbatim(source),
    )
    return _within(scopes, query)


def _within(scopes: Sequence[str], query: Sql) -> Sql:
    """A query that sees these WITH lists."""
    for scope in reversed(scopes):
        query = render.fill(Sql("{{scope}}\nFROM (\n{{query}}\n)"), scope=render.verbatim(scope), query=query)
    return query
