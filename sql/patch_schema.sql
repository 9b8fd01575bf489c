-- In: the statements that change definitions, in order, and the names of what they change.
-- Out: those statements as part of a patch.
SELECT
    0 AS phase,
    generate_subscripts({{statements}}, 1) AS place,
    CAST(0 AS BIGINT) AS depth,
    CAST(NULL AS BLOB) AS sort_key,
    unnest({{names}}) AS table_name,
    'schema' AS diff_type,
    unnest({{statements}}) AS statement
