-- name: statements
-- In: the statements of a patch.
-- Out: their texts in order, each with its end.
SELECT rtrim(statement, ' ;' || chr(10)) || ';' AS statement
FROM ({{statements}}) AS patch
ORDER BY statement_order
