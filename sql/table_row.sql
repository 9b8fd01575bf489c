-- In: the facts about a table.
-- Out: its row of epoch_tables.
SELECT
    {{table_name}} AS table_name,
    'table' AS kind,
    {{key_columns}} AS key_columns,
    CAST({{row_count}} AS BIGINT) AS row_count,
    CAST({{bytes}} AS BIGINT) AS bytes
