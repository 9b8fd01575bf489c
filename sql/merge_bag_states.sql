-- In: the rows of the base, of ours and of theirs, of a table without a key whose types differ: key_<id>, and as JSON misfit_<id>,
-- the value of a side that has none of the merged type.
-- Out: as sql/merge_bag_changes.sql, for every row of the three. A row that the base has too appears as its cast gives it,
-- because the side that changed the type has it like that.
WITH base AS (SELECT {{rows_of}}, count(*) AS copies FROM ({{base}}) AS base_rows GROUP BY ALL),
ours AS (SELECT {{rows_of}}, count(*) AS copies FROM ({{ours}}) AS our_rows GROUP BY ALL),
theirs AS (SELECT {{rows_of}}, count(*) AS copies FROM ({{theirs}}) AS their_rows GROUP BY ALL),
sides AS (
    SELECT 'base' AS side, *, copies AS known FROM base
    UNION ALL
    SELECT 'ours', ours.*, CASE WHEN {{ours_fits}} THEN ours.copies ELSE least(ours.copies, coalesce(base.copies, 0)) END
    FROM ours LEFT JOIN base ON {{ours_is_base}}
    UNION ALL
    SELECT
        'theirs', theirs.*, CASE WHEN {{theirs_fits}} THEN theirs.copies ELSE least(theirs.copies, coalesce(base.copies, 0)) END
    FROM theirs LEFT JOIN base ON {{theirs_is_base}}
)
SELECT
    {{rows_of}},
    CAST(coalesce(sum(copies) FILTER (side = 'base'), 0) AS BIGINT) AS base_copies,
    CAST(coalesce(sum(copies) FILTER (side = 'ours'), 0) AS BIGINT) AS ours_copies,
    CAST(coalesce(sum(copies) FILTER (side = 'theirs'), 0) AS BIGINT) AS theirs_copies
FROM (
    SELECT side, {{as_cast}}, known AS copies FROM sides
    UNION ALL BY NAME
    SELECT side, {{rows_of}}, copies - known AS copies FROM sides
) AS counted
WHERE copies > 0
GROUP BY {{rows_of}}
