-- In: the steps to be proved: numbers, files of the bases that they are above (or none), their own files.
-- Out: the table epoch_proof_steps.
CREATE OR REPLACE TEMP TABLE epoch_proof_steps AS
SELECT unnest(?::INTEGER[]) AS node, unnest(?::VARCHAR[]) AS base_id, unnest(?::VARCHAR[]) AS file_id
