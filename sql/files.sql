-- name: write
-- In: the rows of a level, in the order of the file. Version 2 packs numbers and strings: it is faster to read, and so small
-- that more than the lightest compression costs time and gains nothing.
-- Out: one Parquet file whose columns carry the ids of the table's columns as field ids.
COPY ({{rows}}) TO {{path}} (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 122880, FIELD_IDS {{field_ids}}{{options}})


-- name: digest_delta
-- In: the rows of a delta.
-- Out: one row: rows added, modified and removed, then the sums of the lower and upper halves of the MD5 hashes of the old
-- rows and of the new rows, each as often as the row occurs.
SELECT
    coalesce(sum({{added}}), 0),
    coalesce(sum({{modified}}), 0),
    coalesce(sum({{removed}}), 0),
    coalesce(sum(CAST(old_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * old_count), 0),
    coalesce(sum(CAST(old_digest >> 64 AS HUGEINT) * old_count), 0),
    coalesce(sum(CAST(new_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * new_count), 0),
    coalesce(sum(CAST(new_digest >> 64 AS HUGEINT) * new_count), 0)
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
