-- name: duplicates
-- In: the merged rows, those that a side changed, and the columns of a unique constraint.
-- Out: the rows whose values another row has too, where a changed row has them.
WITH state AS ({{state}}),
touched AS (SELECT DISTINCT {{values}} FROM ({{rows}}) AS rows)
SELECT state.*
FROM state
SEMI JOIN (
    SELECT {{values}} FROM state SEMI JOIN touched USING ({{values}}) GROUP BY ALL HAVING count(*) > 1
) AS duplicates USING ({{values}})


-- name: index_duplicates
-- In: the merged rows, those that a side changed, and the expressions of a unique index as named values.
-- Out: the rows whose values another row has too, where a changed row has them.
WITH state AS (SELECT row.*, {{values}} FROM ({{state}}) AS row),
touched AS (SELECT DISTINCT {{names}} FROM (SELECT {{values}} FROM ({{rows}}) AS row) AS valued)
SELECT state.*
FROM state
SEMI JOIN (
    SELECT {{names}} FROM state SEMI JOIN touched USING ({{names}}) GROUP BY ALL HAVING count(*) > 1
) AS duplicates USING ({{names}})


-- name: orphans
-- In: rows of a child table, and all rows of its parent.
-- Out: the child rows that refer to no parent row.
SELECT child.*
FROM ({{rows}}) AS child
ANTI JOIN ({{parents}}) AS parent ON {{same}}
WHERE {{given}}


-- name: children_of_changed
-- In: the merged rows of a child table, and the changes of its parent.
-- Out: the child rows that refer to what a parent row was before it was changed or removed.
SELECT child.*
FROM ({{state}}) AS child
SEMI JOIN (SELECT {{earlier}} FROM ({{changes}}) AS changes WHERE op <> 'added') AS parent ON {{same}}


-- name: proof_twice
-- In: the values that deltas bring (epoch_proof_fresh), and the same values with their keys in known versions.
-- Out: epoch_proof_twice: the values that more than one key has.
CREATE OR REPLACE TEMP TABLE epoch_proof_twice AS
SELECT {{values}}
FROM (SELECT {{values}}, key FROM epoch_proof_fresh UNION ALL {{before}}) AS known
GROUP BY {{values}}
HAVING count(DISTINCT key) > 1


-- name: proof_repeated
-- In: rows, and the values that a unique constraint compares.
-- Out: the key of a row whose values another row has too, as JSON; or no row.
SELECT CAST(to_json(any_value(key)) AS VARCHAR)
FROM (SELECT {{named}}, {{key}} AS key FROM ({{rows}}) AS {{name}}) AS valued {{among}}
WHERE {{whole}}
GROUP BY {{values}}
HAVING count(*) > 1
LIMIT 1


-- name: proof_valued
-- In: rows, and the values that a unique constraint compares.
-- Out: the values of each row with its key, where none is NULL.
SELECT *
FROM (SELECT {{named}}, {{key}} AS key FROM ({{rows}}) AS {{name}}) AS valued
WHERE {{whole}}


-- name: proof_rows
-- In: the files of deltas.
-- Out: the rows that the deltas bring or take away.
SELECT {{values}}{{copies}}
FROM read_parquet({{paths}}, hive_partitioning = false)
WHERE {{there}}


-- name: proof_orphan
-- In: rows of a child table, and all rows of its parent.
-- Out: the key of a child row that refers to no parent row; or no row.
SELECT {{key}}
FROM (
    SELECT child.* FROM ({{c}}) AS child ANTI JOIN ({{p}}) AS parent ON {{pairs}} WHERE {{whole}}
) AS orphan
LIMIT 1
