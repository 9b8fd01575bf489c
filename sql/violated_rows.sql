-- In: rows of a table that violate one constraint, as storage values.
-- Out: the rows of epoch_violations for them, without the target.
SELECT
    {{table_name}} AS table_name,
    {{constraint_name}} AS constraint_name,
    {{kind}} AS kind,
    {{key}} AS key,
    {{detail}} AS detail
FROM ({{rows}}) AS violating
