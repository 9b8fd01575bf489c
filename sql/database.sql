-- In: nothing.
-- Out: one row: the current database, its file (NULL: it is in memory), and whether it is read-only.
SELECT database_name, path, readonly
FROM duckdb_databases()
WHERE database_name = current_database()
