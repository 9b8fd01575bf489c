-- In: the changes of one table with a key, and its numbers of rows.
-- Out: its row of epoch_diff_stat.
SELECT
    {{table_name}} AS table_name,
    rows_added,
    rows_modified,
    rows_removed,
    coalesce({{old_row_count}}, 0) - rows_modified - rows_removed AS rows_unmodified,
    cells_modified,
    {{old_row_count}} AS old_row_count,
    {{new_row_count}} AS new_row_count
FROM (
    SELECT
        count(*) FILTER (op = 'added') AS rows_added,
        count(*) FILTER (op = 'modified') AS rows_modified,
        count(*) FILTER (op = 'removed') AS rows_removed,
        CAST(coalesce(sum({{cells}}) FILTER (op = 'modified'), 0) AS BIGINT) AS cells_modified
    FROM ({{changes}}) AS changes
) AS counts
