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
