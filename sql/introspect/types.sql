-- In: the catalog of the current database.
-- Out: a row per type that a user made (schema_name, type_name, comment).
SELECT schema_name, type_name, comment
FROM duckdb_types()
WHERE database_name = current_database()
  AND schema_name <> 'epoch'
  AND NOT internal
