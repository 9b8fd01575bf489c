-- name: zones
-- In: a batch of rows, the sort keys of their keys, and the sort keys from which ranges begin (``epoch_cuts``).
-- Out: the number of the range of each row, in the order of the rows.
SELECT cuts.zone
FROM (SELECT row_number() OVER () AS number, {{key}} AS key FROM {{rows}}) AS rows
ASOF JOIN epoch_cuts AS cuts ON rows.key >= cuts.cut
ORDER BY rows.number


-- name: misfit
-- In: a column, and rows of which some may have a value that its type does not hold.
-- Out: such a value as text, if there is one.
SELECT min({{misfit}})
FROM epoch_incoming
WHERE {{there}}


-- name: null_key
-- In: rows, and their keys.
-- Out: the number of rows whose key has a NULL.
SELECT count(*)
FROM epoch_incoming
WHERE {{missing}}


-- name: repeated_key
-- In: rows, and their keys.
-- Out: a key that more than one row has, as JSON, if there is one.
SELECT CAST(to_json({{struct}}) AS VARCHAR)
FROM epoch_incoming
GROUP BY {{names}}
HAVING count(*) > 1
LIMIT 1


-- name: before
-- In: the rows of a table, and the keys of rows that come or go.
-- Out: the rows of the table with these keys.
SELECT state.*
FROM ({{state}}) AS state
SEMI JOIN ({{keys}}) AS keys ON {{same_key}}


-- name: sample_cuts
-- In: the sort keys of a sample of rows, and the shares of them that are to come before each range.
-- Out: one row: the sort keys from which the ranges begin.
SELECT quantile_disc({{key}}, [{{shares}}])
FROM {{rows}}
