"""Decides which definitions only compute from the rows and objects of their own database.

Only known things count as harmless: a few table functions, the kinds of syntax nodes in the list below, and functions
without side effects according to this version of DuckDB, except the few that look outside the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from epoch_sql import render
from epoch_sql.model.names import path_parts, path_text
from epoch_sql.model.schema import SchemaObject, Table
from epoch_sql.model.sql_text import tokens
from epoch_sql.proof.acting import named_in
from epoch_sql.proof.definitions import Definition, Parsed
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.syntax import STATEMENT, Node, serialized

# fmt: off
_LOOK_OUT = frozenset({"current_setting", "getenv", "getvariable", "json_serialize_plan", "parse_duckdb_log_message"})
_UNLISTED = frozenset({"unnest"})
_RANDOM = frozenset({"error", "gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7"})
_WINDOWS = frozenset({"cume_dist", "dense_rank", "fill", "first_value", "lag", "last_value", "lead", "nth_value",
                      "ntile", "percent_rank", "rank", "rank_dense", "row_number"})
_TABLE_FUNCTIONS = frozenset({"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"})
_CLASSES = frozenset({"BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT",
                      "DEFAULT", "FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR",
                      "SUBQUERY", "TYPE", "WINDOW"})
_NODES = frozenset({"BASE_TABLE", "CTE_NODE", "DISTINCT_MODIFIER", "EMPTY", "EXPRESSION_LIST", "JOIN",
                    "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER", "PIVOT", "RECURSIVE_CTE_NODE",
                    "SELECT_NODE", "SET_OPERATION_NODE", "SUBQUERY", "TABLE_FUNCTION"})
_SYSTEM = frozenset({"information_schema", "pg_catalog"})
# fmt: on
_ORDERS = re.compile(r"(?:ORDER_)?(?:DEFAULT|ASCENDING|DESCENDING)|\w+_TYPE_INFO")
_PATH = re.compile(r"[/\\*?:\[\]{}]|\.")
FILE = re.compile(r"[/\\*?:\[\]{}]|\.\w{2,8}$")
_OF_SYSTEM = ("duckdb_", "pragma_", "sqlite_", "pg_")


@dataclass
class Uses:
    """The functions, table functions and relations that a definition uses, by their names in lower case.

    ``others`` are unknown kinds of nodes. ``sequences`` are the constant arguments of nextval. ``common`` are the names
    of WITH queries, and ``types`` of types. ``queries`` and ``columns`` say whether it has any.
    """

    functions: set[str] = field(default_factory=set)
    table_functions: set[str] = field(default_factory=set)
    relations: set[tuple[str, str, str]] = field(default_factory=set)
    sequences: set[str | None] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    queries: bool = False
    columns: bool = False
    types: set[str] = field(default_factory=set)
    common: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Context:
    """What definitions may name besides each other: macros, tables and views, and ``readers``, Epoch's own functions
    that only read. ``has_relation`` says whether there is a relation of a schema and name, in lower case."""

    macros: tuple[Parsed, ...]
    has_relation: Callable[[str, str], bool]
    readers: frozenset[str]


def offences(parsed: Sequence[Parsed], context: Context) -> dict[Definition, str]:
    """The definitions that are not known to be harmless, with a description of what they do."""
    judge = _Judge(parsed, context)
    found = {one.definition: judge.offence(one) for one in parsed}
    return _with_children({definition: reason for definition, reason in found.items() if reason}, parsed)


def _with_children(reasons: dict[Definition, str], parsed: Sequence[Parsed]) -> dict[Definition, str]:
    """The same, with the tables that refer to one of them and so cannot be created without it."""
    tables = [one.definition for one in parsed if isinstance(one.definition, Table)]
    while True:
        parents = {_name(definition): definition for definition in reasons if isinstance(definition, Table)}
        children: dict[Definition, str] = {
            table: f"it refers to table {parents[parent].name}"
            for table in tables
            for key in table.foreign_keys
            if table not in reasons
            and (parent := (table.name.schema.lower(), (key.referenced or "").lower())) in parents
        }
        if not children:
            return reasons
        reasons = {**reasons, **children}


def illegal(parsed: Parsed) -> str | None:
    """The reason why no honest user has such a definition. DuckDB accepts no query in an expression of a table. Fill
    values of earlier rows, which Epoch writes itself, are constants. A type with the name of one of DuckDB's own
    would change every table."""
    table = parsed.definition
    if not isinstance(table, Table):
        return "it is called like a type of DuckDB's own" if table.kind == "type" and _hides(table) else None
    if any(uses_of(tree).queries for tree in parsed.trees):
        return "it has a query in an expression"
    fills = {column.fill for column in table.columns}
    for text, tree in zip(parsed.texts, parsed.trees, strict=True):
        uses = uses_of(tree)
        if text in fills and (uses.columns or not _only_computes(uses, _scalars())):
            return "it has a value of earlier rows that is not a constant"
    return None


def evident(table: Table, expressions: Iterable[str], others: Collection[str]) -> bool:
    """Whether expressions of a table have the same value whoever computes them from values without collations.

    They use only functions of DuckDB's that give the same for the same arguments, and none of ``others``, which may
    mean something else here; and no column whose values depend on the session, or are compared in another way.
    """
    dependent = {c.name.lower() for c in table.columns if c.collation is not None or "WITH TIME ZONE" in c.type}
    for expression in expressions:
        names = {token.name.lower() for token in tokens(expression) if token.name is not None}
        functions = _functions_of(expression)
        if functions is None or names & dependent or functions & set(others) or not functions <= _consistent():
            return False
    return True


@lru_cache(maxsize=4096)
def _functions_of(expression: str) -> frozenset[str] | None:
    """The functions of an expression; None where it has more than these and columns."""
    with shut_in() as engine:
        (tree,) = serialized(engine, [f"SELECT {expression}"])
    uses = Uses() if tree.get("error") else uses_of(tree)
    return None if tree.get("error") or not _only_computes(uses, _scalars()) else frozenset(uses.functions)


@cache
def _consistent() -> frozenset[str]:
    """Those of ``_scalars`` that give the same for the same arguments, at any time."""
    with shut_in() as engine:
        rows = engine.execute(render.load("functions.consistent")).fetchall()
    return _scalars() & {name for (name,) in rows}


def uses_of(tree: Node) -> Uses:
    """The uses of a syntax tree."""
    uses = Uses()
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            _note(node, uses)
            # A table function is not an expression, but its arguments are.
            called = node["function"] if node.get("type") == "TABLE_FUNCTION" else {}
            pending += [part for part in (called or node).values() if isinstance(part, dict | list)]
        elif isinstance(node, list):
            pending += node
    return uses


class _Judge:
    def __init__(self, parsed: Sequence[Parsed], context: Context) -> None:
        self.macros: dict[str, list[Parsed]] = {}
        for one in (*parsed, *context.macros):
            if isinstance(one.definition, SchemaObject) and one.definition.kind == "macro":
                self.macros.setdefault(one.definition.name.name.lower(), []).append(one)
        self.own = {_name(one.definition) for one in parsed if _is_relation(one.definition)}
        self.sequences = {
            _name(one.definition)
            for one in parsed
            if isinstance(one.definition, SchemaObject) and one.definition.kind == "sequence"
        }
        self.has_relation = context.has_relation
        self.scalars, self.tables = _scalars(), _TABLE_FUNCTIONS | context.readers
        self._judged: dict[str, str | None] = {}

    def offence(self, parsed: Parsed) -> str | None:
        """What a definition does that is not known to be harmless, or None for a harmless one."""
        if _hides(parsed.definition):
            return f"it takes the place of DuckDB's own {parsed.definition.name.name}"
        is_table = isinstance(parsed.definition, Table)
        for tree in parsed.trees:
            reason = self._reason(uses_of(tree), is_table)
            if reason:
                return reason
        return None

    def _reason(self, uses: Uses, is_table: bool) -> str | None:
        if uses.others:
            return f"it has {min(uses.others)}"
        for names, harmless in ((uses.functions, self.scalars), (uses.table_functions, self.tables)):
            for name in sorted(names):
                if is_table and name == "nextval" and all(map(self._is_own_sequence, uses.sequences)):
                    continue
                reason = self._function(name, harmless)
                if reason:
                    return reason
        reads = sorted(relation for relation in uses.relations if self._is_outside(relation))
        return f"it reads {'.'.join(part for part in reads[0] if part)}" if reads else None

    def _function(self, name: str, harmless: frozenset[str]) -> str | None:
        """The reason why a function is not known to be harmless. A macro of that name comes before DuckDB's own
        function."""
        if name not in self.macros:
            return None if name in harmless else f"it calls {name}()"
        if name not in self._judged:
            # A macro that calls itself cannot run.
            self._judged[name] = None
            reasons = (self.offence(form) for form in self.macros[name])
            self._judged[name] = next((f"it calls {name}(): {reason}" for reason in reasons if reason), None)
        return self._judged[name]

    def _is_own_sequence(self, name: str | None) -> bool:
        """Whether a name is a sequence of this database. Of three parts, the first is another database or, since
        DuckDB 2.0, a schema."""
        if name is None:
            return False
        parts = path_parts(name.lower())
        return len(parts) <= 2 or (path_text(parts[:-1]), parts[-1]) in self.sequences

    def _is_outside(self, relation: tuple[str, str, str]) -> bool:
        """Whether a name may mean another database, a file, or a view of DuckDB's own."""
        catalog, schema, name = relation
        if catalog:
            # Since DuckDB 2.0 the first of three parts may be a schema that the second one is in.
            within = f"{path_text([catalog])}.{schema}", name
            return not (within in self.own or self.has_relation(*within))
        if schema in _SYSTEM or not (
            _PATH.search(name) or FILE.search(f"{schema}.{name}" if schema else name) or _is_of_system(name)
        ):
            return False
        named = schema or "main", name
        return bool(FILE.search(name)) or not (named in self.own or self.has_relation(*named))


