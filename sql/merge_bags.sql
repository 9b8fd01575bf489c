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
            WHEN choice.forced AND choice.side = {{gone}} THEN 0
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
