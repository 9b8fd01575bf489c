-- In: a working table, as storage values.
-- Out: one row: the number of the table in this look, how many rows it has, and the sum of their hashes.
SELECT {{number}} AS number, count(*) AS row_count, coalesce(sum({{row_hash}}), 0) AS checksum FROM ({{working}}) AS working