@cache
def _scalars() -> frozenset[str]:
    """DuckDB's scalar and aggregate functions that only compute, and its macros over them."""
    with shut_in() as engine:
        rows = engine.execute(render.load("functions.of_system")).fetchall()
        macros = [(name, text) for name, kind, _, text in rows if kind == "macro" and text]
        trees = serialized(engine, [f"SELECT {text}" for _, text in macros])
    acting = {name for name, _, acts, _ in rows if acts} - _RANDOM
    found = {name for name, kind, *_ in rows if kind != "macro"} - acting - _LOOK_OUT
    known = frozenset(_UNLISTED | _WINDOWS | {name for name in found if not name.startswith("__")})
    pending = {name: uses_of(tree) for (name, _), tree in zip(macros, trees, strict=True) if not tree.get("error")}
    while True:
        more = {name for name, uses in pending.items() if name not in known and _only_computes(uses, known)}
        if not more:
            return known
        known |= more


@cache
def _taken() -> Mapping[str, frozenset[str]]:
    """The names of DuckDB's own functions and types. A macro or type of that name would be used instead, even by
    Epoch."""
    with shut_in() as engine:
        functions = engine.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
        types = engine.execute("SELECT DISTINCT lower(type_name) FROM duckdb_types()").fetchall()
    return {"macro": frozenset(name for (name,) in functions), "type": frozenset(name for (name,) in types)}


