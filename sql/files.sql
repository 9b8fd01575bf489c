-- name: write
-- In: the rows of a level, in the order of the file. Version 2 packs numbers and strings: it is faster to read, and so small
-- that more than the lightest compression costs time and gains nothing. Version 1 is for readers that lack its encodings.
-- Out: one Parquet file whose columns carry the ids of the table's columns as field ids.
COPY ({{rows}}) TO {{path}} (FORMAT parquet, PARQUET_VERSION {{version}}, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 122880, PRESERVE_ORDER true, FIELD_IDS {{field_ids}}{{options}})


-- name: cuts
-- In: the rows of a table, and the shares of them that are to come before each cut. Looks at a share of the rows.
-- Out: one row: the values after which the rows are cut.
SELECT quantile_disc({{value}}, [{{shares}}])
FROM ({{rows}}) AS state
WHERE hash({{key}}) % {{share}} = 0


-- name: base_bounds
-- In: a base file, and which of its rows may have the least and the greatest key (WHERE …, or nothing).
-- Out: one row: the least and the greatest key.
SELECT {{bounds}}
FROM (SELECT {{key}} FROM read_parquet({{path}}, hive_partitioning = false{{numbered}}){{ends}}) AS ends


-- name: touched_zones
-- In: the keys of deltas, as sort keys, and zones of a base level: the sort keys from which and up to which they reach.
-- Out: the numbers of the zones that have such keys.
SELECT DISTINCT zones.number
FROM ({{keys}}) AS keys
JOIN (SELECT unnest(?::INTEGER[]) AS number, unnest(?::VARCHAR[]) AS least, unnest(?::VARCHAR[]) AS beyond) AS zones
    ON (zones.least IS NULL OR keys.key >= unhex(zones.least)) AND (zones.beyond IS NULL OR keys.key < unhex(zones.beyond))


-- name: digest_delta
-- In: the rows of a delta.
-- Out: one row: rows added, modified and removed, then the sums of the lower and upper halves of the MD5 hashes of the old
-- rows and of the new rows, each as often as the row occurs. Then the least and the greatest key.
SELECT
    coalesce(sum({{added}}), 0),
    coalesce(sum({{modified}}), 0),
    coalesce(sum({{removed}}), 0),
    coalesce(sum(CAST(old_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * old_count), 0),
    coalesce(sum(CAST(old_digest >> 64 AS HUGEINT) * old_count), 0),
    coalesce(sum(CAST(new_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * new_count), 0),
    coalesce(sum(CAST(new_digest >> 64 AS HUGEINT) * new_count), 0),
    {{bounds}}
FROM (
    SELECT
        *,
        {{old_digest}} AS old_digest,
        {{new_digest}} AS new_digest,
        {{old_count}} AS old_count,
        {{new_count}} AS new_count
    FROM ({{rows}}) AS delta
) AS digests


-- name: digest_rows
-- In: the rows of a table, as storage values, and another hash of a row.
-- Out: one row: how many there are, and the sums of the lower and the upper halves of their MD5 hashes, and of the other.
SELECT
    count(*),
    coalesce(sum(CAST(digest & 18446744073709551615::UHUGEINT AS UBIGINT)), 0),
    coalesce(sum(CAST(digest >> 64 AS UBIGINT)), 0),
    coalesce(sum(other), 0)
FROM (SELECT {{digest}} AS digest, {{other}} AS other FROM ({{rows}}) AS table_rows) AS digests


-- name: object_name
-- In: t, a row of epoch.trees.
-- Out: the name as ObjectName writes it.
CASE t.schema_name WHEN 'main' THEN '' ELSE t.schema_name || '.' END
|| CASE WHEN regexp_matches(t.object_name, '[."]') THEN '"' || replace(t.object_name, '"', '""') || '"' ELSE t.object_name END


-- name: packed
-- In: Parquet files.
-- Out: the ids of those with encodings of version 2.
SELECT DISTINCT parse_filename(file_name, true)
FROM parquet_metadata({{paths}})
WHERE contains(encodings, 'DELTA_') OR contains(encodings, 'BYTE_STREAM_SPLIT')


-- name: zones
-- In: a batch of rows, the sort keys of their keys, and the sort keys from which ranges begin (``epoch_cuts``).
-- Out: the number of the range of each row, in the order of the rows.
SELECT cuts.zone
FROM (SELECT row_number() OVER () AS number, {{key}} AS key FROM {{rows}}) AS rows
ASOF JOIN epoch_cuts AS cuts ON rows.key >= cuts.cut
ORDER BY rows.number


-- name: misfit
-- In: a column, and rows of which some may have a value that its type does not hold.
-- Out: such a value as text, if there is one.
SELECT min({{misfit}})
FROM epoch_incoming
WHERE {{there}}


-- name: null_key
-- In: rows, and their keys.
-- Out: the number of rows whose key has a NULL.
SELECT count(*)
FROM epoch_incoming
WHERE {{missing}}


-- name: repeated_key
-- In: rows, and their keys.
-- Out: a key that more than one row has, as JSON, if there is one.
SELECT CAST(to_json({{struct}}) AS VARCHAR)
FROM epoch_incoming
GROUP BY {{names}}
HAVING count(*) > 1
LIMIT 1


-- name: before
-- In: the rows of a table, and the keys of rows that come or go.
-- Out: the rows of the table with these keys.
SELECT state.*
FROM ({{state}}) AS state
SEMI JOIN ({{keys}}) AS keys ON {{same_key}}
