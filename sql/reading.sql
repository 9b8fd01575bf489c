-- In: a query, and the table that every move of a reference alters.
-- Out: the query's rows. The join in vain with that table makes a prepared statement bind anew after a move, and is gone from the
-- plan. (DuckDB 1.5 and 2.0 do not even bind a WITH that nobody refers to, and a LEFT JOIN would stay.)
FROM ({{query}}) AS result
ANTI JOIN (SELECT NULL AS moves FROM {{epoch}}.state WHERE false) AS epoch_state ON false
