-- In: the catalogs of all attached databases.
-- Out: each macro of a user or of Epoch: whether it is in schema main of the current database, its name, and its query.
-- A macro may have the name of a function of DuckDB, so functions are called by their full names.
SELECT
    database_name = system.main.current_database() AND schema_name = 'main',
    function_name,
    CASE function_type WHEN 'table_macro' THEN macro_definition ELSE 'SELECT ' || macro_definition END
FROM system.main.duckdb_functions()
WHERE NOT internal
  AND function_type IN ('macro', 'table_macro')
