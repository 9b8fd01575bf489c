-- In: the statements of a patch, each with its phase, the place of its table in it, its depth and the sort key of its row.
-- Out: the rows of epoch_patch.
SELECT
    CAST(row_number() OVER (ORDER BY phase, place, depth, sort_key) AS BIGINT) AS statement_order,
    table_name,
    diff_type,
    statement
FROM ({{statements}}) AS statements
ORDER BY statement_order
