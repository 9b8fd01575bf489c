-- In: the rows of two states of a table, columns c<id> as storage values; "present" marks a row that exists.
-- Out: their difference, one row per key: op, the key k<id>, new values n<id>, old values o<id>.
SELECT
    CASE WHEN b.present IS NULL THEN 'added' WHEN a.present IS NULL THEN 'removed' ELSE 'modified' END AS op,
    {{outputs}}
FROM (SELECT *, true AS present FROM ({{before}}) AS before_rows) AS b
FULL JOIN (SELECT *, true AS present FROM ({{after}}) AS after_rows) AS a ON {{same_key}}
WHERE b.present IS NULL OR a.present IS NULL OR {{differs}}
