-- In: a working table, its key column, and how many of its rows to look at (LIMIT n, or nothing).
-- Out: one row: whether the keys of each block of 122,880 rows lie above those of the block before.
SELECT coalesce(bool_and(lowest > highest_before), true)
FROM (
    SELECT lowest, max(highest) OVER (ORDER BY block ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest_before
    FROM (
        SELECT row_number // 122880 AS block, min(key) AS lowest, max(key) AS highest
        FROM (SELECT rowid AS row_number, {{key}} AS key FROM {{working}} {{most}}) AS rows
        GROUP BY block
    ) AS blocks
) AS neighbours
WHERE highest_before IS NOT NULL
