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
