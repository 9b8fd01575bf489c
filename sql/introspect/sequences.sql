-- In: the catalog of the current database.
-- Out: a row per sequence (schema_oid, sequence_name, comment, increment_by, min_value, max_value, cycle, sql).
SELECT schema_oid, sequence_name, comment, increment_by, min_value, max_value, cycle, sql
FROM duckdb_sequences()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT temporary
