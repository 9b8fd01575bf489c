-- name: keep
-- In: rows as of epoch_diff of one table; the columns of both sides as f0, t0, f1, t1 …; the key to order by.
-- Out: the table that the pages read, in the order of the key.
CREATE TABLE {{kept}} AS
SELECT diff_type AS kind, coalesce(changed_columns, []) AS changed, {{columns}}
FROM {{rows}}
ORDER BY {{order}}


-- name: counts
-- In: a kept table.
-- Out: how many rows of each kind.
SELECT kind, count(*) FROM {{kept}} GROUP BY kind


-- name: changed_cells
-- In: a kept table.
-- Out: how many cells of each column changed.
SELECT name, count(*) FROM (SELECT unnest(changed) AS name FROM {{kept}}) GROUP BY name


-- name: first_page
-- In: a kept table, whose rows are numbered in the order of the key; the number before the first row, and of the last.
-- Out: the rows of a page, their values as texts of at most 400 characters.
SELECT rowid, kind, changed, {{texts}} FROM {{kept}} WHERE rowid >= {{begin}} AND rowid < {{end}} ORDER BY rowid


-- name: list
-- In: a kept table, a condition, an order.
-- Out: a table with the numbers of the rows that match, in that order.
CREATE TABLE {{listed}} AS SELECT rowid AS number FROM {{kept}} WHERE {{condition}} ORDER BY {{order}}


-- name: listed
-- In: such a table.
-- Out: how many rows match.
SELECT count(*) FROM {{listed}}


-- name: listed_page
-- In: a kept table, and such a table; the place before the first row, and of the last.
-- Out: the rows of a page, their values as texts of at most 400 characters.
SELECT kept.rowid, kind, changed, {{texts}}
FROM {{kept}} AS kept
JOIN (
    SELECT rowid AS place, number FROM {{listed}} WHERE rowid >= {{begin}} AND rowid < {{end}}
) AS listed ON listed.number = kept.rowid
ORDER BY place


-- name: record
-- In: a kept table, the number of a row.
-- Out: the row, its values as whole texts.
SELECT kind, changed, {{texts}} FROM {{kept}} WHERE rowid = {{number}}


-- name: page_of_query
-- In: a function with a query, names for its columns, what to show of each, how many rows, and how many before them.
-- Out: a page of its rows.
SELECT {{shown}} FROM {{query}} AS rows ({{names}}) LIMIT {{rows}} OFFSET {{begin}}
