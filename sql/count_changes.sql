-- In: changes of a table with a key.
-- Out: one row: rows added, modified and removed.
SELECT count(*) FILTER (op = 'added'), count(*) FILTER (op = 'modified'), count(*) FILTER (op = 'removed')
FROM ({{changes}}) AS changes
