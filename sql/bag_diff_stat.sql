-- In: the changes of one table without a key, and its numbers of rows.
-- Out: its row of epoch_diff_stat: rows are added or removed, never modified.
SELECT
    {{table_name}} AS table_name,
    rows_added,
    CAST(0 AS BIGINT) AS rows_modified,
    rows_removed,
    coalesce({{old_row_count}}, 0) - rows_removed AS rows_unmodified,
    CAST(0 AS BIGINT) AS cells_modified,
    {{old_row_count}} AS old_row_count,
    {{new_row_count}} AS new_row_count
FROM (
    SELECT
        CAST(coalesce(sum(greatest(n0 - o0, 0)), 0) AS BIGINT) AS rows_added,
        CAST(coalesce(sum(greatest(o0 - n0, 0)), 0) AS BIGINT) AS rows_removed
    FROM ({{changes}}) AS changes
) AS counts
