"""Decides whether a query only reads, by the plan that DuckDB binds. It shows views, macros and ``query()`` as what
they do.

If DuckDB gives no plan (it serializes no scan of a CSV file), Epoch follows the syntax tree of the query through the
views and macros that it names. A query that neither way proves does not count as reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

from epoch_sql import render
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import FILE as _FILE
from epoch_sql.proof.harmless import Uses, uses_of
from epoch_sql.proof.syntax import serialized

# fmt: off
_READING = frozenset({
    "LOGICAL_AGGREGATE_AND_GROUP_BY", "LOGICAL_ANY_JOIN", "LOGICAL_ASOF_JOIN", "LOGICAL_CHUNK_GET",
    "LOGICAL_COMPARISON_JOIN", "LOGICAL_CROSS_PRODUCT", "LOGICAL_CTE_REF", "LOGICAL_DELIM_GET", "LOGICAL_DELIM_JOIN",
    "LOGICAL_DEPENDENT_JOIN", "LOGICAL_DISTINCT", "LOGICAL_DUMMY_SCAN", "LOGICAL_EMPTY_RESULT", "LOGICAL_EXCEPT",
    "LOGICAL_EXPRESSION_GET", "LOGICAL_FILTER", "LOGICAL_GET", "LOGICAL_INTERSECT", "LOGICAL_JOIN", "LOGICAL_LIMIT",
    "LOGICAL_MATERIALIZED_CTE", "LOGICAL_ORDER_BY", "LOGICAL_PIVOT", "LOGICAL_POSITIONAL_JOIN", "LOGICAL_PROJECTION",
    "LOGICAL_RECURSIVE_CTE", "LOGICAL_SAMPLE", "LOGICAL_TOP_N", "LOGICAL_UNION", "LOGICAL_UNNEST", "LOGICAL_WINDOW",
})
_IDLE = frozenset({
    "current_connection_id", "current_query", "current_query_id", "current_transaction_id", "currval", "error",
    "gen_random_uuid", "random", "sleep_ms", "stats", "uuid", "uuidv4", "uuidv7", "vector_type",
})
_TABLE_FUNCTIONS = frozenset({
    "arrow_scan", "arrow_scan_dumb", "collations", "database_list", "database_size", "functions", "generate_series",
    "glob", "icu_calendar_names", "json_each", "json_tree", "metadata_info", "platform", "range", "repeat",
    "repeat_row", "show", "show_databases", "show_tables", "show_tables_expanded", "sniff_csv", "st_drivers",
    "st_list_proj_crs", "storage_info", "summary", "table_info", "unnest", "user_agent", "version", "which_secret",
})
_TABLE_FUNCTION_KINDS = ("duckdb_", "iceberg_", "parquet_", "pg_timezone", "pragma_", "read_", "st_read", "test_")
_SCANS = "_scan"
_BOUND = frozenset({"BOUND_AGGREGATE", "BOUND_FUNCTION", "BOUND_WINDOW"})
_IN_PROCESS = ("PandasScan", "process-local", "ArrowScan", "arrow")
# fmt: on


@dataclass(frozen=True)
class Catalog:
    """What names mean, in lower case: the texts of views and macros, and all relations.

    ``own`` are Epoch's functions that act. Its readers are in no set, because the SQL that they return is proved by
    itself.
    """

    views: Mapping[str, Sequence[str]]
    macros: Mapping[str, Sequence[str]]
    relations: frozenset[str]
    acting: frozenset[str]
    readers: frozenset[str]


@dataclass
class _Used:
    """The functions and operators of a plan."""

    functions: set[str] = field(default_factory=set)
    table_functions: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)


def acts(cursor: duckdb.DuckDBPyConnection, sql: str, plan: str, catalog: Callable[[], Catalog]) -> str | None:
    """What a query does besides reading, in words, or None for one that is proved to read.

    ``plan`` is its ``json_serialize_plan`` in the place where it will run. Without a plan, ``catalog`` is used.
    """
    planned: dict[str, Any] = json.loads(plan)
    if planned["error"]:
        message = str(planned.get("error_message", ""))
        return _acts_as_written(cursor, sql, catalog(), any(word in message for word in _IN_PROCESS))
    return _acts_by_plan(cursor, planned["plans"])


def acting_among(functions: set[str]) -> set[str]:
    """The functions, by name in lower case, that are DuckDB's own and act."""
    _, volatile = _builtin()
    return (functions & volatile) - _IDLE


