-- In: the merged rows of one table, one column of it, and the sides' values as JSON.
-- Out: its clashing cells, as rows of epoch.conflicts without the target.
SELECT
    {{table_name}} AS table_name,
    key_json AS key,
    {{column_name}} AS column_name,
    kind,
    {{base}} AS base,
    {{ours}} AS ours,
    {{theirs}} AS theirs,
    {{settled}} OR (row_settled AND NOT is_there) AS resolved
FROM {{rows}}
WHERE {{clash}}
