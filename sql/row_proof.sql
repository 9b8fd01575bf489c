-- name: base_rows
-- In: base files of one definition.
-- Out: their rows, each with the id of its file: file_id, c<id>.
SELECT parse_filename({{file}}, true) AS file_id, {{outputs}}
FROM read_parquet({{paths}}, filename = {{name}}, hive_partitioning = false)


-- name: bases
-- In: the rows of base files, each with its file and its key.
-- Out: a row per file: file_id, how many rows it has, how many keys, and the sums of the lower and the upper halves of the
-- MD5 hashes of the rows.
SELECT
    file_id,
    count(*),
    {{keys}},
    coalesce(sum(CAST(digest & 18446744073709551615::UHUGEINT AS UBIGINT)), 0),
    coalesce(sum(CAST(digest >> 64 AS UBIGINT)), 0)
FROM (SELECT file_id, {{key}}, {{digest}} AS digest FROM ({{rows}}) AS base) AS digests
GROUP BY file_id


-- name: delta
-- In: the rows of a delta file.
-- Out: one row: its numbers of rows and keys, of rows that are not changes, and of rows that it adds, modifies and removes.
SELECT
    count(*),
    {{distinct}},
    count(*) FILTER (NOT coalesce(op IN ('added', 'modified', 'removed') AND {{well_formed}}, false)),
    coalesce(sum({{added}}), 0),
    coalesce(sum({{modified}}), 0),
    coalesce(sum({{removed}}), 0)
FROM (
    SELECT op, {{keys}}, {{old_count}} AS old_count, {{new_count}} AS new_count
    FROM read_parquet({{paths}}, hive_partitioning = false)
) AS delta


-- name: deltas
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


-- name: earlier
-- In: for each step the deltas below it, with their height above the base.
-- Out: the table epoch_proof_earlier.
CREATE OR REPLACE TEMP TABLE epoch_proof_earlier AS
SELECT unnest(?::INTEGER[]) AS node, unnest(?::VARCHAR[]) AS file_id, unnest(?::INTEGER[]) AS height


-- name: footers
-- In: Parquet files.
-- Out: a row per file: its id, how many rows it has, and a text that is the same for files with the same columns.
SELECT file_id, num_rows, columns
FROM (
    SELECT parse_filename(file_name, true) AS file_id, num_rows
    FROM parquet_file_metadata({{paths}})
) AS sizes
JOIN (
    SELECT
        parse_filename(file_name, true) AS file_id,
        md5(CAST(list((
            name, type, type_length, repetition_type, num_children, converted_type, scale, precision, field_id,
            logical_type
        )) AS VARCHAR)) AS columns
    FROM parquet_schema({{paths}})
    GROUP BY ALL
) AS schemas USING (file_id)


-- name: old_values
-- In: the changes of a delta, and the rows that it leads from, in the columns of its shape.
-- Out: one row: the number of changes whose old row is not the row before them.
SELECT count(*)
FROM ({{changes}}) AS d
LEFT JOIN (SELECT *, true AS present FROM ({{before}}) AS before_rows) AS b ON {{same_key}}
WHERE {{wrong}}


-- name: ranges
-- In: files with the same columns.
-- Out: a row per file: its id, its least and its greatest key.
SELECT parse_filename({{file}}, true) AS file_id, {{bounds}}
FROM read_parquet({{paths}}, filename = {{name}}, hive_partitioning = false)
GROUP BY file_id


-- name: shifts
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


-- name: steps
-- In: the steps to be proved: numbers, the bases that they are above (or none), their own files.
-- Out: the table epoch_proof_steps.
CREATE OR REPLACE TEMP TABLE epoch_proof_steps AS
SELECT unnest(?::INTEGER[]) AS node, unnest(?::VARCHAR[]) AS base_id, unnest(?::VARCHAR[]) AS file_id


-- name: bases_of_steps
-- In: the bases that the steps are above, each with its files that may have keys of theirs.
-- Out: the table epoch_proof_bases.
CREATE OR REPLACE TEMP TABLE epoch_proof_bases AS
SELECT unnest(?::VARCHAR[]) AS base_id, unnest(?::VARCHAR[]) AS file_id


-- name: sums
-- In: delta files with the same columns.
-- Out: a row per file that has rows: its id, and the rows that it adds and removes. Then the sums of the lower and upper halves of
-- the hashes of the old rows and of the new rows, each as often as the row occurs.
SELECT
    file_id,
    sum({{added}}),
    sum({{removed}}),
    sum(CAST(old_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * old_count),
    sum(CAST(old_digest >> 64 AS HUGEINT) * old_count),
    sum(CAST(new_digest & 18446744073709551615::UHUGEINT AS HUGEINT) * new_count),
    sum(CAST(new_digest >> 64 AS HUGEINT) * new_count)
FROM (
    SELECT
        parse_filename(filename, true) AS file_id,
        op,
        {{old_digest}} AS old_digest,
        {{new_digest}} AS new_digest,
        {{old_count}} AS old_count,
        {{new_count}} AS new_count
    FROM read_parquet({{paths}}, filename = true, hive_partitioning = false)
) AS digests
GROUP BY file_id


-- name: touched
-- In: the tables that the other queries of the proof made; the rows of base files, each with its file.
-- Out: the table epoch_proof_touched: the rows of each base that the steps above it change.
CREATE OR REPLACE TEMP TABLE epoch_proof_touched AS
SELECT touched.base_id, touched.key, any_value({{digest}}) AS digest, count(*) AS copies
FROM ({{rows}}) AS base
JOIN (
    SELECT DISTINCT bases.base_id, bases.file_id, key, {{keys}}
    FROM epoch_proof_bases AS bases
    JOIN epoch_proof_steps AS steps ON steps.base_id = bases.base_id
    JOIN epoch_proof_deltas AS deltas ON deltas.file_id = steps.file_id
) AS touched ON base.file_id = touched.file_id AND {{same_key}}
GROUP BY touched.base_id, touched.key
