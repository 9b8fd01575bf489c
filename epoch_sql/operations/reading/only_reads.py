"""Proves that queries of users only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochActsError
from epoch_sql.model.sql_text import top_level
from epoch_sql.operations.repository import Call, Memory
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


def _refusal(what: str, problem: str) -> EpochActsError:
    return EpochActsError(f"{what} only reads, but {problem}", "a query that reads tables and files, and does no more")


def _catalog(cursor: duckdb.DuckDBPyConnection, memory: Memory, own: Mapping[str, str]) -> Catalog:
    views: dict[str, list[str]] = {}
    for name, sql in cursor.execute(
        "SELECT lower(view_name), sql FROM duckdb_views() WHERE NOT internal AND sql IS NOT NULL"
    ).fetchall():
        start = next((token.end for token in top_level(sql) if token.is_word("AS")), 0)
        views.setdefault(name, []).append(sql[start:])
    macros: dict[str, list[str]] = {}
    for name, text in cursor.execute(render.render("macro_texts")).fetchall():
        if name not in memory.own_macros:
            macros.setdefault(name.lower(), []).append(text)
    relations = cursor.execute(
        "SELECT lower(table_name) FROM duckdb_tables() UNION SELECT lower(view_name) FROM duckdb_views()"
    ).fetchall()
    proved = {name.lower() for name, plan in own.items() if reads_by_plan(cursor, plan)}
    known = frozenset({name for (name,) in relations} | proved)
    return Catalog(views, macros, known, memory.acting, memory.own_macros - memory.acting)
