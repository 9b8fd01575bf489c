-- In: nothing.
-- Out: one row: the current database, its file, the collation of its strings, and whether it is read-only.
SELECT database_name, path, current_setting('default_collation'), readonly
FROM duckdb_databases()
WHERE database_name = current_database()
