-- In: a query, and the table that every move of a reference alters.
-- Out: the query's rows. The join with that table changes nothing: it makes a prepared statement bind again after a move,
-- and DuckDB removes it from the plan. (DuckDB 1.5 and 2.0 do not bind a WITH that is not used, and a LEFT JOIN would stay.)
FROM ({{query}}) AS result
ANTI JOIN (SELECT NULL AS moves FROM {{epoch}}.state WHERE false) AS epoch_state ON false
