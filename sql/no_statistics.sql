-- In: nothing.
-- Out: no rows, with the columns of epoch_diff_stat.
SELECT
    CAST(NULL AS VARCHAR) AS table_name,
    CAST(NULL AS BIGINT) AS rows_added,
    CAST(NULL AS BIGINT) AS rows_modified,
    CAST(NULL AS BIGINT) AS rows_removed,
    CAST(NULL AS BIGINT) AS rows_unmodified,
    CAST(NULL AS BIGINT) AS cells_modified,
    CAST(NULL AS BIGINT) AS old_row_count,
    CAST(NULL AS BIGINT) AS new_row_count
WHERE false