def reads_by_plan(cursor: duckdb.DuckDBPyConnection, plan: str) -> bool:
    """Whether there is a plan that only reads. The plan of an object in the memory of the process cannot act either."""
    planned: dict[str, Any] = json.loads(plan)
    if planned["error"]:
        return any(word in str(planned.get("error_message", "")) for word in _IN_PROCESS)
    return _acts_by_plan(cursor, planned["plans"]) is None


def _acts_by_plan(cursor: duckdb.DuckDBPyConnection, plans: Any) -> str | None:
    used = _used(plans)
    writes = sorted(used.operators - _READING)
    if writes:
        return f"it has {writes[0].removeprefix('LOGICAL_').replace('_', ' ')}"
    return _acting(cursor, used.functions, used.table_functions)


def _used(plans: Any) -> _Used:
    used = _Used()
    pending = [plans]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            kind = node.get("type")
            if isinstance(kind, str) and kind.startswith("LOGICAL_"):
                used.operators.add(kind)
                if kind == "LOGICAL_GET":
                    used.table_functions.add(_called(node))
            elif node.get("expression_class") in _BOUND:
                used.functions.add(_called(node))
            pending += node.values()
        elif isinstance(node, list):
            pending += node
    return used


def _called(node: Mapping[str, Any]) -> str:
    """The name of a bound function. DuckDB 2.0 gives its path."""
    path = (node.get("qname") or {}).get("path") or [node.get("name") or ""]
    return str(path[-1]).lower()


def _acting(cursor: duckdb.DuckDBPyConnection, functions: set[str], table_functions: set[str]) -> str | None:
    for name in sorted(table_functions):
        if not (name in _TABLE_FUNCTIONS or name.startswith(_TABLE_FUNCTION_KINDS) or name.endswith(_SCANS)):
            return f"{name}() is not known to read only"
    known, _ = _builtin()
    found = acting_among(functions)
    others = sorted(functions - known)
    if others:
        statement = render.load("functions.acting")
        found |= {name for (name,) in cursor.execute(statement, [others]).fetchall()}
    # A Python function of Epoch's is named after its macro, with more words.
    return f"{min(found).partition(' ')[0]}() acts" if found else None


@cache
def _builtin() -> tuple[frozenset[str], frozenset[str]]:
    """DuckDB's scalar and aggregate functions: all of them, and those with side effects."""
    with shut_in() as engine:
        rows = engine.execute(render.load("functions.builtin")).fetchall()
    return frozenset(name for name, _ in rows), frozenset(name for name, has_effects in rows if has_effects)


def _acts_as_written(cursor: duckdb.DuckDBPyConnection, sql: str, catalog: Catalog, in_process: bool) -> str | None:
    """What a query may do, by its text and the texts of the views and macros that it names.

    A relation that is not in the catalog belongs to the caller: a table in the memory of its process (``in_process``),
    or a temporary one, whose text nobody else sees.
    """
    functions: set[str] = set()
    table_functions: set[str] = set()
    pending, visited = [sql], {sql}
    while pending:
        for uses in _uses(cursor, pending.pop()):
            if uses is None:
                return "DuckDB does not tell what it does"
            problem = _problem(uses, catalog, in_process)
            if problem:
                return problem
            names = uses.functions | uses.table_functions
            functions |= uses.functions - catalog.macros.keys()
            table_functions |= uses.table_functions - catalog.macros.keys() - catalog.readers
            more = {text for name in names for text in catalog.macros.get(name, ())}
            more |= {text for *_, name in uses.relations for text in catalog.views.get(name, ())}
            pending += more - visited
            visited |= more
    return _acting(cursor, functions, table_functions)


def _uses(cursor: duckdb.DuckDBPyConnection, text: str) -> list[Uses | None]:
    (tree,) = serialized(cursor, [text])
    return [None] if tree.get("error") else [uses_of(statement) for statement in tree["statements"]]


def _problem(uses: Uses, catalog: Catalog, in_process: bool) -> str | None:
    acting = sorted((uses.functions | uses.table_functions) & catalog.acting)
    if acting:
        return f"{acting[0]}() acts"
    others = sorted(uses.others - {"SHOW_REF"})
    if others:
        return f"it has {others[0].replace('_', ' ')}"
    named = {
        name for catalog_name, schema, name in uses.relations if not (catalog_name or schema or _FILE.search(name))
    }
    unknown = sorted(named - catalog.relations - uses.common)
    return f"what {unknown[0]} does is not known here" if unknown and not in_process else None
