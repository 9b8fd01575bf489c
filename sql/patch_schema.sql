-- In: the statements that change definitions, in order, the names of what they change, and their phase.
-- Out: those statements as part of a patch.
SELECT
    {{phase}} AS phase,
    generate_subscripts({{statements}}, 1) AS place,
    CAST(0 AS BIGINT) AS depth,
    CAST(NULL AS BLOB) AS sort_key,
    unnest({{names}}) AS table_name,
    'schema' AS diff_type,
    unnest({{statements}}) AS statement
