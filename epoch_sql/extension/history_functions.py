"""The functions of the SQL surface for history."""

from __future__ import annotations

from epoch_sql.extension.surface import Procedure, Reading, optional, required
from epoch_sql.operations.reading import history, patch, query

_TABLE = required("table_name", "`orders` or `schema.orders`")

READINGS: tuple[Reading, ...] = (
    Reading(
        "epoch_history",
        (_TABLE, optional("key", 'only this row: JSON (`{"id": 42}`) or the value of a one-column key')),
        history.history,
        "Every version of every row of a table, or of one row, in the history of HEAD, newest first.",
        "commit_id, committed_at, author, diff_type, then the table's columns (of a removed row, its last values)",
    ),
    Reading(
        "epoch_blame",
        (_TABLE,),
        history.blame,
        "The commit that last set each row to its current value; of a table without a key, each distinct row once.",
        "the key columns (without a key: all stored columns), commit_id, author, committed_at, message",
    ),
    Reading(
        "epoch_patch",
        (
            required("from_ref", "the older side: a reference, or WORKING"),
            required("to_ref", "the newer side: a reference, or WORKING"),
            optional("table_name", "only this table"),
        ),
        patch.patch,
        "The SQL statements that turn one state into another, in any DuckDB database: to be run in order, one by one.",
        "statement_order, table_name, diff_type (`schema` `data`), statement",
    ),
    Reading(
        "epoch_query",
        (required("ref", "a reference, or WORKING"), required("sql", "one query: SELECT, FROM, WITH or VALUES")),
        query.query_for_caller,
        "The result of a query with every versioned table and view read as of a reference.",
        "the columns of the query",
        asks=query.names_to_ask,
    ),
)
PROCEDURES: tuple[Procedure, ...] = ()
