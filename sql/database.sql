-- In: the name of a function (?).
-- Out: one row: the file of the current database, and whether the function is registered.
SELECT
    (SELECT path FROM duckdb_databases() WHERE database_name = current_database()),
    EXISTS (FROM duckdb_functions() WHERE function_name = ?)
