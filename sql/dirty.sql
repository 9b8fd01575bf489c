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
