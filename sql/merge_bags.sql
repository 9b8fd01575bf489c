-- name: states
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


-- name: changes
-- In: the changes of ours and of theirs since the base, of a table without a key, and rows of the base that were decided.
-- Out: key_<id> of each row, and how often it occurs in the base, in ours and in theirs.
WITH ours AS ({{ours}}),
theirs AS ({{theirs}})
SELECT
    {{#keys}}CASE WHEN ours.op IS NULL THEN theirs.k{{id}} ELSE ours.k{{id}} END AS key_{{id}}, {{/keys}}
    coalesce(ours.o0, theirs.o0) AS base_copies,
    coalesce(ours.n0, theirs.o0) AS ours_copies,
    coalesce(theirs.n0, ours.o0) AS theirs_copies
FROM ours FULL JOIN theirs ON {{same_key}}
{{#untouched}}
UNION ALL BY NAME
SELECT {{#keys}}base.c{{id}} AS key_{{id}}, {{/keys}}c0 AS base_copies, c0 AS ours_copies, c0 AS theirs_copies
FROM ({{rows}}) AS base
ANTI JOIN ours ON {{base_is_ours}}
ANTI JOIN theirs ON {{base_is_theirs}}
{{/untouched}}


-- name: rows
-- In: how often each row of a table without a key occurs in the base, in ours and in theirs (sql/merge_bag_changes.sql or
-- sql/merge_bag_states.sql), and what was decided (sql/merge_decisions.sql). The foundation is the side that the result is written on.
-- Out: one row for each of them: key_json and key_<id>; merged_0 and was_0,
-- how often in the result and on the foundation; op; conflicts, a list of them.
WITH decisions AS MATERIALIZED ({{decisions}}),
keyed AS (SELECT *, {{key_json}} AS key_json FROM ({{paired}}) AS paired),
decided AS (
    SELECT
        keyed.*,
        own.choice AS own_choice,
        coalesce(own.choice, every.choice, {{strategy}}) AS choice,
        ours_copies <> base_copies AND theirs_copies <> base_copies AND (ours_copies > 0 OR theirs_copies > 0) AS clash
        {{#misfits}},
        own.cells[{{name}}].side = 'value' AS given_{{id}},
        {{given}} AS value_{{id}},
        {{given_misfits}} AS given_misfits_{{id}}{{/misfits}}
    FROM keyed
    LEFT JOIN (FROM decisions WHERE key IS NOT NULL) AS own ON own.key = keyed.key_json
    LEFT JOIN (FROM decisions WHERE key IS NULL) AS every ON true
),
counted AS (
    SELECT
        *,
        {{foundation}}_copies AS was_0,
        CASE
            WHEN choice.forced AND choice.side = {{dropped_by}} THEN 0
            WHEN clash OR choice.forced OR (({{unfit}}) AND own_choice.side IS NOT NULL)
                THEN CASE choice.side
                    WHEN 'theirs' THEN theirs_copies
                    WHEN 'base' THEN base_copies
                    WHEN 'both' THEN greatest(ours_copies + theirs_copies - base_copies, 0)
                    ELSE ours_copies
                END
            WHEN theirs_copies <> base_copies THEN theirs_copies
            ELSE ours_copies
        END AS merged_0
    FROM decided
)
SELECT
    key_json
    {{#plain}}, key_{{id}}{{/plain}}
    {{#misfits}}, CASE WHEN misfit_{{id}} IS NOT NULL AND given_{{id}} THEN value_{{id}} ELSE key_{{id}} END AS key_{{id}}{{/misfits}},
    merged_0,
    was_0,
    CASE
        WHEN merged_0 = was_0 {{#written_anew}}AND merged_0 = 0{{/written_anew}} THEN NULL
        WHEN was_0 = 0 THEN 'added'
        WHEN merged_0 = 0 THEN 'removed'
        ELSE 'modified'
    END AS op,
    list_filter(
        [
            CASE
                WHEN clash
                    THEN struct_pack(
                        column_name := CAST(NULL AS VARCHAR),
                        kind := 'copies',
                        base := CAST(base_copies AS VARCHAR),
                        ours := CAST(ours_copies AS VARCHAR),
                        theirs := CAST(theirs_copies AS VARCHAR),
                        resolved := choice.side IS NOT NULL
                    )
            END
            {{#misfits}},
            CASE
                WHEN misfit_{{id}} IS NOT NULL
                    THEN struct_pack(
                        column_name := CAST({{name}} AS VARCHAR),
                        kind := 'add/add',
                        base := CASE WHEN base_copies > 0 THEN misfit_{{id}} END,
                        ours := CASE WHEN ours_copies > 0 THEN misfit_{{id}} END,
                        theirs := CASE WHEN theirs_copies > 0 THEN misfit_{{id}} END,
                        resolved := coalesce(given_{{id}} AND NOT given_misfits_{{id}}, false)
                            OR (merged_0 = 0 AND (NOT clash OR choice.side IS NOT NULL))
                    )
            END{{/misfits}}
        ],
        lambda conflict: conflict IS NOT NULL
    ) AS conflicts
FROM counted


-- name: conflicts
-- In: merged rows (merge_bags.rows).
-- Out: the rows of epoch_conflicts for them, with JSON as text.
SELECT {{table_name}} AS table_name, key_json AS key, unnest(conflicts, max_depth := 2) FROM {{rows}}
