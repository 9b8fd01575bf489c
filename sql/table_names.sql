-- In: the catalog of the current database.
-- Out: the names of the user's tables (schema_name, table_name), in order.
SELECT schema_name, table_name
FROM duckdb_tables()
WHERE database_name = current_database() AND NOT internal AND NOT temporary AND schema_name <> 'epoch'
ORDER BY ALL
