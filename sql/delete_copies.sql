-- In: a working table without a key, and how often each row occurs now (n0) and occurred before (o0).
-- Out: the table without the copies that the difference removes.
DELETE FROM {{table}}
WHERE rowid IN (
    SELECT copy
    FROM (
        SELECT
            target.rowid AS copy,
            changes.o0 - changes.n0 AS surplus,
            row_number() OVER (PARTITION BY {{keys}}) AS number
        FROM {{table}} AS target
        JOIN (FROM {{changes}} WHERE o0 > n0) AS changes ON {{same_key}}
    ) AS copies
    WHERE number <= surplus
)
