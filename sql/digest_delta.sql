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
