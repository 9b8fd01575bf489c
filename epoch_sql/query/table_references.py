"""Finds the tables in a query by DuckDB's parser (the tree of ``json_serialize_sql``, with the scopes of WITH), and
proves that it only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.call import Call, Memory
from epoch_sql.errors import EpochActsError
from epoch_sql.model.sql_text import top_level
from epoch_sql.proof.reads import Catalog, acting_among, acts, reads_by_plan
from epoch_sql.render import Sql

_PLAN = "SELECT CAST(json_serialize_plan(CAST(? AS VARCHAR)) AS VARCHAR)"


@dataclass(frozen=True)
class Provable:
    """A query, and the same query with an empty relation instead of each committed state.

    DuckDB 2.0 serializes no plan that scans Parquet files, and older versions open each file to bind one. Epoch's SQL
    for a state only reads, so the plan of ``bare`` shows everything that needs a proof.
    """

    sql: Sql
    bare: Sql


def require_reading(call: Call, bare: Sql, what: str) -> None:
    """Raises EpochActsError unless a query, given as its ``Provable.bare``, is proved to only read. ``what`` is its
    name in messages."""
    (plan,) = call.cursor.execute(_PLAN, [bare]).fetchone() or ("",)
    require_reading_plan(call.cursor, call.memory, bare, what, plan, {})


def require_reading_plan(
    cursor: duckdb.DuckDBPyConnection, memory: Memory, bare: Sql, what: str, plan: str, own: Mapping[str, str]
) -> None:
    """The same, with ``plan``, the ``json_serialize_plan`` of the query in the place where it will run.

    ``own`` are the plans of temporary tables and data frames, which only its caller has, by name.
    """
    problem = acts(cursor, bare, plan, lambda: _catalog(cursor, memory, own))
    if problem:
        raise _refusal(what, problem)


def require_idle(functions: set[str], what: str) -> None:
    """Raises EpochActsError if a query names one of DuckDB's functions that act."""
    found = acting_among(functions)
    if found:
        raise _refusal(what, f"{min(found)}() acts")


def macro_texts(cursor: duckdb.DuckDBPyConnection, own: Collection[str]) -> dict[str, str]:
    """Every name, in lower case, of macros of all schemas and databases, with the texts of these, as queries.

    ``own`` are Epoch's macros in schema main, which are not among them.
    """
    texts: dict[str, list[str]] = {}
    for in_main, name, text in cursor.execute(render.render("query.macro_texts")).fetchall():
        if not (in_main and name in own):
            texts.setdefault(name.lower(), []).append(text)
    return {name: ";\n".join(found) for name, found in texts.items()}


def _refusal(what: str, problem: str) -> EpochActsError:
    return EpochActsError(f"{what} only reads, but {problem}", "a query that reads tables and files, and does no more")


def _catalog(cursor: duckdb.DuckDBPyConnection, memory: Memory, own: Mapping[str, str]) -> Catalog:
    views: dict[str, list[str]] = {}
    for name, sql in cursor.execute(
        "SELECT lower(view_name), sql FROM duckdb_views() WHERE NOT internal AND sql IS NOT NULL"
    ).fetchall():
        start = next((token.end for token in top_level(sql) if token.is_word("AS")), 0)
        views.setdefault(name, []).append(sql[start:])
    macros = {name: [text] for name, text in macro_texts(cursor, memory.own_macros).items()}
    relations = cursor.execute(
        "SELECT lower(table_name) FROM duckdb_tables() UNION SELECT lower(view_name) FROM duckdb_views()"
    ).fetchall()
    proved = {name.lower() for name, plan in own.items() if reads_by_plan(cursor, plan)}
    known = frozenset({name for (name,) in relations} | proved)
    return Catalog(views, macros, known, memory.acting, memory.own_macros - memory.acting)


# DuckDB gives the position of a name in bytes. It gives none if a statement takes a table's name instead of a query
# (TABLE, DESCRIBE, SUMMARIZE on 2.0), and for ``alias: name`` it gives that of the alias.

# fmt: off
_LEXEME = re.compile(
    r"""(?P<space>\s+|--[^\n]*)|(?P<comment>/\*)"""
    r"""|[eE]'(?:\\.|''|[^'\\])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$|\w+|.""",
    re.DOTALL,
)
# fmt: on
_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_NAME = r"""(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|[^\W\d][\w$]*|[^\x00-\x7f\s][\w$]*)"""
_PATH = re.compile(rf"{_NAME}(?:{_GAP}\.{_GAP}{_NAME})*", re.DOTALL)
_PART = re.compile(_NAME)
_DOT = re.compile(rf"{_GAP}\.{_GAP}", re.DOTALL)
_ALIAS = re.compile(rf"{_NAME}{_GAP}:{_GAP}", re.DOTALL)
_VERBS = frozenset({"TABLE", "SUMMARIZE", "DESCRIBE", "DESC", "SHOW"})
_VERB = re.compile(rf"\b({'|'.join(sorted(_VERBS))}){_GAP}$", re.IGNORECASE | re.DOTALL)
_FILES = (".csv", ".tsv", ".txt", ".gz", ".zst", ".parquet", ".json", ".jsonl", ".ndjson", ".arrow", ".xlsx", ".db")
_NOWHERE = (1 << 64) - 1


