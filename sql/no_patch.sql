-- In: nothing.
-- Out: no rows, with the columns of epoch_patch.
SELECT
    CAST(NULL AS BIGINT) AS statement_order,
    CAST(NULL AS VARCHAR) AS table_name,
    CAST(NULL AS VARCHAR) AS diff_type,
    CAST(NULL AS VARCHAR) AS statement
WHERE false
