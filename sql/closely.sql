-- In: what `definitions` leaves out for being slow to list: macros and comments, as the reader's transaction sees them.
-- Out: one row named `closely`: how many there are, and the sum of their hashes.
SELECT 'closely' AS name, count(*) AS row_count, coalesce(sum(hash(hash(seen))), 0) AS checksum
FROM (
    SELECT {'a': schema_name, 'b': function_name, 'c': macro_definition, 'd': comment} AS seen
    FROM duckdb_functions()
    WHERE database_name = {{catalog}} AND function_type IN ('macro', 'table_macro') AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': table_name, 'c': NULL, 'd': comment} FROM duckdb_tables() WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': table_name, 'c': column_name, 'd': comment}
    FROM duckdb_columns()
    WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': view_name, 'c': NULL, 'd': comment}
    FROM duckdb_views()
    WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': index_name, 'c': NULL, 'd': comment} FROM duckdb_indexes() WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': sequence_name, 'c': NULL, 'd': comment}
    FROM duckdb_sequences()
    WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': type_name, 'c': CAST(labels AS VARCHAR), 'd': comment}
    FROM duckdb_types()
    WHERE database_name = {{catalog}} AND NOT internal
) AS definitions
