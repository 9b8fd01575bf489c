-- In: the catalog of the current database.
-- Out: a row per constraint (table_oid, constraint_type, columns, expression, referenced_table, referenced_columns).
SELECT
    table_oid,
    constraint_type,
    constraint_column_names AS columns,
    expression,
    referenced_table,
    referenced_column_names AS referenced_columns
FROM duckdb_constraints()
WHERE database_name = current_database()
  AND {{users}}
  AND constraint_type <> 'NOT NULL'
