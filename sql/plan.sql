-- name: insert_rows
-- In: a working table and changes of its rows by key.
-- Out: the table with the added rows.
INSERT INTO {{table}} ({{columns}})
SELECT {{values}} FROM {{changes}} WHERE op = 'added'


-- name: update_rows
-- In: a working table and changes of its rows by key.
-- Out: the table with the new values of the modified rows.
UPDATE {{table}} AS target
SET {{assignments}}
FROM (FROM {{changes}} WHERE op = 'modified') AS changes
WHERE {{same_key}}


-- name: delete_rows
-- In: a working table and changes of its rows by key.
-- Out: the table without the removed rows.
DELETE FROM {{table}} AS target
USING (FROM {{changes}} WHERE op = 'removed') AS changes
WHERE {{same_key}}


-- name: insert_copies
-- In: a working table without a key, and how often each row occurs now (n0) and occurred before (o0).
-- Out: the table with the copies that the difference adds.
INSERT INTO {{table}} ({{columns}})
SELECT {{values}} FROM (SELECT *, unnest(range(n0 - o0)) FROM {{changes}} WHERE n0 > o0) AS copies


-- name: delete_copies
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


-- name: count_changes
-- In: changes of a table with a key.
-- Out: one row: rows added, modified and removed.
SELECT count(*) FILTER (op = 'added'), count(*) FILTER (op = 'modified'), count(*) FILTER (op = 'removed')
FROM ({{changes}}) AS changes


-- name: count_bag_changes
-- In: changes of a table without a key: how often each row occurs now (n0) and occurred before (o0).
-- Out: one row: rows added, modified (none: a changed row is one removed and one added) and removed.
SELECT coalesce(sum(greatest(n0 - o0, 0)), 0), 0, coalesce(sum(greatest(o0 - n0, 0)), 0)
FROM ({{changes}}) AS changes


-- name: generation
-- In: rows that are still to be inserted into a table that refers to itself.
-- Out: a temporary table of the positions of those that have no parent, or whose parents are in the table.
CREATE OR REPLACE TEMP TABLE {{generation}} AS
SELECT rowid AS position FROM {{pending}} AS pending WHERE {{ready}}
