-- In: nothing.
-- Out: no rows, with the columns of epoch_diff_summary.
SELECT
    CAST(NULL AS VARCHAR) AS table_name,
    CAST(NULL AS VARCHAR) AS diff_type,
    CAST(NULL AS BOOLEAN) AS data_change,
    CAST(NULL AS BOOLEAN) AS schema_change
WHERE false
