-- In: a working table, as the reader's transaction sees it.
-- Out: one row: its name, and how many rows it has.
SELECT {{name}} AS name, count(*) AS row_count, NULL AS checksum FROM {{table}}
