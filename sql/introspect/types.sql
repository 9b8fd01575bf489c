-- In: the catalog of the current database.
-- Out: a row per type that a user made (schema_oid, type_name, comment).
SELECT schema_oid, type_name, comment
FROM duckdb_types()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal
