-- In: the name of a view.
-- Out: its row of epoch_tables.
SELECT
    {{table_name}} AS table_name,
    'view' AS kind,
    CAST([] AS VARCHAR[]) AS key_columns,
    CAST(NULL AS BIGINT) AS row_count,
    CAST(NULL AS BIGINT) AS bytes
