-- name: macro_texts
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


-- name: relations_named
-- In: names (?) and the schemas (?) that they are looked for in, in lower case: of a path, its last part.
-- Out: one row: whether the current database, or DuckDB itself, has such a table or view.
SELECT count(*) > 0
FROM (
    SELECT table_name AS name, schema_name, database_name, internal FROM duckdb_tables()
    UNION ALL
    SELECT view_name, schema_name, database_name, internal FROM duckdb_views()
) AS relations
WHERE list_contains(?, lower(name))
  AND ((internal AND schema_name IN ('main', 'pg_catalog')) OR (database_name = current_database() AND list_contains(?, lower(schema_name))))


-- name: views_named
-- In: names of views, in lower case.
-- Out: the views of these names: name, schema, database, in lower case, and definition.
SELECT lower(view_name), lower(schema_name), lower(database_name), sql
FROM duckdb_views()
WHERE NOT internal AND sql IS NOT NULL AND lower(view_name) IN (SELECT unnest(?))


-- name: pivot_values
-- In: an expression that PIVOT spreads over columns, and what it reads.
-- Out: its values as text, in order.
SELECT DISTINCT CAST(({{expression}}) AS VARCHAR) AS value
FROM {{source}}
WHERE ({{expression}}) IS NOT NULL
ORDER BY value
