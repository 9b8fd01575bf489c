-- name: insert
-- In: a table of the catalog, and a row of values, or several as lists.
-- Out: the table with them.
INSERT INTO {{table}} ({{columns}}) SELECT {{values}}


-- name: insert_missing
-- In: a table of the catalog, and a row of values, or several as lists.
-- Out: the table with those whose id (the first column) it does not have.
INSERT INTO {{table}} ({{columns}})
SELECT {{columns}}
FROM (SELECT {{values}}) AS added ({{columns}})
ANTI JOIN {{table}} AS stored USING ({{id}})


-- name: append
-- In: a table of the catalog that has a sequence, and a row of values.
-- Out: the table with that row as its last.
INSERT INTO {{table}} (sequence, {{columns}})
SELECT coalesce(max(sequence), 0) + 1, {{values}} FROM {{table}}


-- name: select
-- In: a table of the catalog.
-- Out: its rows.
SELECT {{columns}} FROM {{table}}
