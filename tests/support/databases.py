"""What a database holds, as a user sees it and as Epoch stores it; patches applied, and many small changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from epoch_sql.extension.index import OWN_MACROS
from epoch_sql.model.schema import Table
from epoch_sql.render import identifier
from epoch_sql.storage.encoding import encode
from epoch_sql.worktree.introspect import read_schema
from tests.conftest import Repo

State = tuple[Any, dict[str, list[tuple[Any, ...]]]]


@dataclass(frozen=True)
class Picture:
    """Everything in a database that a user can see, but on DuckDB 1.4 the columns of views: there a view keeps those that
    it had when it was made, and cannot be read when what it reads has got others."""

    rows: dict[str, list[Any]]
    definitions: list[Any]


def picture(repo: Repo) -> Picture:
    tables = repo("SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'epoch' ORDER BY ALL")
    rows = {f"{s}.{t}": repo(f'SELECT CAST(COLUMNS(*) AS VARCHAR) FROM "{s}"."{t}" ORDER BY ALL') for s, t in tables}
    definitions = repo(
        """
        SELECT 'column', schema_name, table_name, column_name, column_index, data_type, nullif(column_default, 'NULL'),
            is_nullable, comment
        FROM duckdb_columns() WHERE schema_name <> 'epoch' AND NOT internal AND table_name <> '__append_df'
            AND ($1 OR table_oid IN (SELECT table_oid FROM duckdb_tables()))
        UNION ALL SELECT 'table', schema_name, table_name, comment, NULL, NULL, NULL, NULL, NULL
        FROM duckdb_tables() WHERE schema_name <> 'epoch'
        UNION ALL SELECT 'index', schema_name, table_name, index_name, NULL, expressions, NULL, is_unique, comment
        FROM duckdb_indexes() WHERE schema_name <> 'epoch'
        UNION ALL SELECT 'constraint', schema_name, table_name, constraint_type, NULL, CAST(constraint_column_names AS VARCHAR),
            concat_ws(' ', expression, referenced_table, referenced_column_names), NULL, NULL
        FROM duckdb_constraints() WHERE schema_name <> 'epoch'
        UNION ALL SELECT 'view', schema_name, view_name, sql, NULL, comment, NULL, NULL, NULL
        FROM duckdb_views() WHERE NOT internal AND NOT temporary
        UNION ALL SELECT 'macro', schema_name, function_name, macro_definition, NULL, comment, NULL, NULL, NULL
        FROM duckdb_functions() WHERE NOT internal AND NOT starts_with(function_name, 'epoch_')
        UNION ALL SELECT 'sequence', schema_name, sequence_name, NULL, NULL, NULL, NULL, NULL, NULL FROM duckdb_sequences()
        UNION ALL SELECT 'type', schema_name, type_name, NULL, NULL, NULL, NULL, NULL, NULL
        FROM duckdb_types() WHERE NOT internal AND schema_name <> 'epoch'
        UNION ALL SELECT 'schema', schema_name, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'epoch'
        ORDER BY ALL
        """,
        not duckdb.__version__.startswith("1.4."),
    )
    return Picture(rows, definitions)


def state(con: duckdb.DuckDBPyConnection) -> State:
    """All definitions, and all rows as text of their stored form."""
    con.execute("SET TimeZone = 'UTC'")
    found = read_schema(con, {}, lambda name: False, OWN_MACROS)
    objects = [o for o in found.objects if o.name.name != "epoch"]
    return (found.tables, objects), {str(table.name): rows(con, table) for table in found.tables}


def rows(con: duckdb.DuckDBPyConnection, table: Table) -> list[tuple[Any, ...]]:
    values = ", ".join(f"CAST({encode(identifier(c.name), c.type)} AS VARCHAR)" for c in table.stored_columns)
    name = f"{identifier(table.name.schema)}.{identifier(table.name.name)}"
    return sorted(con.execute(f"SELECT {values} FROM {name}").fetchall(), key=repr)


def apply(con: duckdb.DuckDBPyConnection, repo: Repo, from_ref: str, to_ref: str) -> list[str]:
    found = repo("SELECT statement_order, statement FROM epoch_patch(?, ?)", from_ref, to_ref)
    assert [order for order, _ in found] == list(range(1, len(found) + 1))
    for _, statement in found:
        con.execute(statement)
    return [statement for _, statement in found]


def change(repo: Repo, t: str, n: int) -> None:
    """The n-th change of a table: some rows, and now and then a column."""
    repo(f"UPDATE {t} SET v = {n} WHERE id % 97 = {n % 97}; DELETE FROM {t} WHERE id = {n * 3}")
    repo(f"INSERT INTO {t} (id, v) VALUES ({1000 + n}, {n}); DELETE FROM {t} WHERE id < 0")
    if n % 30 == 10:
        repo(f"ALTER TABLE {t} ADD COLUMN w INTEGER DEFAULT 5; UPDATE {t} SET w = id WHERE id % 50 = 0")
    if n % 30 == 22:
        repo(f"ALTER TABLE {t} DROP COLUMN w")
    if n in (25, 50):
        repo(f"INSERT INTO {t} (id, v) SELECT -id - 1, id FROM range(3) AS r(id)")
        repo(f"ALTER TABLE {t} ALTER v TYPE {'BIGINT' if n == 25 else 'HUGEINT'}")
