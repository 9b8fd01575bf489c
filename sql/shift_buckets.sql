-- In: changes of a working table.
-- Out: what they add to its checksums by bucket, as further rows of epoch.buckets.
INSERT INTO {{epoch}}.buckets (table_id, bucket, checksum)
SELECT {{table_id}}, {{bucket}} AS bucket, sum({{shift}})
FROM ({{changes}}) AS changes
GROUP BY bucket