class Unlocated(Exception):
    """A table whose position in the text is unknown."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


@dataclass(frozen=True)
class Mention:
    """A table or view in a query: the parts of its name as they are written, its alias, and its byte offset."""

    parts: tuple[str, ...]
    alias: str
    location: int

    @property
    def table(self) -> str:
        """The name without its schema."""
        return self.parts[-1]

    @property
    def qualifiers(self) -> tuple[str, ...]:
        """The names before it: the path of a schema, or a database, or both."""
        return self.parts[:-1]

    @property
    def is_file(self) -> bool:
        """Whether it is the name of a file."""
        return self.table.lower().endswith(_FILES) or "/" in self.table


@dataclass
class Query:
    """The names in a query: tables (without its own WITH queries), functions in lower case, and columns with their
    offsets.

    ``common`` are the names of its WITH queries in lower case. ``shows`` says that it has a SHOW of names.
    """

    mentions: list[Mention] = field(default_factory=list)
    common: set[str] = field(default_factory=set)
    shows: bool = False
    functions: set[str] = field(default_factory=set)
    columns: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)


def read_query(statement: Mapping[str, Any]) -> Query:
    """The names in one statement of ``json_serialize_sql``."""
    found: dict[tuple[int, tuple[str, ...]], Mention] = {}
    query = Query()
    _visit(statement, frozenset(), query, found)
    query.mentions = list(found.values())
    return query


def inner_text(sql: str) -> str:
    """The text of a statement without blanks, comments and semicolons around it."""
    start, end = span(sql)
    return sql[start:end]


def span(sql: str) -> tuple[int, int]:
    """The start and end of a statement, without blanks, comments and semicolons around it."""
    spans = [(start, end) for start, end, lexeme in lexemes(sql) if lexeme != ";"]
    return (spans[0][0], spans[-1][1]) if spans else (0, 0)


def lexemes(sql: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and text of everything but blanks and comments, as DuckDB reads it."""
    position = 0
    while position < len(sql):
        match = _LEXEME.match(sql, position)
        assert match
        position = _comment_end(sql, match.end()) if match["comment"] else match.end()
        if not (match["space"] or match["comment"]):
            yield match.start(), position, match[0]


def renamed(sql: str, query: Query, names: Mapping[Mention, str]) -> str:
    """The text with other names for mentions. A mention without an alias keeps the table's name as its alias.

    Removes the schema of such a table from the names of columns. Raises Unlocated for a mention with an unknown
    position.
    """
    text = inner_text(sql)
    edits: set[tuple[int, int, str]] = set()
    for mention, name in names.items():
        start, end = _span(text, mention, {edit[0] for edit in edits})
        new = render.identifier(name)
        if not mention.alias and not _VERB.search(text[:start]):
            new = render.fill(Sql("{{new}} AS {{table}}"), new=new, table=render.identifier(mention.table))
        edits.add((start, end, new))
    qualified = {name for mention in query.mentions if not mention.alias for name in _qualified(mention)}
    for location, path in query.columns:
        edit = _unqualified(text, location, path, qualified)
        if edit:
            edits.add(edit)
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _visit(node: Any, scope: frozenset[str], query: Query, mentions: dict[Any, Mention]) -> None:
    if isinstance(node, list):
        for item in node:
            _visit(item, scope, query, mentions)
    elif isinstance(node, dict):
        _note(node, scope, query, mentions)
        if node.get("type") == "RECURSIVE_CTE_NODE":
            own = scope | {str(node.get("cte_name", "")).lower()}
            for name, child in node.items():
                _visit(child, scope if name == "left" else own, query, mentions)
            return
        inner = _common_tables(node, scope, query, mentions)
        if node.get("type") == "CTE_NODE":
            _visit(node.get("child"), scope if _maps(node.get("child")) else inner, query, mentions)
            return
        for name, child in node.items():
            if name != "cte_map":
                _visit(child, inner, query, mentions)


