-- In: the catalog of the current database.
-- Out: a row per view (schema_name, view_name, comment, sql).
SELECT schema_name, view_name, comment, sql
FROM duckdb_views()
WHERE database_name = current_database()
  AND schema_name <> 'epoch'
  AND NOT internal
  AND NOT temporary
