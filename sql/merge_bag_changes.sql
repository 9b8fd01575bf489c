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
