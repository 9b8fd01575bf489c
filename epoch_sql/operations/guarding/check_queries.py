"""Decides which queries a check may be: those that only read, and that DuckDB can bind."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochActsError, EpochCheckQueryError, EpochError
from epoch_sql.model.protection import Check
from epoch_sql.operations.reading.only_reads import require_reading
from epoch_sql.operations.reading.query import query_of
from epoch_sql.operations.reading.sides import Side
from epoch_sql.operations.reading.table_references import read_query, syntax_tree
from epoch_sql.operations.repository import WORKING, Call
from epoch_sql.render import Sql

_HINT = "one SELECT that returns the rows that should not be there: SELECT * FROM orders WHERE amount < 0"
_READS_UNSEEN = frozenset({"query", "query_table", "json_execute_serialized_sql"})
_WRITES = frozenset(
    {
        "nextval",
        "setval",
        "setseed",
        "write_log",
        "checkpoint",
        "force_checkpoint",
        "enable_logging",
        "disable_logging",
        "truncate_duckdb_logs",
        "enable_profiling",
        "disable_profiling",
        "create_external_resource",
        "destroy_external_resource",
        "register_external_resource",
        "register_external_resource_type",
        "deregister_external_resource",
    }
)


def require_query(call: Call, check: Check, states: Iterable[tuple[str, Side]]) -> None:
    """Raises EpochCheckQueryError unless the check is one query that only reads and that binds on one of the states."""
    functions = _functions(call, check.query)
    writing = sorted(name for name in functions if name in _WRITES or name in _procedures(call))
    if writing:
        raise EpochCheckQueryError(f"a check only reads, but {writing[0]}() acts", _HINT, check=check.name)
    unseen = sorted(functions & _READS_UNSEEN)
    if unseen:
        message = f"{unseen[0]}() reads tables that a check does not name"
        raise EpochCheckQueryError(message, "name the table in FROM", check=check.name)
    problems = []
    for where, side in states:
        problem = _binding_problem(call, check, where, side)
        if problem is None:
            return
        problems.append(problem)
    raise EpochCheckQueryError(f"the SQL of check {check.name} is wrong: {problems[0]}", _HINT, check=check.name)


def _functions(call: Call, sql: str) -> set[str]:
    """The functions that a query uses, even through macros of users."""
    tree = syntax_tree(call.cursor, sql)
    if tree.get("error"):
        if tree.get("error_type") == "not implemented":
            raise EpochCheckQueryError("a check only reads: its SQL is not a query", _HINT)
        told = str(tree.get("error_message", "")).splitlines() or ["syntax error"]
        raise EpochCheckQueryError(f"the SQL of the check is wrong: {told[0]}", _HINT)
    if len(tree["statements"]) != 1:
        raise EpochCheckQueryError(f"a check is one query, not {len(tree['statements'])}", _HINT)
    texts = {
        name.lower(): text
        for name, text in call.cursor.execute(render.render("macro_texts")).fetchall()
        if name not in call.memory.own_macros
    }
    found: set[str] = set()
    pending = [tree]
    while pending:
        used = {name for part in pending.pop()["statements"] for name in read_query(part).functions} - found
        found |= used
        macros = [syntax_tree(call.cursor, texts[name]) for name in used if name in texts]
        pending += [macro for macro in macros if not macro.get("error")]
    return found


def _procedures(call: Call) -> set[str]:
    """Epoch's own functions whose inner functions have side effects."""
    rows = call.cursor.execute(
        "SELECT replace(function_name, 'epoch__', 'epoch_'), function_name FROM duckdb_functions() "
        "WHERE has_side_effects AND function_name LIKE 'epoch\\_\\_%' ESCAPE '\\'"
    ).fetchall()
    return {name for row in rows for name in row}


def _binding_problem(call: Call, check: Check, where: str, side: Side) -> str | None:
    """The reason why DuckDB cannot bind the query on a state, or None. Runs nothing.

    Raises EpochCheckQueryError for a query that does more than read.
    """
    try:
        rows = query_of(call, side, where, check.query, where == WORKING, "a check").bare
        require_reading(call, rows, "a check")
        call.cursor.execute(render.fill(Sql("DESCRIBE SELECT * FROM ({{rows}}) AS failing"), rows=rows))
    except EpochActsError as error:
        raise EpochCheckQueryError(error.message, _HINT, check=check.name) from error
    except EpochError as error:
        return error.message
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None
