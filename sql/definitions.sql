-- In: the definitions and comments of everything in a database, as the reader's transaction sees them.
-- Out: one row without a name: how many there are, and the sum of their hashes.
SELECT '' AS name, count(*) AS row_count, coalesce(sum(hash(hash(seen))), 0) AS checksum
FROM (
    SELECT {'a': schema_name, 'b': table_name, 'c': sql, 'd': comment} AS seen
    FROM duckdb_tables()
    WHERE database_name = {{catalog}} AND {{users}}
    UNION ALL
    SELECT {'a': schema_name, 'b': table_name, 'c': column_name, 'd': comment}
    FROM duckdb_columns()
    WHERE database_name = {{catalog}} AND {{users}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': view_name, 'c': sql, 'd': comment}
    FROM duckdb_views()
    WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': index_name, 'c': sql, 'd': comment} FROM duckdb_indexes() WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': sequence_name, 'c': CAST(increment_by AS VARCHAR), 'd': comment}
    FROM duckdb_sequences()
    WHERE database_name = {{catalog}}
    UNION ALL
    SELECT {'a': schema_name, 'b': type_name, 'c': CAST(labels AS VARCHAR), 'd': comment}
    FROM duckdb_types()
    WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT {'a': schema_name, 'b': function_name, 'c': macro_definition, 'd': comment}
    FROM duckdb_functions()
    WHERE database_name = {{catalog}} AND function_type IN ('macro', 'table_macro') AND NOT internal
    UNION ALL
    {{triggers}}
) AS definitions
