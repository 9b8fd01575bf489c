-- In: a query, and the table that every move of a reference alters.
-- Out: the query's rows. Naming that table makes a prepared statement bind anew after a move; nothing is read from it.
WITH epoch_state AS (FROM {{epoch}}.state)
FROM ({{query}}) AS result
