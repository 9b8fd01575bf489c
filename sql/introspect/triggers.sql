-- In: the catalog of the current database.
-- Out: a row per trigger (schema_oid, table_name, sql).
SELECT schema_oid, table_name, sql
FROM duckdb_triggers()
WHERE database_name = current_database()
  AND NOT temporary
