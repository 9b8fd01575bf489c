-- In: the catalog of the current database.
-- Out: a row per user table (schema_oid, table_name, table_oid, comment, sql: only where it tells more than the catalog).
SELECT
    schema_oid,
    table_name,
    table_oid,
    comment,
    CASE WHEN contains(sql, 'GENERATED ALWAYS') OR contains(sql, ' COLLATE ') THEN sql END AS sql
FROM duckdb_tables()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT internal
  AND NOT temporary
