-- In: the rows of base files, each with its file and its key.
-- Out: a row per file: file_id, how many rows it has, how many keys, and the sums of the lower and the upper halves of the
-- MD5 hashes of the rows.
SELECT
    file_id,
    count(*),
    {{keys}},
    coalesce(sum(CAST(digest & 18446744073709551615::UHUGEINT AS UBIGINT)), 0),
    coalesce(sum(CAST(digest >> 64 AS UBIGINT)), 0)
FROM (SELECT file_id, {{key}}, {{digest}} AS digest FROM ({{rows}}) AS base) AS digests
GROUP BY file_id
