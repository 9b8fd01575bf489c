-- In: the changes of one table.
-- Out: its row of epoch_diff_summary, if anything differs.
SELECT table_name, diff_type, data_change, schema_change
FROM (
    SELECT
        {{table_name}} AS table_name,
        {{diff_type}} AS diff_type,
        EXISTS (FROM ({{changes}}) AS changes) AS data_change,
        {{schema_change}} AS schema_change
) AS summary
WHERE data_change OR schema_change
