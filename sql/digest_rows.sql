-- In: the rows of a table, as storage values.
-- Out: one row: how many there are, and the sums of the lower and the upper halves of their MD5 hashes.
SELECT count(*), coalesce(sum(CAST(digest & 18446744073709551615::UHUGEINT AS UBIGINT)), 0), coalesce(sum(CAST(digest >> 64 AS UBIGINT)), 0)
FROM (SELECT {{digest}} AS digest FROM ({{rows}}) AS table_rows) AS digests
