-- In: a working table, as the reader's transaction sees it.
-- Out: one row: its name, how many rows it has, and the sum of their hashes.
SELECT {{name}} AS name, count(*) AS row_count, coalesce(sum({{row_hash}}), 0) AS checksum FROM ({{working}}) AS working
