-- In: nothing.
-- Out: no rows, with the columns of epoch_diff over all tables.
SELECT
    CAST(NULL AS VARCHAR) AS table_name,
    CAST(NULL AS VARCHAR) AS diff_type,
    CAST(NULL AS JSON) AS key,
    CAST(NULL AS VARCHAR[]) AS changed_columns,
    CAST(NULL AS JSON) AS from_row,
    CAST(NULL AS JSON) AS to_row
WHERE false
