-- In: the catalog of the current database.
-- Out: a row per view (schema_oid, view_name, view_oid, comment, sql).
SELECT schema_oid, view_name, view_oid, comment, sql
FROM duckdb_views()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal
  AND NOT temporary
