-- In: the definitions of everything in a database but its macros, which are slow to list, as the reader's transaction sees them.
-- Out: one row without a name: how many there are, and the sum of their hashes.
SELECT '' AS name, count(*) AS row_count, coalesce(sum(hash(hash(definition))), 0) AS checksum
FROM (
    SELECT sql AS definition FROM duckdb_tables() WHERE database_name = {{catalog}} AND schema_name <> 'epoch'
    UNION ALL
    SELECT sql FROM duckdb_views() WHERE database_name = {{catalog}} AND NOT internal
    UNION ALL
    SELECT sql FROM duckdb_indexes() WHERE database_name = {{catalog}}
    UNION ALL
    SELECT schema_name || ' ' || sequence_name || ' ' || increment_by FROM duckdb_sequences() WHERE database_name = {{catalog}}
    UNION ALL
    SELECT schema_name || ' ' || type_name FROM duckdb_types() WHERE database_name = {{catalog}} AND NOT internal
) AS definitions
