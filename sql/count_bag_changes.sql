-- In: changes of a table without a key: how often each row occurs now (n0) and occurred before (o0).
-- Out: one row: rows added, modified (none: a changed row is one removed and one added) and removed.
SELECT coalesce(sum(greatest(n0 - o0, 0)), 0), 0, coalesce(sum(greatest(o0 - n0, 0)), 0)
FROM ({{changes}}) AS changes
