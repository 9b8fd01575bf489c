-- name: rows
-- In: the rows of a delta, and which of them are there now.
-- Out: these in the form that Iceberg has them in, in the order of the key.
SELECT {{outputs}} FROM ({{present}}) AS present ORDER BY {{order}}


-- name: present
-- In: the rows of a delta of a table with a key.
-- Out: those that are there now.
SELECT * FROM ({{changed}}) AS changed WHERE op <> 'removed'


-- name: present_copies
-- In: the rows of a delta of a table without a key: each row once, with the number of its copies (n0).
-- Out: the copies that are there now.
SELECT *, unnest(range(n0)) AS copy FROM ({{changed}}) AS changed WHERE n0 > 0


-- name: copy
-- In: the rows of a base file.
-- Out: these in the form that Iceberg has them in, in the same order.
SELECT {{outputs}} FROM ({{rows}}) AS rows


-- name: numbered
-- In: the rows of a delta that are there now, and the order in which a file has them.
-- Out: their keys c<id>, and their numbers in the file (pos).
SELECT {{keys}}, row_number() OVER (ORDER BY {{order}}) - 1 AS pos FROM ({{present}}) AS present


-- name: replaced
-- In: the rows of a delta, which of them were there before, and the keys of deltas between it and a data file.
-- Out: the keys k<id> of rows that may be in the data file, and that no delta has replaced yet.
SELECT {{keys}} FROM ({{changed}}) AS changed
{{#between}}
ANTI JOIN ({{later}}) AS later ON {{same_key}}
{{/between}}
WHERE {{existed}}


-- name: has_rows
-- In: the rows of a delta, and a condition.
-- Out: a row, if one of them meets it.
SELECT 1 FROM ({{changed}}) AS changed WHERE {{condition}} LIMIT 1


-- name: positions
-- In: the path of a data file, its rows by key and position, and the keys of rows that are replaced.
-- Out: the positions of these rows: file_path, pos.
SELECT {{path}} AS file_path, CAST(rows.pos AS BIGINT) AS pos
FROM ({{rows}}) AS rows
SEMI JOIN ({{replaced}}) AS replaced ON {{same_key}}


-- name: deletes
-- In: positions in data files.
-- Out: each of them once, in the order that Iceberg asks of a position delete file.
SELECT file_path, pos FROM ({{positions}}) AS positions ORDER BY file_path, pos


-- name: write
-- In: rows, and the ids of their columns. Version 1 of Parquet is what all readers of Iceberg read.
-- Out: a Parquet file.
COPY ({{rows}}) TO {{path}} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PRESERVE_ORDER true, FIELD_IDS {{field_ids}}{{options}})
