"""Takes the definitions of a store apart, and proves that each is one statement of its kind and name.

Epoch's lexer reads a definition, DuckDB's parser proves its parts, and what Epoch would write from those parts has to
be the definition. So a difference between the two lexers does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.model.schema import Column, SchemaObject, Table
from epoch_sql.model.sql_text import Token, element_end, split_statements, tokens, top_level
from epoch_sql.proof.syntax import Fragment, Node, NotOne, parse

_SEQUENCE = re.compile(r" INCREMENT BY -?\d+ MINVALUE -?\d+ MAXVALUE -?\d+ (?:NO )?CYCLE", re.ASCII)
_NUMBER = re.compile(r"-?\d+", re.ASCII)
_COLLATION = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
_CONSTRAINTS = frozenset({"PRIMARY KEY", "UNIQUE", "CHECK", "FOREIGN KEY"})

Definition = Table | SchemaObject


@dataclass(frozen=True)
class Parsed:
    """A definition, and its parts that DuckDB binds or runs: their texts and their syntax trees."""

    definition: Definition
    texts: tuple[str, ...]
    trees: tuple[Node, ...]


class Refused(Exception):
    """A definition is not one statement of its kind. ``definition`` is the definition, and the text says why."""

    def __init__(self, definition: Definition, reason: str) -> None:
        self.definition = definition
        super().__init__(reason)


def take_apart(engine: duckdb.DuckDBPyConnection, definitions: Sequence[Definition]) -> list[Parsed]:
    """The definitions with their syntax trees. Raises Refused for the first that is not what it claims to be."""
    parts = [_parts(definition) for definition in definitions]
    fragments = [fragment for found in parts for fragment in found]
    try:
        trees = iter(parse(engine, fragments))
        return [
            Parsed(definition, tuple(part.text for part in found), tuple(next(trees) for _ in found))
            for definition, found in zip(definitions, parts, strict=True)
        ]
    except NotOne:
        for definition, found in zip(definitions, parts, strict=True):
            try:
                parse(engine, found)
            except NotOne as error:
                raise Refused(definition, str(error)) from error
        raise


def take_apart_own(engine: duckdb.DuckDBPyConnection, definitions: Sequence[Definition]) -> list[Parsed]:
    """The user's own definitions with their syntax trees. Leaves out those that cannot be taken apart."""
    found = []
    for definition in definitions:
        try:
            found += take_apart(engine, [definition])
        except Refused:
            found.append(Parsed(definition, (), ({"type": "SQL that DuckDB does not parse"},)))
    return found


def called(definition: Definition) -> str:
    """A definition in messages: ``view v``, ``table t``."""
    return f"table {definition.name}" if isinstance(definition, Table) else f"{definition.kind} {definition.label}"


def _parts(definition: Definition) -> list[Fragment]:
    try:
        if isinstance(definition, Table):
            return list(_of_table(definition))
        return list(_KINDS[definition.kind](definition))
    except NotOne as error:
        raise Refused(definition, str(error)) from error
    except (KeyError, StopIteration, RuntimeError, AttributeError, TypeError) as error:
        raise Refused(definition, "it is not a definition of its kind") from error


def _of_table(table: Table) -> Iterator[Fragment]:
    for column in table.columns:
        yield from _of_column(column)
    for constraint in table.constraints:
        if constraint.kind not in _CONSTRAINTS:
            raise NotOne("it has a constraint of no kind")
        if constraint.kind == "CHECK":
            yield Fragment("expression", constraint.expression or "", "a CHECK")
    for index in table.indexes:
        for expression in index.expressions:
            yield Fragment("expression", expression, f"index {index.name}")
    for trigger in table.triggers:
        yield Fragment("statement", trigger.body, f"trigger {trigger.name}")


def _of_column(column: Column) -> Iterator[Fragment]:
    yield Fragment("type", column.type, f"the type of column {column.name}")
    if column.collation is not None and not _COLLATION.fullmatch(column.collation):
        raise NotOne(f"the collation of column {column.name} is not a name")
    values = {"DEFAULT": column.default, "value": column.generated, "value of earlier rows": column.fill}
    for what, expression in values.items():
        if expression is not None:
            yield Fragment("expression", expression, f"the {what} of column {column.name}")


