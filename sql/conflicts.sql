-- In: the conflicts of merges in progress, the target of one, and the name of a table or NULL.
-- Out: the rows of epoch_conflicts.
SELECT
    table_name,
    CAST(key AS JSON) AS key,
    column_name,
    kind,
    CAST(base AS JSON) AS base,
    CAST(ours AS JSON) AS ours,
    CAST(theirs AS JSON) AS theirs,
    resolved
FROM {{epoch}}.conflicts
WHERE target = {{target}} AND ({{table_name}} IS NULL OR lower(table_name) = lower({{table_name}}))
ORDER BY table_name, key, column_name
