-- In: the changes of one table.
-- Out: its rows of epoch_diff over all tables.
SELECT
    {{table_name}} AS table_name,
    op AS diff_type,
    {{key}} AS key,
    {{changed}} AS changed_columns,
    {{from_row}} AS from_row,
    {{to_row}} AS to_row
FROM ({{changes}}) AS changes
