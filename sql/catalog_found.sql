-- In: nothing.
-- Out: one row: the current database, if it holds a catalog and can be written to.
SELECT any_value(d.database_name)
FROM duckdb_databases() AS d
JOIN duckdb_tables() AS t ON t.database_name = d.database_name AND t.schema_name = 'epoch' AND t.table_name = 'state'
WHERE d.database_name = current_database() AND NOT d.readonly
