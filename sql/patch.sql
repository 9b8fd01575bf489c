-- name: patch
-- In: the statements of a patch, each with its phase, the place of its table in it, its depth and the sort key of its row.
-- Out: the rows of epoch_patch.
SELECT
    CAST(row_number() OVER (ORDER BY phase, position, depth, sort_key) AS BIGINT) AS statement_order,
    table_name,
    diff_type,
    statement
FROM ({{statements}}) AS statements
ORDER BY statement_order


-- name: schema
-- In: the statements that change definitions, in order, the names of what they change, and their phase.
-- Out: those statements as part of a patch.
SELECT
    {{phase}} AS phase,
    generate_subscripts({{statements}}, 1) AS position,
    CAST(0 AS BIGINT) AS depth,
    CAST(NULL AS BLOB) AS sort_key,
    unnest({{names}}) AS table_name,
    'schema' AS diff_type,
    unnest({{statements}}) AS statement


-- name: rows
-- In: rows of one table, and the statement that each of them needs.
-- Out: those statements as part of a patch. (With one key of a number's type, create_sort_key gives a number: hence the 0.)
SELECT
    {{phase}} AS phase,
    {{position}} AS position,
    {{depth}} AS depth,
    create_sort_key({{sort_key}}, 0, 'ASC NULLS LAST') AS sort_key,
    {{table_name}} AS table_name,
    'data' AS diff_type,
    {{statement}} AS statement
FROM ({{rows}}) AS "rows"


-- name: row_depths
-- In: rows of a table with a foreign key to itself, each with a number (row_position).
-- Out: the rows with their depth below a row that refers to none of them.
WITH RECURSIVE numbered AS MATERIALIZED (SELECT *, row_number() OVER () AS row_position FROM ({{rows}}) AS "rows"),
links AS MATERIALIZED (
    {{links}}
),
depths AS (
    SELECT row_position, CAST(0 AS BIGINT) AS depth FROM numbered ANTI JOIN links ON links.child = numbered.row_position
    UNION ALL
    SELECT links.child, depths.depth + 1 FROM depths JOIN links ON links.parent = depths.row_position
)
SELECT numbered.* EXCLUDE (row_position), coalesce(deepest.depth, 0) AS depth
FROM numbered
LEFT JOIN (SELECT row_position, max(depth) AS depth FROM depths GROUP BY row_position) AS deepest USING (row_position)


-- name: links
-- In: how a child row refers to a parent row of the same table.
-- Out: the positions of each child row and of its parent row.
SELECT child.row_position AS child, parent.row_position AS parent
FROM numbered AS child
JOIN numbered AS parent ON {{on}}


-- name: statements
-- In: the statements of a patch.
-- Out: their texts in order, each with its end.
SELECT rtrim(statement, ' ;' || chr(10)) || ';' AS statement
FROM ({{statements}}) AS patch
ORDER BY statement_order
