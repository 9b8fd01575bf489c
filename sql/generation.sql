-- In: rows that are still to be inserted into a table that refers to itself.
-- Out: a temporary table of the positions of those that have no parent, or whose parents are in the table.
CREATE OR REPLACE TEMP TABLE {{generation}} AS
SELECT rowid AS place FROM {{pending}} AS pending WHERE {{ready}}
