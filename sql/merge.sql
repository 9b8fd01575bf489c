-- name: side
-- In: the changes of one side since the base, each under its own definition.
-- Out: op, key_<id>, and for each value column of the merged table base_<id> and value_<id>. Columns whose types do not hold
-- each other's values also have changed_<id>, and as JSON the values that do not fit the merged type, base_misfit_<id> and misfit_<id>.
SELECT
    op
    {{#keys}}, {{key}} AS key_{{id}}{{/keys}}
    {{#values}}, {{base}} AS base_{{id}}, {{value}} AS value_{{id}}{{/values}}
    {{#unlike}},
    {{base_misfit}} AS base_misfit_{{id}},
    {{misfit}} AS misfit_{{id}},
    {{changed}} AS changed_{{id}}{{/unlike}}
FROM ({{changes}}) AS changes


-- name: pairs
-- In: the changes of ours and of theirs since the base (merge.side), and rows of the base that neither side changed.
-- Out: one row for each key: key_<id>; base_<id>, ours_<id>, theirs_<id>; and which of the three have the row.
WITH ours AS ({{ours}}),
theirs AS ({{theirs}})
SELECT
    ours.op IS NOT NULL AND ours.op <> 'removed' OR ours.op IS NULL AND theirs.op <> 'added' AS ours_there,
    theirs.op IS NOT NULL AND theirs.op <> 'removed' OR theirs.op IS NULL AND ours.op <> 'added' AS theirs_there,
    coalesce(ours.op, theirs.op) <> 'added' AS base_there
    {{#keys}}, CASE WHEN ours.op IS NULL THEN theirs.key_{{id}} ELSE ours.key_{{id}} END AS key_{{id}}{{/keys}}
    {{#values}},
    CASE WHEN ours.op IS NULL THEN theirs.base_{{id}} ELSE ours.base_{{id}} END AS base_{{id}},
    CASE WHEN ours.op IS NULL THEN theirs.base_{{id}} ELSE ours.value_{{id}} END AS ours_{{id}},
    CASE WHEN theirs.op IS NULL THEN ours.base_{{id}} ELSE theirs.value_{{id}} END AS theirs_{{id}}{{/values}}
    {{#unlike}},
    CASE WHEN ours.op IS NULL THEN theirs.base_misfit_{{id}} ELSE ours.base_misfit_{{id}} END AS base_misfit_{{id}},
    CASE WHEN ours.op IS NULL THEN theirs.base_misfit_{{id}} ELSE ours.misfit_{{id}} END AS ours_misfit_{{id}},
    CASE WHEN theirs.op IS NULL THEN ours.base_misfit_{{id}} ELSE theirs.misfit_{{id}} END AS theirs_misfit_{{id}},
    coalesce(ours.changed_{{id}}, false) AS ours_changed_{{id}},
    coalesce(theirs.changed_{{id}}, false) AS theirs_changed_{{id}}{{/unlike}}
FROM ours {{join}} JOIN theirs ON {{same_key}}
{{#untouched}}
UNION ALL BY NAME
SELECT
    true AS ours_there,
    true AS theirs_there,
    true AS base_there
    {{#keys}}, key_{{id}}{{/keys}}
    {{#values}}, base_{{id}}, base_{{id}} AS ours_{{id}}, base_{{id}} AS theirs_{{id}}{{/values}}
    {{#unlike}},
    base_misfit_{{id}},
    base_misfit_{{id}} AS ours_misfit_{{id}},
    base_misfit_{{id}} AS theirs_misfit_{{id}},
    false AS ours_changed_{{id}},
    false AS theirs_changed_{{id}}{{/unlike}}
FROM ({{rows}}) AS base
ANTI JOIN ours ON {{base_is_ours}}
ANTI JOIN theirs ON {{base_is_theirs}}
{{/untouched}}


-- name: rows
-- In: the pairs of a table, and what was decided (merge.decisions). The foundation is the side that the result is written on.
-- Out: a row for each key: key_<id>; merged_<id>; was_<id>, the value on the foundation; op, from was to merged (NULL: no
-- change). For the conflicts also: clashes (row_conflict, and clash_<id>: the position of a column in conflict, or NULL),
-- is_there and the choices.
--
-- Three things keep the time that DuckDB 2.0 takes from growing with the square of the columns. The pairs are materialized and
-- the clashes are one struct, because it would try to move each column. It hashes alike all expressions in which each column
-- stands twice, so clash_<id> is not a boolean, but a number that stands there once.
WITH paired AS MATERIALIZED ({{pairs}}),
{{#decided}}
decisions AS MATERIALIZED ({{decisions}}),
chosen AS (
    SELECT
        paired.*,
        own.choice AS own_choice,
        coalesce(own.choice, every.choice, {{strategy}}) AS choice
        {{#named}},
        coalesce(own.cells[{{name}}], own.choice, every.cells[{{name}}], every.choice, {{strategy}}) AS choice_{{id}}{{/named}}
    FROM paired
    LEFT JOIN (FROM decisions WHERE key IS NOT NULL) AS own ON own.key = {{key_json}}
    LEFT JOIN (FROM decisions WHERE key IS NULL) AS every ON true
),
{{/decided}}
compared AS (
    SELECT
        *,
        struct_pack(
            row_conflict := CASE
                WHEN base_there AND ours_there AND NOT theirs_there AND ({{ours_changed}}) THEN 'modify/delete'
                WHEN base_there AND theirs_there AND NOT ours_there AND ({{theirs_changed}}) THEN 'delete/modify'
            END
            {{#alike}},
            clash_{{id}} := CASE
                WHEN ours_{{id}} IS NOT DISTINCT FROM theirs_{{id}} THEN NULL
                WHEN base_there AND ours_{{id}} IS NOT DISTINCT FROM base_{{id}} THEN NULL
                WHEN base_there AND theirs_{{id}} IS NOT DISTINCT FROM base_{{id}} THEN NULL
                WHEN ours_there AND theirs_there THEN {{position}}
            END{{/alike}}
            {{#unlike}},
            clash_{{id}} := CASE
                WHEN ours_there AND ours_changed_{{id}} AND ours_misfit_{{id}} IS NOT NULL THEN {{position}}
                WHEN theirs_there AND theirs_changed_{{id}} AND theirs_misfit_{{id}} IS NOT NULL THEN {{position}}
                WHEN ours_there AND theirs_there AND ours_changed_{{id}} AND theirs_changed_{{id}}
                    AND ours_{{id}} IS DISTINCT FROM theirs_{{id}}
                    THEN {{position}}
            END{{/unlike}}
        ) AS clashes
        {{#named}}, {{given}} AS given_{{id}}, {{given_misfits}} AS given_misfits_{{id}}{{/named}}
    FROM {{chosen}}
),
settled AS (
    SELECT
        *,
        {{foundation}}_there AS was_there,
        CASE
            WHEN {{row_forced}} AND {{row_side}} = {{dropped_by}} THEN false
            WHEN {{row_forced}} THEN CASE {{row_side}} WHEN 'ours' THEN ours_there WHEN 'theirs' THEN theirs_there ELSE base_there END
            WHEN clashes.row_conflict IS NOT NULL
                THEN CASE {{row_side}} WHEN 'theirs' THEN theirs_there WHEN 'base' THEN true ELSE ours_there END
            WHEN base_there THEN ours_there AND theirs_there
            WHEN ours_there AND theirs_there
                THEN NOT (coalesce({{row_side}} = 'base', false) AND ({{clashes}}) AND NOT ({{kept}}))
            WHEN {{clashes}} THEN coalesce({{own_side}} = 'theirs' AND theirs_there OR {{own_side}} = 'ours' AND ours_there, true)
            ELSE true
        END AS is_there
        {{#values}},
        CASE
            {{#of_cells}}WHEN {{choice}}.side = 'value' AND NOT given_misfits_{{id}} THEN given_{{id}}{{/of_cells}}
            {{#decided}}
            WHEN clashes.clash_{{id}} IS NOT NULL OR {{choice}}.forced
                THEN CASE {{choice}}.side WHEN 'theirs' THEN theirs_{{id}} WHEN 'base' THEN base_{{id}} ELSE ours_{{id}} END
            {{/decided}}
            {{#undecided}}WHEN clashes.clash_{{id}} IS NOT NULL THEN {{default}}_{{id}}{{/undecided}}
            WHEN clashes.row_conflict IS NOT NULL AND {{row_side}} = 'base' THEN base_{{id}}
            WHEN NOT ours_there OR (theirs_there AND {{theirs_differs}}) THEN theirs_{{id}}
            {{#retyped}}WHEN theirs_there AND NOT ours_changed_{{id}} THEN {{own_type}}{{/retyped}}
            ELSE ours_{{id}}
        END AS merged_{{id}}{{/values}}
    FROM compared
)
SELECT
    {{#keys}}key_{{id}}, {{/keys}}
    {{#values}}merged_{{id}}, CASE WHEN was_there THEN {{foundation}}_{{id}} END AS was_{{id}}, {{/values}}
    CASE
        WHEN is_there AND NOT was_there THEN 'added'
        WHEN was_there AND NOT is_there THEN 'removed'
        WHEN is_there AND was_there AND ({{differs}}) THEN 'modified'
    END AS op,
    CASE WHEN clashes.row_conflict IS NOT NULL OR {{clashes}} THEN clashes END AS clashes,
    is_there,
    {{row_choice}} AS choice
    {{#named}}, choice_{{id}}, given_misfits_{{id}}{{/named}}
FROM settled


-- name: clashing
-- In: merged rows (merge.rows).
-- Out: what clashes in some row: 1 for a whole row, 2 for the first value column, and so on.
SELECT DISTINCT position
FROM (
    SELECT unnest([CASE WHEN clashes.row_conflict IS NOT NULL THEN 1 END {{#values}}, clashes.clash_{{id}}{{/values}}]) AS position
    FROM {{rows}}
    WHERE clashes IS NOT NULL
) AS clashing
WHERE position IS NOT NULL


-- name: in_conflict
-- In: the pairs of a table, without the columns that clash in no row, and its merged rows (merge.rows).
-- Out: the pairs in conflict, with what merge.rows says about them.
SELECT
    pairs.*,
    merged.clashes,
    merged.is_there,
    merged.choice
    {{#named}}, merged.choice_{{id}}, merged.given_misfits_{{id}}{{/named}}
FROM ({{pairs}}) AS pairs
JOIN (FROM {{rows}} WHERE clashes IS NOT NULL) AS merged ON {{same_key}}


-- name: undecided
-- In: merged rows, and the conflicts of their table, with the columns of epoch_conflicts.
-- Out: the keys (k<id>) of the rows that have an open conflict.
SELECT {{keys}}
FROM {{rows}} AS merged
WHERE {{key_json}} IN (SELECT key FROM ({{conflicts}}) AS conflicts WHERE NOT resolved)


-- name: row_conflicts
-- In: the pairs in conflict (merge.in_conflict), with all columns.
-- Out: the rows of epoch_conflicts for whole rows, with JSON as text.
SELECT
    {{table_name}} AS table_name,
    {{key_json}} AS key,
    CAST(NULL AS VARCHAR) AS column_name,
    clashes.row_conflict AS kind,
    {{base_row}} AS base,
    CASE WHEN ours_there THEN {{ours_row}} END AS ours,
    CASE WHEN theirs_there THEN {{theirs_row}} END AS theirs,
    choice.side IS NOT NULL AS resolved
FROM {{pairs}}
WHERE clashes.row_conflict IS NOT NULL


-- name: cell_conflicts
-- In: the pairs in conflict (merge.in_conflict).
-- Out: the same for the cells of some columns.
SELECT
    {{table_name}} AS table_name,
    {{key_json}} AS key,
    unnest(
        list_filter(
            [
                NULL{{#values}},
                CASE
                    WHEN clashes.clash_{{id}} IS NOT NULL
                        THEN struct_pack(
                            column_name := CAST({{name}} AS VARCHAR),
                            kind := CASE WHEN base_there THEN 'modify/modify' ELSE 'add/add' END,
                            base := CASE WHEN base_there THEN {{base_json}} END,
                            ours := CASE WHEN ours_there THEN {{ours_json}} END,
                            theirs := CASE WHEN theirs_there THEN {{theirs_json}} END,
                            resolved := coalesce(
                                {{#alike}}{{choice}}.side IS NOT NULL AND ({{choice}}.side <> 'value' OR NOT {{given_misfits}}),{{/alike}}
                                {{#retyped}}CASE {{choice}}.side
                                    WHEN 'ours' THEN ours_there AND ours_misfit_{{id}} IS NULL
                                    WHEN 'theirs' THEN theirs_there AND theirs_misfit_{{id}} IS NULL
                                    WHEN 'base' THEN base_there AND base_misfit_{{id}} IS NULL
                                    WHEN 'value' THEN NOT {{given_misfits}}
                                END,{{/retyped}}
                                false
                            ) OR (NOT is_there AND (clashes.row_conflict IS NULL OR choice.side IS NOT NULL))
                        )
                END{{/values}}
            ],
            lambda conflict: conflict IS NOT NULL
        ),
        max_depth := 2
    )
FROM {{pairs}}


-- name: decisions
-- In: what was decided for the rows of one table, numbered in that order.
-- Out: the same by key (NULL: for every row): the latest choice for the whole row, and those for cells, by column. A decision
-- for the table counts before one for everything.
SELECT
    key,
    max(choice) FILTER (column_name IS NULL) AS choice,
    map_from_entries(list(struct_pack(k := column_name, v := choice)) FILTER (column_name IS NOT NULL)) AS cells
FROM (
    SELECT
        CAST(key AS VARCHAR) AS key,
        CAST(column_name AS VARCHAR) AS column_name,
        arg_max(
            struct_pack(side := CAST(side AS VARCHAR), forced := forced, value := CAST(value AS VARCHAR)),
            row(of_table, number)
        ) AS choice
    FROM (
        VALUES
            (NULL, NULL, NULL, false, NULL, false, 0){{#resolutions}},
            ({{key}}, {{column_name}}, {{side}}, {{forced}}, {{value}}, {{of_table}}, {{number}}){{/resolutions}}
    ) AS resolutions (key, column_name, side, forced, value, of_table, number)
    WHERE side IS NOT NULL
    GROUP BY ALL
) AS latest
GROUP BY key


-- name: violated_rows
-- In: rows of a table that violate one constraint, as storage values.
-- Out: the rows of epoch_violations for them, without the target.
SELECT
    {{table_name}} AS table_name,
    {{constraint_name}} AS constraint_name,
    {{kind}} AS kind,
    {{key}} AS key,
    {{detail}} AS detail
FROM ({{rows}}) AS violating


-- name: preview
-- In: the conflicts and the violations of a merge.
-- Out: how many there are of each kind, by table: table_name, data_conflicts, schema_conflicts, violations.
SELECT
    table_name,
    count(*) FILTER (obstacle = 'conflict' AND kind <> 'schema'),
    count(*) FILTER (obstacle = 'conflict' AND kind = 'schema'),
    count(*) FILTER (obstacle = 'violation')
FROM (
    SELECT table_name, kind, 'conflict' AS obstacle FROM ({{conflicts}}) AS conflicts WHERE NOT resolved
    UNION ALL
    SELECT table_name, kind, 'violation' FROM ({{violations}}) AS violations
) AS obstacles
GROUP BY table_name


-- name: loses_values
-- In: the changes of a side, the value that each row has in a column, and the value that a generated column would have.
-- Out: one row: whether a value that the side set would be lost.
SELECT EXISTS (
    FROM (SELECT {{outputs}}, {{value}} AS given FROM ({{changes}}) AS changes WHERE {{new}}) AS changed
    WHERE given IS DISTINCT FROM (SELECT {{computed}} FROM ({{native}}) AS native)
)


-- name: mostly_equal
-- In: the changes of a side, and whether a value is equal to that before if a field was renamed (same), or not.
-- Out: one row: how many rows were modified beyond a rename, and how many of these are equal after it.
SELECT count(*), count(*) FILTER ({{same}})
FROM ({{changes}}) AS changes
WHERE op = 'modified' AND NOT {{unrenamed}}


-- name: mostly_equal_bag
-- In: the values of a column on a side, and at the base with its fields renamed.
-- Out: one row: how many rows the side has, how many the base has, and how many of the side's values the base has.
WITH own AS (SELECT {{value}} AS value FROM ({{side}}) AS side),
base AS (SELECT {{renamed}} AS value FROM ({{base}}) AS base)
SELECT
    (SELECT count(*) FROM own),
    (SELECT count(*) FROM base),
    (SELECT count(*) FROM own SEMI JOIN base ON own.value IS NOT DISTINCT FROM base.value)


-- name: changes_values
-- In: the changes of a side.
-- Out: one row: whether it changed values of a column.
SELECT EXISTS (
    FROM ({{changes}}) AS changes WHERE op = 'modified' AND {{n}} IS DISTINCT FROM {{o}}
)
