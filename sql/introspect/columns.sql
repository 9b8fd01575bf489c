-- In: the catalog of the current database.
-- Out: a row per column (table_oid, column_index, column_name, data_type, is_nullable, column_default, comment).
SELECT table_oid, column_index, column_name, data_type, is_nullable, column_default, comment
FROM duckdb_columns()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal
