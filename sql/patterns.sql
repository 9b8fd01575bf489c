-- name: changes
-- In: the changes of one table with a key. For each column with the number i: its values before and after, whether they
-- differ, and the difference and the factor of numbers.
-- Out: the rows of epoch_changes for them: for each changed column what most of its cells have in common, and for added and
-- removed rows the columns in which all are alike.
WITH changes AS (
    SELECT
        op{{#columns}},
        {{before}} AS before_{{i}},
        {{after}} AS after_{{i}},
        op = 'modified' AND {{differs}} AS differs_{{i}}{{/columns}}
    FROM ({{changes}}) AS changes
),
compared AS MATERIALIZED (
    SELECT
        op{{#columns}},
        before_{{i}},
        after_{{i}},
        differs_{{i}},
        differs_{{i}} AND before_{{i}} IS NOT NULL AND after_{{i}} IS NOT NULL AS both_{{i}},
        CASE WHEN differs_{{i}} THEN {{after_text}} END AS text_{{i}},
        CASE WHEN differs_{{i}} THEN {{delta}} END AS delta_{{i}},
        CASE WHEN differs_{{i}} THEN {{factor}} END AS factor_{{i}}{{/columns}}
    FROM changes
),
likely AS (
    SELECT
        count(*) AS rows{{#columns}},
        (approx_top_k(text_{{i}}, 1) FILTER (both_{{i}}))[1] AS text_{{i}},
        (approx_top_k(delta_{{i}}, 1) FILTER (both_{{i}} AND delta_{{i}} IS NOT NULL))[1] AS delta_{{i}},
        (approx_top_k(factor_{{i}}, 1) FILTER (both_{{i}} AND factor_{{i}} IS NOT NULL))[1] AS factor_{{i}}{{/columns}}
    FROM compared
),
counted AS (
    SELECT
        count(*) FILTER (op = 'added') AS added,
        count(*) FILTER (op = 'removed') AS removed{{#columns}},
        count(*) FILTER (differs_{{i}}) AS cells_{{i}},
        count(*) FILTER (differs_{{i}} AND after_{{i}} IS NULL) AS emptied_{{i}},
        count(*) FILTER (differs_{{i}} AND before_{{i}} IS NULL) AS filled_{{i}},
        count(*) FILTER (both_{{i}}) AS both_{{i}},
        count(*) FILTER (both_{{i}} AND c.delta_{{i}} = l.delta_{{i}}) AS by_delta_{{i}},
        count(*) FILTER (both_{{i}} AND c.factor_{{i}} = l.factor_{{i}}) AS by_factor_{{i}},
        count(*) FILTER (both_{{i}} AND {{is_trimmed}}) AS by_trim_{{i}},
        count(*) FILTER (both_{{i}} AND {{is_case}}) AS by_case_{{i}},
        count(*) FILTER (both_{{i}} AND c.text_{{i}} = l.text_{{i}}) AS by_text_{{i}},
        CAST(any_value(l.delta_{{i}}) AS VARCHAR) AS delta_{{i}},
        CAST(any_value(l.factor_{{i}}) AS VARCHAR) AS factor_{{i}},
        any_value(l.text_{{i}}) AS text_{{i}},
        count(after_{{i}}) FILTER (op = 'added') AS added_{{i}},
        min(CASE WHEN op = 'added' THEN {{after_text}} END) AS least_added_{{i}},
        max(CASE WHEN op = 'added' THEN {{after_text}} END) AS greatest_added_{{i}},
        count(before_{{i}}) FILTER (op = 'removed') AS removed_{{i}},
        min(CASE WHEN op = 'removed' THEN {{before_text}} END) AS least_removed_{{i}},
        max(CASE WHEN op = 'removed' THEN {{before_text}} END) AS greatest_removed_{{i}}{{/columns}}
    FROM compared AS c, likely AS l
),
best AS (
    SELECT
        *{{#columns}},
        greatest(by_delta_{{i}}, by_factor_{{i}}, by_trim_{{i}}, by_case_{{i}}, by_text_{{i}}) AS most_{{i}}{{/columns}}
    FROM counted
),
listed AS (
    SELECT unnest([
        {{#columns}}
        {'diff_type': 'modified', 'column_name': {{name}}, 'cells': cells_{{i}}, 'pattern': 'became NULL', 'matching': emptied_{{i}}, 'value': NULL},
        {'diff_type': 'modified', 'column_name': {{name}}, 'cells': cells_{{i}}, 'pattern': 'was NULL', 'matching': filled_{{i}}, 'value': NULL},
        {
            'diff_type': 'modified',
            'column_name': {{name}},
            'cells': cells_{{i}},
            'pattern': CASE
                WHEN 2 * most_{{i}} <= both_{{i}} THEN NULL
                WHEN by_delta_{{i}} = most_{{i}} THEN 'delta'
                WHEN by_factor_{{i}} = most_{{i}} THEN CASE WHEN factor_{{i}} IN ('-1', '-1.0') THEN 'sign flipped' ELSE 'scaled' END
                WHEN by_trim_{{i}} = most_{{i}} THEN 'trimmed'
                WHEN by_case_{{i}} = most_{{i}} THEN 'case'
                ELSE 'constant'
            END,
            'matching': CASE WHEN 2 * most_{{i}} <= both_{{i}} THEN both_{{i}} ELSE most_{{i}} END,
            'value': CASE
                WHEN 2 * most_{{i}} <= both_{{i}} THEN NULL
                WHEN by_delta_{{i}} = most_{{i}} THEN delta_{{i}}
                WHEN by_factor_{{i}} = most_{{i}} THEN nullif(nullif(factor_{{i}}, '-1'), '-1.0')
                WHEN by_trim_{{i}} = most_{{i}} OR by_case_{{i}} = most_{{i}} THEN NULL
                ELSE text_{{i}}
            END
        },
        {
            'diff_type': 'added',
            'column_name': {{name}},
            'cells': added,
            'pattern': CASE WHEN added_{{i}} = 0 THEN 'always NULL' ELSE 'always' END,
            'matching': CASE WHEN added > 1 AND (added_{{i}} = 0 OR added_{{i}} = added AND least_added_{{i}} = greatest_added_{{i}}) THEN added ELSE 0 END,
            'value': least_added_{{i}}
        },
        {
            'diff_type': 'removed',
            'column_name': {{name}},
            'cells': removed,
            'pattern': CASE WHEN removed_{{i}} = 0 THEN 'always NULL' ELSE 'always' END,
            'matching': CASE WHEN removed > 1 AND (removed_{{i}} = 0 OR removed_{{i}} = removed AND least_removed_{{i}} = greatest_removed_{{i}}) THEN removed ELSE 0 END,
            'value': least_removed_{{i}}
        },
        {{/columns}}
        NULL
    ]) AS found
    FROM best
)
SELECT
    {{table_name}} AS table_name,
    found.diff_type AS diff_type,
    found.column_name AS column_name,
    found.cells AS cells,
    found.pattern AS pattern,
    found.matching AS matching,
    left(found.value, 200) AS value
FROM listed
WHERE found.matching > 0
