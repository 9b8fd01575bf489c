-- In: the catalog of the current database.
-- Out: a row per user table (schema_oid, table_name).
SELECT schema_oid, table_name
FROM duckdb_tables()
WHERE database_name = current_database() AND NOT internal AND NOT temporary AND {{users}}
