-- In: for each step the deltas below it, with their height above the base.
-- Out: the table epoch_proof_earlier.
CREATE OR REPLACE TEMP TABLE epoch_proof_earlier AS
SELECT unnest(?::INTEGER[]) AS node, unnest(?::VARCHAR[]) AS file_id, unnest(?::INTEGER[]) AS height
