"""Parses fragments of SQL text (expressions, queries, types) with DuckDB's parser.

A fragment is proved by itself and once more in parentheses. If it is the same single expression in both, it is safe
wherever SQL accepts an expression: it closes no bracket that it did not open, and hides nothing after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from epoch_sql.model.sql_text import Token, tokens

LONGEST = 4_000_000
"""The greatest length of a fragment, in characters. DuckDB would take hours for a longer expression or query."""

Node = Mapping[str, Any]
_BARE: dict[str, Any] = {
    "type": "SELECT_NODE",
    "modifiers": [],
    "cte_map": {"map": []},
    "where_clause": None,
    "group_expressions": [],
    "group_sets": [],
    "aggregate_handling": "STANDARD_HANDLING",
    "having": None,
    "sample": None,
    "qualify": None,
}
STATEMENT = "STATEMENT_OF_A_TRIGGER"
"""The type of the node for a statement, which holds its text."""
_CHANGES_ROWS = (
    duckdb.StatementType.INSERT,
    duckdb.StatementType.UPDATE,
    duckdb.StatementType.DELETE,
    duckdb.StatementType.MERGE_INTO,
)
_CLOSING = {")": "(", "]": "["}
_LOCATIONS = frozenset({"query_location", "query_location_length"})


@dataclass(frozen=True)
class Fragment:
    """A part of a definition: its text, its owner, and its kind: ``expression``, ``query``, ``type``, or
    ``statement`` of a trigger."""

    kind: str
    text: str
    what: str


class NotOne(Exception):
    """A fragment is not exactly what it claims to be. The text says which, and why."""


def parse(engine: duckdb.DuckDBPyConnection, fragments: Sequence[Fragment]) -> list[Node]:
    """The syntax tree of each fragment. Raises NotOne for the first that is not exactly one of its kind."""
    for fragment in fragments:
        _require_text(fragment)
    forms = [_forms(fragment) for fragment in fragments]
    trees = iter(serialized(engine, [text for texts in forms for text in texts]))
    return [
        _proved(fragment, [next(trees) for _ in texts]) if texts else _statement(engine, fragment)
        for fragment, texts in zip(fragments, forms, strict=True)
    ]


def serialized(engine: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> list[Node]:
    """The result of ``json_serialize_sql`` for each text: ``statements``, or ``error``."""
    statement = "SELECT CAST(json_serialize_sql(CAST(text AS VARCHAR)) AS VARCHAR) FROM (SELECT unnest(?) AS text)"
    return [_read(answer) for (answer,) in engine.execute(statement, [list(texts)]).fetchall()] if texts else []


def _read(answer: str) -> Node:
    try:
        tree: Node = json.loads(answer)
    except RecursionError:
        return {"error": True, "error_message": "it is nested too deeply"}
    return tree


def _forms(fragment: Fragment) -> tuple[str, ...]:
    """The texts that prove a fragment. The parenthesis follows directly, so a comment that is open at the end would
    remove it.

    A statement has no form, because DuckDB serializes only statements that read.
    """
    if fragment.kind == "statement":
        return ()
    if fragment.kind == "type":
        return (f"SELECT CAST(NULL AS {fragment.text})",)
    if fragment.kind == "query":
        return fragment.text, f"FROM ({fragment.text})"
    return f"SELECT {fragment.text}", f"SELECT ({fragment.text})"


def _require_text(fragment: Fragment) -> None:
    if not fragment.text.strip():
        raise NotOne(f"{fragment.what} is not a valid {fragment.kind}")
    if "\0" in fragment.text or len(fragment.text) > LONGEST:
        raise NotOne(f"{fragment.what} is too long, or has a NUL character in it")


def _proved(fragment: Fragment, trees: Sequence[Node]) -> Node:
    no_such = f"{fragment.what} is not one {fragment.kind}"
    for tree in trees:
        if tree.get("error"):
            lines = str(tree.get("error_message", "")).splitlines() or ["syntax error"]
            raise NotOne(f"{no_such}: {lines[0]}")
        if len(tree["statements"]) != 1:
            raise NotOne(f"{no_such}, but {len(tree['statements'])} statements")
    nodes = [tree["statements"][0]["node"] for tree in trees]
    found = {"type": _type, "query": _query, "expression": _the_expression}[fragment.kind](fragment.text, nodes)
    if found is None:
        raise NotOne(no_such)
    return found


def _statement(engine: duckdb.DuckDBPyConnection, fragment: Fragment) -> Node:
    """A node for one statement that changes rows. Nothing follows it in a definition."""
    try:
        found = engine.extract_statements(fragment.text)
    except duckdb.Error as error:
        raise NotOne(f"{fragment.what} is not one statement: {str(error).splitlines()[0]}") from error
    if len(found) != 1 or found[0].type not in _CHANGES_ROWS:
        raise NotOne(f"{fragment.what} is not one statement that changes rows")
    return {"type": STATEMENT, "text": fragment.text}


def _query(_text: str, nodes: Sequence[Node]) -> Node | None:
    inner, outer = nodes
    table = outer["from_table"]
    proved = _is_bare(outer) and table.get("type") == "SUBQUERY" and same(inner, table["subquery"]["node"])
    return inner if proved else None


def _the_expression(_text: str, nodes: Sequence[Node]) -> Node | None:
    first, second = map(_expression, nodes)
    return first if first is not None and second is not None and same(first, second) else None


def _type(text: str, nodes: Sequence[Node]) -> Node | None:
    """The cast of NULL to the type."""
    cast = _expression(nodes[0])
    proved = cast and cast["class"] == "CAST" and cast["child"].get("class") == "CONSTANT" and not cast["try_cast"]
    return cast if proved and _is_closed(text) else None


def _is_bare(node: Node) -> bool:
    """Whether a query is nothing but a list of expressions, or FROM and a table."""
    return all(node.get(name) == value for name, value in _BARE.items())


def _expression(node: Node) -> Node | None:
    """The only expression of a query without anything else."""
    selected = node.get("select_list", [])
    if not _is_bare(node) or node["from_table"].get("type") != "EMPTY" or len(selected) != 1:
        return None
    found: Node = selected[0]
    return None if found.get("alias") else found


def same(left: Any, right: Any) -> bool:
    """Whether two syntax trees differ at most in the positions of their parts."""
    pending = [(left, right)]
    while pending:
        a, b = pending.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            names = (a.keys() | b.keys()) - _LOCATIONS
            if any((name in a) != (name in b) for name in names):
                return False
            pending += [(a[name], b[name]) for name in names]
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            pending += zip(a, b, strict=True)
        elif a != b:
            return False
    return True


def _is_closed(kind: str) -> bool:
    """Whether a type consists of names, strings, numbers, and brackets that close in it."""
    opened: list[str] = []
    before: Token | None = None
    for token in tokens(kind):
        text = token.text
        if text in "([":
            opened.append(text)
        elif text in _CLOSING:
            if not opened or opened.pop() != _CLOSING[text]:
                return False
        elif _is_string(text):
            if before is not None and before.name is not None and before.end == token.start:
                return False
        elif text not in ",.-" and not text.isdigit() and (token.name is None or text[0] == '"'):
            return False
        before = token
    return not opened


def _is_string(text: str) -> bool:
    """Whether it is a string or a quoted name that ends. A prefix as in E'…' would change where it ends."""
    return len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
