-- In: the violations of merges in progress, and the target of one.
-- Out: the rows of epoch_violations.
SELECT table_name, constraint_name, kind, CAST(key AS JSON) AS key, detail
FROM {{epoch}}.violations
WHERE target = {{target}}
ORDER BY ALL