def _hides(definition: Definition) -> bool:
    if isinstance(definition, Table) or definition.kind not in _taken():
        return False
    name = definition.name.name.lower()
    return name in _taken()[definition.kind] or (definition.kind == "macro" and name.startswith("epoch_"))


def _only_computes(uses: Uses, known: frozenset[str]) -> bool:
    return uses.functions <= known and not (uses.table_functions or uses.relations or uses.others)


def _note(node: Mapping[str, Any], uses: Uses) -> None:
    kind, group = node.get("type"), node.get("class")
    named = node.get("type_name") or node.get("user_type_name")
    uses.types |= {named.lower()} if isinstance(named, str) else set()
    uses.common |= {str(entry["key"]).lower() for entry in (node.get("cte_map") or {}).get("map") or ()}
    uses.common |= {str(node["cte_name"]).lower()} if node.get("cte_name") else set()
    if group is not None:
        _note_expression(node, str(group), uses)
    elif isinstance(kind, str):
        if kind == STATEMENT:
            _note_statement(str(node["text"]), uses)
        elif kind == "BASE_TABLE":
            uses.relations.add(_relation(node))
        elif kind == "TABLE_FUNCTION":
            uses.table_functions.add(_function_name(node["function"]))
        elif kind not in _NODES and not _ORDERS.fullmatch(kind):
            uses.others.add(kind)


def _note_statement(text: str, uses: Uses) -> None:
    named = named_in(text)
    uses.functions |= named.functions
    uses.relations |= named.relations
    uses.sequences |= named.sequences
    if named.files:
        uses.others.add("what may be the name of a file, or a comment")


def _relation(node: Mapping[str, Any]) -> tuple[str, str, str]:
    """The name of a relation in three parts. The second part is a path."""
    path = (node.get("qualified_name") or {}).get("path")
    given = path or [node.get(part) for part in ("catalog_name", "schema_name", "table_name")]
    *qualifiers, table = (str(part).lower() for part in given if part)
    catalog = qualifiers[0] if len(qualifiers) > 1 else ""
    return catalog, path_text(qualifiers[1:] if catalog else qualifiers), table


def _note_expression(node: Mapping[str, Any], group: str, uses: Uses) -> None:
    if group not in _CLASSES:
        uses.others.add(group)
    uses.queries |= group == "SUBQUERY"
    uses.columns |= group == "COLUMN_REF"
    name = _function_name(node)
    if name:
        uses.functions.add(name)
    if name == "nextval":
        uses.sequences.add(_constant(node))


def _function_name(node: Mapping[str, Any]) -> str:
    return str(node.get("function_name") or "").lower()


def _constant(call: Mapping[str, Any]) -> str | None:
    """The constant string argument of a call, if it has one."""
    arguments = call.get("children") or [argument.get("expression") for argument in call.get("arguments", ())]
    if len(arguments) != 1 or arguments[0].get("class") != "CONSTANT":
        return None
    constant = arguments[0]
    value = constant["value"].get("value") if "value" in constant else constant.get("literal", {}).get("text")
    return value if isinstance(value, str) else None


def _is_relation(definition: Definition) -> bool:
    return isinstance(definition, Table) or definition.kind == "view"


def _name(definition: Definition) -> tuple[str, str]:
    return definition.name.schema.lower(), definition.name.name.lower()


def _is_of_system(name: str) -> bool:
    return name.startswith(_OF_SYSTEM)
