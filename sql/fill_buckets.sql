-- In: a working table, as storage values.
-- Out: its checksums by bucket of the key's hash, in epoch.buckets.
INSERT INTO {{epoch}}.buckets (table_id, bucket, checksum)
SELECT {{table_id}}, {{bucket}} AS bucket, sum({{row_hash}})
FROM ({{working}}) AS working
GROUP BY bucket
