-- In: the rows of the deltas along a path from one version to another, each with its step on the path.
-- Out: the net change, one row per key: op, the key k<id>, new values n<id>, old values o<id>.
SELECT CASE WHEN NOT existed THEN 'added' WHEN NOT exists_now THEN 'removed' ELSE 'modified' END AS op, {{outputs}}
FROM (
    SELECT
        {{keys}},
        arg_min(op <> 'added', step) AS existed,
        arg_max(op <> 'removed', step) AS exists_now,
        {{aggregates}}
    FROM ({{steps}}) AS steps
    GROUP BY {{keys}}
) AS net
WHERE (existed OR exists_now) AND (existed <> exists_now OR {{differs}})
