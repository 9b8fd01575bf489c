-- In: a committed state and a working table with the same key, and one column of each.
-- Out: one row: committed rows, working rows, and rows of one key that have the same value in both columns.
WITH committed AS (SELECT hash({{committed_keys}}) AS key, {{committed_value}} AS value FROM ({{committed}}) AS state),
working AS (SELECT hash({{working_keys}}) AS key, {{working_value}} AS value FROM {{working}})
SELECT
    (SELECT count(*) FROM committed),
    (SELECT count(*) FROM working),
    (SELECT count(*) FROM committed JOIN working USING (key) WHERE committed.value IS NOT DISTINCT FROM working.value)
