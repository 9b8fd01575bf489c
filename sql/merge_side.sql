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
