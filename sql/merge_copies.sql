-- In: as for merge_steps, of a table without a key.
-- Out: the copies that merge commits add or remove beyond what their sides did.
SELECT merges.* EXCLUDE (copies), merges.copies - greatest(coalesce(brought.copies, 0), 0) AS copies
FROM ({{merges}}) AS merges
LEFT JOIN (
    SELECT
        sides.merge,
        direction.op,
        {{keys}},
        sum(CASE changes.op WHEN direction.op THEN copies ELSE -copies END)::BIGINT AS copies
    FROM ({{changes}}) AS changes
    JOIN ({{sides}}) AS sides USING (place)
    CROSS JOIN (SELECT unnest(['added', 'removed']) AS op) AS direction
    GROUP BY ALL
) AS brought ON brought.merge = merges.place AND brought.op = merges.op AND {{same_key}}
WHERE merges.copies > greatest(coalesce(brought.copies, 0), 0)
