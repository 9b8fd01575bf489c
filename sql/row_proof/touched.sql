-- In: epoch_proof_steps and epoch_proof_deltas; the rows of base files, each with its file.
-- Out: the table epoch_proof_touched: the rows of each base that the steps above it change.
CREATE OR REPLACE TEMP TABLE epoch_proof_touched AS
SELECT base.file_id AS base_id, touched.key, any_value({{digest}}) AS digest, count(*) AS copies
FROM ({{rows}}) AS base
JOIN (
    SELECT DISTINCT base_id, key, {{keys}}
    FROM epoch_proof_steps JOIN epoch_proof_deltas USING (file_id)
) AS touched ON base.file_id = touched.base_id AND {{same_key}}
GROUP BY base.file_id, touched.key
