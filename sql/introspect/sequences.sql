-- In: the catalog of the current database.
-- Out: a row per sequence (schema_name, sequence_name, comment, increment_by, min_value, max_value, cycle, sql).
SELECT schema_name, sequence_name, comment, increment_by, min_value, max_value, cycle, sql
FROM duckdb_sequences()
WHERE database_name = current_database()
  AND schema_name <> 'epoch'
  AND NOT temporary
