-- In: the rows of a delta file.
-- Out: one row: its numbers of rows and keys, of rows that are not changes, and of rows that it adds, modifies and removes.
SELECT
    count(*),
    {{distinct}},
    count(*) FILTER (NOT coalesce(op IN ('added', 'modified', 'removed') AND {{well_formed}}, false)),
    coalesce(sum({{added}}), 0),
    coalesce(sum({{modified}}), 0),
    coalesce(sum({{removed}}), 0)
FROM (
    SELECT op, {{keys}}, {{old_count}} AS old_count, {{new_count}} AS new_count
    FROM read_parquet({{paths}}, hive_partitioning = false)
) AS delta
