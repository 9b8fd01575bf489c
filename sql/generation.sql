-- In: rows that wait to be inserted into a table that refers to itself.
-- Out: a temporary table of the places of those whose parents are in the table, or that have none.
CREATE OR REPLACE TEMP TABLE {{generation}} AS
SELECT rowid AS place FROM {{pending}} AS pending WHERE {{ready}}