def _of_schema(schema: SchemaObject) -> Iterator[Fragment]:
    _require(schema.definition == render.fill("CREATE SCHEMA {{name}}", name=render.relative(schema.name)))
    return iter(())


def _of_type(kind: SchemaObject) -> Iterator[Fragment]:
    yield Fragment("type", _after(kind, "TYPE").removeprefix(" AS "), "what it is AS")


def _of_sequence(sequence: SchemaObject) -> Iterator[Fragment]:
    _require(bool(_SEQUENCE.fullmatch(_after(sequence, "SEQUENCE"))))
    _require(sequence.state is None or bool(_NUMBER.fullmatch(sequence.state)))
    return iter(())


def _of_view(view: SchemaObject) -> Iterator[Fragment]:
    rest = _after(view, "VIEW")
    body = next(token for token in top_level(rest) if token.is_word("AS"))
    head = list(tokens(rest[: body.start]))
    _require(not head or (head[0].text == "(" and head[-1].text == ")" and _are_names(head[1:-1])))
    yield Fragment("query", rest[body.end :], "its query")


def _of_macro(macro: SchemaObject) -> Iterator[Fragment]:
    statements = split_statements(macro.definition)
    _require(";\n".join(statements) == macro.definition and 1 <= len(statements) <= 2)
    forms = set()
    for statement in statements:
        rest, position = _after(macro, "MACRO", statement), 0
        while True:
            is_table, position = yield from _overload(rest, position)
            forms.add(is_table)
            if position == len(rest):
                break
            _require(rest.startswith(", ", position))
            position += len(", ")
    _require(len(forms) == len(statements))


def _overload(text: str, start: int) -> Generator[Fragment, None, tuple[bool, int]]:
    """Adds the parts of ``(parameters) AS body``. Returns whether it is a table macro, and its end."""
    _require(text.startswith("(", start))
    position = start + 1
    while not text.startswith(")", position):
        end = element_end(text, position)
        yield from _parameter(text[position:end])
        _require(end < len(text) and text[end] in ",)")
        position = end + 1 if text[end] == "," else end
    body = position + len(") AS ")
    _require(text.startswith(") AS ", position))
    if not text.startswith("TABLE (", body):
        end = element_end(text, body)
        yield Fragment("expression", text[body:end], "its value")
        return False, end
    inside = body + len("TABLE (")
    end = next(token.start for token in _closing(text, inside))
    yield Fragment("query", text[inside:end], "its query")
    return True, end + 1


def _closing(text: str, start: int) -> Iterator[Token]:
    """The parenthesis that closes the one before ``start``."""
    depth = 0
    for token in tokens(text, start):
        depth += (token.text in "([{") - (token.text in ")]}")
        if depth < 0:
            yield token


def _parameter(text: str) -> Iterator[Fragment]:
    """``name [type] [:= default]``."""
    words = list(tokens(text))
    _require(bool(words) and _are_names(words[:1]))
    name = words[0].name
    assign = next((token for token in top_level(text) if token.text == ":="), None)
    kind = text[words[0].end : assign.start if assign else len(text)]
    if kind.strip():
        yield Fragment("type", kind, f"the type of parameter {name}")
    if assign:
        yield Fragment("expression", text[assign.end :], f"the default of parameter {name}")


def _are_names(tokens: Sequence[Token]) -> bool:
    """Whether tokens are names separated by commas."""
    names, commas = tokens[::2], tokens[1::2]
    spelled = all(name.name is not None and name.text != '"' for name in names)
    return len(names) > len(commas) and spelled and all(comma.text == "," for comma in commas)


def _after(made: SchemaObject, kind: str, statement: str | None = None) -> str:
    """The text of a CREATE statement after the name. Raises NotOne if its kind or name differs."""
    text = made.definition if statement is None else statement
    start = render.fill(f"CREATE {kind} {{{{name}}}}", name=render.relative(made.name))
    _require(text.startswith(start))
    return text[len(start) :]


def _require(proved: bool) -> None:
    if not proved:
        raise NotOne("it is not the statement that its kind and name say")


_KINDS = {
    "schema": _of_schema,
    "type": _of_type,
    "sequence": _of_sequence,
    "view": _of_view,
    "macro": _of_macro,
}
