-- In: the catalog of the current database.
-- Out: a row per schema that a user made (schema_name).
SELECT schema_name
FROM duckdb_schemas()
WHERE database_name = current_database()
  AND schema_name NOT IN ('epoch', 'main')
  AND NOT internal
