-- name: mostly_equal
-- In: a committed state and a working table with the same key, and one column of each.
-- Out: one row: committed rows, working rows, and rows of one key that have the same value in both columns.
WITH committed AS (SELECT hash({{committed_keys}}) AS key, {{committed_value}} AS value FROM ({{committed}}) AS state),
working AS (SELECT hash({{working_keys}}) AS key, {{working_value}} AS value FROM {{working}})
SELECT
    (SELECT count(*) FROM committed),
    (SELECT count(*) FROM working),
    (SELECT count(*) FROM committed JOIN working USING (key) WHERE committed.value IS NOT DISTINCT FROM working.value)


-- name: mostly_equal_bag
-- In: a committed state and a working table without a common key, and one column of each.
-- Out: one row: committed rows, working rows, and how many values the two columns have in common, as bags.
WITH committed AS (SELECT {{committed_value}} AS value, count(*) AS rows FROM ({{committed}}) AS state GROUP BY 1),
working AS (SELECT {{working_value}} AS value, count(*) AS rows FROM {{working}} GROUP BY 1)
SELECT
    (SELECT coalesce(sum(rows), 0) FROM committed),
    (SELECT coalesce(sum(rows), 0) FROM working),
    (
        SELECT coalesce(sum(least(committed.rows, working.rows)), 0)
        FROM committed JOIN working ON committed.value IS NOT DISTINCT FROM working.value
    )


-- name: broken_key
-- In: rows, and the columns that are to be their key.
-- Out: up to three keys, as JSON, that hold NULL or occur more than once.
SELECT CAST(to_json({{key_struct}}) AS VARCHAR)
FROM ({{rows}}) AS rows
GROUP BY {{key_columns}}
HAVING count(*) > 1 OR {{missing}}
LIMIT 3
