-- In: nothing.
-- Out: one row: the current database, its file, the collation of its strings, and whether it has a catalog.
SELECT
    d.database_name,
    d.path,
    current_setting('default_collation'),
    EXISTS (
        FROM duckdb_tables() AS t
        WHERE t.database_name = current_database() AND t.schema_name = 'epoch' AND t.table_name = 'state'
    )
FROM duckdb_databases() AS d
WHERE d.database_name = current_database()
