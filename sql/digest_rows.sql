-- In: the rows of a table, as storage values, and another hash of a row.
-- Out: one row: how many there are, and the sums of the lower and the upper halves of their MD5 hashes, and of the other.
SELECT
    count(*),
    coalesce(sum(CAST(digest & 18446744073709551615::UHUGEINT AS UBIGINT)), 0),
    coalesce(sum(CAST(digest >> 64 AS UBIGINT)), 0),
    coalesce(sum(other), 0)
FROM (SELECT {{digest}} AS digest, {{other}} AS other FROM ({{rows}}) AS table_rows) AS digests
