-- In: the changes that merge commits make to their first parents, and the changes on the sides that they brought in.
-- Out: where a side's last change made the row what it is in the merge: keys, place of the merge, place of that change.
SELECT {{merge_keys}}, merges.place, min(brought.place) AS source
FROM ({{merges}}) AS merges
JOIN (
    SELECT sides.merge, changes.*
    FROM ({{changes}}) AS changes
    JOIN ({{sides}}) AS sides USING (place)
    QUALIFY row_number() OVER (PARTITION BY sides.merge, sides.side, {{keys}} ORDER BY place) = 1
) AS brought ON brought.merge = merges.place AND {{same_row}}
WHERE merges.op <> 'removed'
GROUP BY ALL
