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


-- name: patterns
-- In: changes, and for each value the condition that it differs.
-- Out: which values differ together, as lists of booleans.
SELECT DISTINCT [{{differ}}] FROM ({{changes}}) AS changes WHERE op = 'modified'


-- name: filled_from_new
-- In: rows before and after, and which of them each value is taken from.
-- Out: the rows before that are there after, too.
SELECT {{outputs}} FROM ({{before}}) AS b JOIN {{after}} AS a ON {{same_key}}


-- name: key_range
-- In: a temporary table of keys.
-- Out: the least and the greatest key, and all of them as a list. NULL instead of the list if they are many.
SELECT min({{key}}), max({{key}}), CASE WHEN count(*) <= {{most}} THEN list({{key}}) END FROM {{keys}}


-- name: bucket_of_each
-- In: some integer keys.
-- Out: one row: a list of the buckets of these keys.
SELECT list({{bucket}} ORDER BY number)
FROM (SELECT CAST(start AS {{type}}) AS {{key}}, number FROM (SELECT unnest([{{starts}}]) AS start, generate_subscripts([{{starts}}], 1) AS number)) AS keys