def _common_tables(
    node: Mapping[str, Any], scope: frozenset[str], query: Query, mentions: dict[Any, Mention]
) -> frozenset[str]:
    """Visits the WITH queries of a node. Each sees those before it. Gives the scope of the rest."""
    for entry in _maps(node):
        _visit(entry["value"], scope, query, mentions)
        scope |= {str(entry["key"]).lower()}
        query.common.add(str(entry["key"]).lower())
    return scope


def _maps(node: Any) -> list[dict[str, Any]]:
    found = node.get("cte_map") if isinstance(node, dict) else None
    return list((found or {}).get("map") or [])


def _note(node: Mapping[str, Any], scope: frozenset[str], query: Query, mentions: dict[Any, Mention]) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        location = int(node.get("query_location", _NOWHERE))
        parts = _path_of(node)
        if parts[-1].lower() in scope and [part.lower() for part in parts[:-1]] in ([], ["recurring"]):
            return
        mentions.setdefault((location, parts), Mention(parts, str(node.get("alias") or ""), location))
    elif kind == "COLUMN_REF" and len(node.get("column_names", ())) > 2:
        query.columns.append((int(node.get("query_location", _NOWHERE)), tuple(node["column_names"])))
    elif kind == "SHOW_REF" and not node.get("query"):
        query.shows = True
    if node.get("function_name"):
        query.functions.add(str(node["function_name"]).lower())


def _path_of(node: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts of a table's name. Since DuckDB 2.0 there may be more than three."""
    path = (node.get("qualified_name") or {}).get("path")
    parts = path or [node.get(part) for part in ("catalog_name", "schema_name", "table_name")]
    return tuple(str(part) for part in parts if part)


def _span(text: str, mention: Mention, taken: set[int]) -> tuple[int, int]:
    """The start and end of a mention: the position that DuckDB gives, or else the one after a word that takes a
    table's name."""
    given = _character(text, mention.location)
    for start in [*([] if given is None else [given]), *_after_verbs(text)]:
        alias = _ALIAS.match(text, start)
        for position in (start, alias.end() if alias else start):
            path = _PATH.match(text, position)
            if path and _parts(path[0]) == mention.parts and position not in taken:
                return position, path.end()
    raise Unlocated(mention.table)


def _character(text: str, location: int) -> int | None:
    """The position in the text of an offset in bytes. None for one outside of it."""
    encoded = text.encode()
    return len(encoded[:location].decode(errors="ignore")) if location < len(encoded) else None


def _after_verbs(text: str) -> Iterator[int]:
    """The positions after words such as TABLE, outside of strings and comments."""
    verb = False
    for start, _, lexeme in lexemes(text):
        if verb:
            yield start
        verb = lexeme.upper() in _VERBS


def _parts(path: str) -> tuple[str, ...]:
    """The names that a dotted path consists of."""
    parts, position = [], 0
    while part := _PART.match(path, position):
        parts.append(_unquoted(part[0]))
        dot = _DOT.match(path, part.end())
        position = dot.end() if dot else len(path)
    return tuple(parts)


def _unquoted(part: str) -> str:
    quote = part[0]
    return part[1:-1].replace(quote * 2, quote) if quote in "\"'" else part


def _qualified(mention: Mention) -> Iterator[tuple[str, ...]]:
    """The ways to write a table's name with a schema before a column: in full, or without parts from the left."""
    parts = tuple(part.lower() for part in (mention.parts if mention.qualifiers else ("main", mention.table)))
    yield from (parts[start:] for start in range(len(parts) - 1))


def _unqualified(
    text: str, location: int, names: tuple[str, ...], qualified: set[tuple[str, ...]]
) -> tuple[int, int, str] | None:
    """The edit that removes the schema (and database) from a column's name, if they belong to a replaced table."""
    start = _character(text, location)
    if start is None:
        return None
    folded = tuple(name.lower() for name in names)
    for drop in range(1, len(names) - 1):
        if folded[: drop + 1] in qualified or (drop > 1 and folded[1 : drop + 1] in qualified):
            match = re.compile(rf"(?:{_NAME}{_GAP}\.{_GAP}){{{drop}}}", re.DOTALL).match(text, start)
            return (start, match.end(), "") if match else None
    return None


def _comment_end(sql: str, position: int) -> int:
    """The end of the comment that starts before ``position``. Comments nest."""
    depth = 1
    for match in re.finditer(r"/\*|\*/", sql[position:]):
        depth += 1 if match[0] == "/*" else -1
        if not depth:
            return position + match.end()
    return len(sql)


def syntax_tree(cursor: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """The syntax tree of SQL that reads, by DuckDB's parser. For other SQL, a dictionary with ``error``."""
    row = cursor.execute("SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", [inner_text(sql)]).fetchone()
    assert row
    tree: dict[str, Any] = json.loads(row[0])
    return tree
