-- In: nothing.
-- Out: no rows, with the columns of epoch_schema_diff.
SELECT
    CAST(NULL AS VARCHAR) AS table_name,
    CAST(NULL AS VARCHAR) AS object,
    CAST(NULL AS VARCHAR) AS name,
    CAST(NULL AS VARCHAR) AS diff_type,
    CAST(NULL AS VARCHAR) AS from_definition,
    CAST(NULL AS VARCHAR) AS to_definition
WHERE false
