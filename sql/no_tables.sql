-- In: nothing.
-- Out: no rows, with the columns of epoch_tables.
SELECT
    CAST(NULL AS VARCHAR) AS table_name,
    CAST(NULL AS VARCHAR) AS kind,
    CAST(NULL AS VARCHAR[]) AS key_columns,
    CAST(NULL AS BIGINT) AS row_count,
    CAST(NULL AS BIGINT) AS bytes
WHERE false
