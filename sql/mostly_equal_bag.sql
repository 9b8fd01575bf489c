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
