-- In: rows of a table with a foreign key to itself, each with a number (row_place).
-- Out: the rows with their depth below a row that refers to none of them.
WITH RECURSIVE numbered AS MATERIALIZED (SELECT *, row_number() OVER () AS row_place FROM ({{rows}}) AS "rows"),
links AS MATERIALIZED (
    {{links}}
),
depths AS (
    SELECT row_place, CAST(0 AS BIGINT) AS depth FROM numbered ANTI JOIN links ON links.child = numbered.row_place
    UNION ALL
    SELECT links.child, depths.depth + 1 FROM depths JOIN links ON links.parent = depths.row_place
)
SELECT numbered.* EXCLUDE (row_place), coalesce(deepest.depth, 0) AS depth
FROM numbered
LEFT JOIN (SELECT row_place, max(depth) AS depth FROM depths GROUP BY row_place) AS deepest USING (row_place)
