-- In: rows of one table, and the statement that each of them needs.
-- Out: those statements as part of a patch. (With one key of a number's type, create_sort_key gives a number: hence the 0.)
SELECT
    {{phase}} AS phase,
    {{place}} AS place,
    {{depth}} AS depth,
    create_sort_key({{sort_key}}, 0, 'ASC NULLS LAST') AS sort_key,
    {{table_name}} AS table_name,
    'data' AS diff_type,
    {{statement}} AS statement
FROM ({{rows}}) AS "rows"
