-- In: a query, and the table that every move of a reference alters.
-- Out: the query's rows. Joining that table, in vain, makes a prepared statement bind anew after a move. (DuckDB 1.5 and 2.0
-- do not even bind a WITH that nobody refers to.)
SELECT result.*
FROM ({{query}}) AS result
LEFT JOIN (SELECT NULL FROM {{epoch}}.state WHERE false) AS epoch_state ON false
