-- In: rows of epoch.buckets for one table, several for one bucket.
-- Out: a temporary table with one row for each bucket.
CREATE OR REPLACE TEMP TABLE epoch_merged_buckets AS
SELECT table_id, bucket, sum(checksum) AS checksum FROM {{epoch}}.buckets WHERE table_id = {{table_id}} GROUP BY ALL
