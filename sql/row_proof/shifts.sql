-- In: the tables that the other queries of the proof made.
-- Out: a row per step: node, rows, keys, rows with wrong old values, rows added, modified and removed. Then the sums of the
-- lower and upper halves of the hashes of the old rows and of the new ones, each counted by its copies.
WITH own AS MATERIALIZED (
    SELECT node, base_id, d.* FROM epoch_proof_steps JOIN epoch_proof_deltas AS d USING (file_id)
),
earlier AS (
    SELECT own.node, own.key, arg_max(d.new_digest, height) AS digest, arg_max(d.new_count, height) AS copies
    FROM own
    JOIN epoch_proof_earlier AS e ON e.node = own.node
    JOIN epoch_proof_deltas AS d ON d.file_id = e.file_id AND d.key = own.key
    GROUP BY own.node, own.key
),
told AS (
    SELECT
        own.*,
        CASE WHEN e.node IS NOT NULL THEN e.copies ELSE coalesce(t.copies, 0) END AS copies,
        CASE WHEN e.node IS NOT NULL THEN e.digest ELSE t.digest END AS digest
    FROM own
    LEFT JOIN earlier AS e ON e.node = own.node AND e.key = own.key
    LEFT JOIN epoch_proof_touched AS t ON t.base_id = own.base_id AND t.key = own.key
)
SELECT
    node,
    count(*),
    count(DISTINCT key),
    count(*) FILTER (NOT coalesce(
        op IN ('added', 'modified', 'removed') AND {{well_formed}}
        AND old_count = copies AND (old_count = 0 OR old_digest = digest),
        false
    )),
    coalesce(sum({{added}}), 0),
    coalesce(sum({{modified}}), 0),
    coalesce(sum({{removed}}), 0),
    coalesce(sum(CAST(old_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * old_count), 0),
    coalesce(sum(CAST(old_digest >> 64 AS HUGEINT) * old_count), 0),
    coalesce(sum(CAST(new_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * new_count), 0),
    coalesce(sum(CAST(new_digest >> 64 AS HUGEINT) * new_count), 0)
FROM told
GROUP BY node
