-- In: the catalog of the current database.
-- Out: a row per index made by CREATE INDEX (table_oid, index_name, is_unique, comment, sql).
SELECT table_oid, index_name, is_unique, comment, sql
FROM duckdb_indexes()
WHERE database_name = current_database()
  AND {{users}}
  AND NOT is_primary
  AND sql IS NOT NULL
