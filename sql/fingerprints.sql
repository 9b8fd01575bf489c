-- name: engine
-- In: nothing.
-- Out: one value that identifies the hash function of this DuckDB, and the way in which buckets are made of it.
SELECT CAST(hash(hash(42::BIGINT, 'epoch', 1.5::DOUBLE, 12.50::DECIMAL(12, 2), DATE '2020-01-01', [1, 2], {'a': 'b'}, NULL::INTEGER)) AS VARCHAR) || ' 2'


-- name: fingerprint
-- In: a working table, as storage values.
-- Out: one row: the number of the table in this look, how many rows it has, and the sum of their hashes.
SELECT {{number}} AS number, count(*) AS row_count, coalesce(sum({{row_hash}}), 0) AS checksum FROM ({{working}}) AS working


-- name: dirty
-- In: a working table, and the checksums of its committed rows by bucket of the key's hash.
-- Out: the buckets whose rows differ.
SELECT bucket
FROM (
    SELECT {{bucket}} AS bucket, sum({{row_hash}}) AS checksum FROM ({{working}}) AS working GROUP BY 1
    UNION ALL
    SELECT bucket, -checksum FROM {{buckets}} WHERE table_id = {{table_id}}
) AS checksums
GROUP BY bucket
HAVING sum(checksum) <> 0


-- name: located
-- In: as for dirty.
-- Out: one row: how many rows the table has, the sum of their hashes, and the buckets whose rows differ.
SELECT
    CAST(coalesce(sum(row_count), 0) AS BIGINT) AS row_count, coalesce(sum(checksum), 0) AS checksum,
    coalesce(list(bucket) FILTER (checksum <> committed), []) AS dirty
FROM (
    SELECT bucket, sum(row_count) AS row_count, sum(checksum) AS checksum, sum(committed) AS committed
    FROM (
        SELECT {{bucket}} AS bucket, count(*) AS row_count, sum({{row_hash}}) AS checksum, 0 AS committed
        FROM ({{working}}) AS working
        GROUP BY 1
        UNION ALL
        SELECT bucket, 0, 0, checksum FROM {{buckets}} WHERE table_id = {{table_id}}
    ) AS of_each
    GROUP BY bucket
) AS buckets


-- name: fill_buckets
-- In: a working table, as storage values.
-- Out: its checksums by bucket of the key's hash, in epoch.buckets.
INSERT INTO {{epoch}}.buckets (table_id, bucket, checksum)
SELECT {{table_id}}, {{bucket}} AS bucket, sum({{row_hash}})
FROM ({{working}}) AS working
GROUP BY bucket


-- name: shift_buckets
-- In: changes of a working table.
-- Out: what they add to its checksums by bucket, as further rows of epoch.buckets.
INSERT INTO {{epoch}}.buckets (table_id, bucket, checksum)
SELECT {{table_id}}, {{bucket}} AS bucket, sum({{shift}})
FROM ({{changes}}) AS changes
GROUP BY bucket


-- name: merge_buckets
-- In: rows of epoch.buckets for one table, several for one bucket.
-- Out: a temporary table with one row for each bucket.
CREATE OR REPLACE TEMP TABLE epoch_merged_buckets AS
SELECT table_id, bucket, sum(checksum) AS checksum FROM {{epoch}}.buckets WHERE table_id = {{table_id}} GROUP BY ALL


-- name: key_order
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


-- name: distinct_values
-- In: a working table, and some of its columns.
-- Out: one row: how many of its first rows were looked at, and lists of about how many values, and neighbourhoods of values,
-- each column has in them.
SELECT count(*), [{{values}}], [{{neighbourhoods}}] FROM (SELECT {{columns}} FROM {{table}} LIMIT 100000) AS rows
