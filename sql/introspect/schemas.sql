-- In: the catalog of the current database.
-- Out: a row per schema (schema_oid, schema_name, parent_oid: the schema that it is in, if any).
SELECT oid AS schema_oid, schema_name, {{parent}} AS parent_oid
FROM duckdb_schemas()
WHERE database_name = current_database()
