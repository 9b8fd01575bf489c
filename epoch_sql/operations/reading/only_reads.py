"""Proving, for queries that users give, that they only read."""

from __future__ import annotations

from collections.abc import Mapping

from epoch_sql import render
from epoch_sql.errors import EpochError
from epoch_sql.model.sql_text import top_level
from epoch_sql.operations.repository import Repository
from epoch_sql.proof.reads import Catalog, acts, reads_by_plan
from epoch_sql.render import Sql

_PLAN = "SELECT CAST(json_serialize_plan(CAST(? AS VARCHAR)) AS VARCHAR)"


class EpochActsError(EpochError):
    """A query that does more than read, or that is not proved to read only."""


def require_reading(
    repository: Repository,
    sql: Sql,
    what: str,
    plan: str | None = None,
    own: Mapping[str, str] | None = None,
) -> None:
    """EpochActsError unless a query is proved to read only; ``what`` is how messages call it.

    ``plan`` is what ``json_serialize_plan`` says of it where it is to run, by default on the repository's cursor;
    ``own`` are the plans of what only its caller has, temporary tables and data frames, by name.
    """
    if plan is None:
        (plan,) = repository.cursor.execute(_PLAN, [sql]).fetchone() or ("",)
    problem = acts(repository.cursor, sql, plan, lambda: _catalog(repository, own or {}))
    if problem:
        raise EpochActsError(
            f"{what} only reads, but {problem}", "a query that reads tables and files, and does no more"
        )


def _catalog(repository: Repository, own: Mapping[str, str]) -> Catalog:
    cursor, memory = repository.cursor, repository.memory
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
