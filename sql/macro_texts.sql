-- In: the catalog of the current database.
-- Out: each macro of a user: its name, and its text, as queries.
SELECT
    function_name,
    string_agg(
        CASE function_type WHEN 'table_macro' THEN macro_definition ELSE 'SELECT ' || macro_definition END, ';' || chr(10)
    ) AS queries
FROM duckdb_functions()
WHERE database_name = current_database()
  AND NOT internal
  AND function_type IN ('macro', 'table_macro')
GROUP BY function_name
