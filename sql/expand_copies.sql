-- In: changes of a table without a key: how often each row occurs now (n0) and occurred before (o0).
-- Out: one row for each copy that was added or removed.
SELECT CASE WHEN n0 > o0 THEN 'added' ELSE 'removed' END AS op, copies.* EXCLUDE (op)
FROM (SELECT *, unnest(range(abs(n0 - o0))) AS copy FROM ({{changes}}) AS changes) AS copies
