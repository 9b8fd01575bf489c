-- In: the triggers of a database, as the reader's transaction sees them.
-- Out: a row per trigger (seen), as in definitions.
SELECT {'a': schema_name, 'b': table_name, 'c': sql, 'd': comment} AS seen
FROM duckdb_triggers()
WHERE database_name = {{catalog}}
