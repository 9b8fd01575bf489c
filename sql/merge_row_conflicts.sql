-- In: the merged rows of one table.
-- Out: the rows that one side removed and the other modified, as rows of epoch.conflicts without the target.
SELECT
    {{table_name}} AS table_name,
    key_json AS key,
    CAST(NULL AS VARCHAR) AS column_name,
    row_clash AS kind,
    {{base}} AS base,
    CASE WHEN row_clash = 'modify/delete' THEN {{ours}} END AS ours,
    CASE WHEN row_clash = 'delete/modify' THEN {{theirs}} END AS theirs,
    row_settled AS resolved
FROM {{rows}}
WHERE row_clash IS NOT NULL
