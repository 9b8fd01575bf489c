-- In: delta files.
-- Out: the table epoch_proof_deltas, their rows: file_id, op, the key as such and as one value, and of the row before and after:
-- its hash, and how often it is there.
CREATE OR REPLACE TEMP TABLE epoch_proof_deltas AS
SELECT
    parse_filename(filename, true) AS file_id,
    op,
    {{keys}},
    {{key}} AS key,
    {{old_digest}} AS old_digest,
    {{new_digest}} AS new_digest,
    {{old_count}} AS old_count,
    {{new_count}} AS new_count
FROM read_parquet({{paths}}, filename = true, hive_partitioning = false)
